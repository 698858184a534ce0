"""Tombstones: that a recording was erased, when and how; nothing of whom it was about.

They outlive what they name. A backup that is restored is held against them, and what
came back is erased again.
"""

from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta
from typing import Annotated, Final

import msgspec

from agent.archive.documents import (
    MAX_SIGNATURE,
    PLAIN,
    Believed,
    DocumentError,
    Documents,
)
from agent.archive.store import Archive
from agent.common.errors import AgentError
from agent.formats.canonical import CanonicalError, canonical, parse_canonical
from agent.formats.layout import (
    HELSINKI,
    ID_PATTERN,
    Folder,
    LayoutError,
    day_prefix,
    parse_dated,
    tombstone_key,
)
from agent.formats.seal import SealPlace
from agent.formats.sshsig import Namespace
from agent.upload.backend import (
    ObjectExistsError,
    ObjectMissingError,
    StorageBackend,
    read_object,
)

VERSION: Final = 1
MAX_TOMBSTONE: Final = 4096

Word = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9-]{1,32}\Z")]


class TombstoneError(AgentError):
    """The bytes are not a tombstone, or lie in another's place."""

    hint = "Find out who could write there; the recording it names stays erased."


class Tombstone(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One erasure."""

    version: int = VERSION
    id: Annotated[str, msgspec.Meta(pattern=rf"^{ID_PATTERN}\Z")]
    created: date
    "The day under which the recording was filed."
    erased_at: Annotated[
        str, msgspec.Meta(pattern=r"^[0-9-]{10}T[0-9:]{8}(?:\.[0-9]{3})?Z\Z")
    ]
    "UTC."
    method: Word
    "Such as `key-destroyed` or `envelope-deleted`."
    policy: Word
    "By which rule, such as `P1Y` or `early`."
    seal: SealPlace | None = None
    "The place of its seal in the host's chain, which has a hole there now."

    @property
    def erased_on(self) -> date:
        """The local day of the erasure. Raises TombstoneError if there is none."""
        try:
            moment = datetime.fromisoformat(self.erased_at)
        except ValueError:
            raise TombstoneError("A tombstone has a time that is none.") from None
        return moment.astimezone(HELSINKI).date()


async def write(
    state: StorageBackend, tombstone: Tombstone, documents: Documents = PLAIN
) -> None:
    """Make an erasure known, durably; one that is there already counts.

    Raises TombstoneError, StorageError.
    """
    data = canonical(tombstone)
    key = tombstone_key(tombstone.erased_on, tombstone.id)
    _parsed(key, data)
    try:
        await state.put(key, documents.sealed(data, Namespace.TOMBSTONE))
    except ObjectExistsError:
        return


async def read(
    state: StorageBackend, key: str, documents: Believed = PLAIN
) -> Tombstone:
    """One tombstone by its name. Raises TombstoneError, StorageError."""
    data = await read_object(state, key, MAX_TOMBSTONE + MAX_SIGNATURE)
    try:
        payload = documents.opened(data, Namespace.TOMBSTONE)
    except DocumentError as error:
        raise TombstoneError(f"A tombstone: {error.args[0]}") from None
    return _parsed(key, payload)


async def adopt(state: StorageBackend, key: str, documents: Documents) -> bool:
    """Sign a tombstone that nobody has signed; whether it was one.

    Raises TombstoneError: it is malformed, or signed by somebody else; StorageError.
    """
    data = await read_object(state, key, MAX_TOMBSTONE + MAX_SIGNATURE)
    try:
        documents.opened(data, Namespace.TOMBSTONE)
    except DocumentError:
        _parsed(key, data)
        await state.replace(key, documents.sealed(data, Namespace.TOMBSTONE))
        return True
    return False


async def ids(
    state: StorageBackend, *, after: str = ""
) -> AsyncIterator[tuple[str, str]]:
    """Name and id of each tombstone, in the order of days, by listing alone.

    Raises TombstoneError for a strange name, StorageError.
    """
    async for info in state.list(Folder.TOMBSTONES, after=after):
        try:
            yield info.key, parse_dated(info.key).id
        except LayoutError as error:
            raise TombstoneError(f"Among tombstones: {error}") from None


class Erased:
    """Which recordings were erased, in memory: 16 bytes and a table's slot each."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._ids: set[bytes] = set()
        self._known_to: date | None = None
        "All tombstones of days before this one are in memory."

    async def load(self) -> int:
        """Read the names of all tombstones that came; how many are known then.

        Raises TombstoneError, StorageError.
        """
        today = self._archive.today()
        after = ""
        if self._known_to is not None:
            # A sweep that began before midnight writes the day before after it.
            day = self._known_to - timedelta(1)
            after = day_prefix(Folder.TOMBSTONES, day)
        async for _, recording_id in ids(self._archive.state, after=after):
            self._ids.add(_packed(recording_id))
        self._known_to = today
        return len(self._ids)

    async def is_erased(self, recording_id: str) -> bool:
        """Whether a recording was erased, by this process or another.

        Raises LayoutError, TombstoneError, StorageError.
        """
        key = tombstone_key(self._archive.today(), recording_id)
        if not await self.was_erased(recording_id) and await self._is_there(key):
            self._ids.add(_packed(recording_id))
        return _packed(recording_id) in self._ids

    async def was_erased(self, recording_id: str) -> bool:
        """Whether it was erased before today: storage is asked once a day.

        What is erased today has a state that says so, until this knows of it
        (agent.retention.plan). Raises TombstoneError, StorageError.
        """
        if self._known_to is None or self._known_to < self._archive.today():
            await self.load()
        return _packed(recording_id) in self._ids

    async def _is_there(self, key: str) -> bool:
        try:
            await self._archive.state.head(key)
        except ObjectMissingError:
            return False
        return True


def _packed(recording_id: str) -> bytes:
    return bytes.fromhex(recording_id.replace("-", ""))


def _parsed(key: str, data: bytes) -> Tombstone:
    try:
        name = parse_dated(key)
        tombstone = parse_canonical(
            data, Tombstone, limit=MAX_TOMBSTONE, version=VERSION
        )
    except (CanonicalError, LayoutError) as error:
        raise TombstoneError(f"A tombstone: {error}") from None
    if (name.folder, name.id, name.day) != (
        Folder.TOMBSTONES, tombstone.id, tombstone.erased_on,
    ):  # fmt: skip
        raise TombstoneError("A tombstone lies in another's place.")
    return tombstone
