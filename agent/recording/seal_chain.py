"""The host's chain of seals: each is signed, and follows the one before.

    <spool>/seal-chain.json        the head: chain, number and digest of the last seal
    <spool>/sealed/<id>/<id>.seal  durable before the head, as the head is before upload

So a seal that storage may know is never behind the head, and a seal that the head may
not know still waits in the spool: the head is the furthest of both.
"""

import contextlib
import threading
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
import structlog

from agent.common.files import sync_directory, write_durably
from agent.formats.canonical import CanonicalError, canonical, parse_canonical
from agent.formats.layout import parse_dated, seal_key, valid_id
from agent.formats.manifest import moment
from agent.formats.seal import (
    FIRST,
    UNKNOWN,
    Addressees,
    SealedFile,
    SealError,
    SealPlace,
    Statement,
    parse_addressees,
    parse_seal,
    seal_digest,
    sign_seal,
)
from agent.formats.sshsig import SigningKey
from agent.recording.spool import SealedObject, Spool

HEAD: Final = "seal-chain.json"


class _Head(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The last seal of a chain; sequence 0 before there is one."""

    chain: str
    sequence: int
    digest: str


class SealChain:
    """Seals what is to leave the host; one for a spool, used by any thread."""

    def __init__(
        self,
        spool: Spool,
        key: SigningKey,
        host: str,
        *,
        new_id: Callable[[], str],
        utc_ns: Callable[[], int],
    ) -> None:
        self._spool = spool
        self._key = key
        self._host = host
        self._new_id = new_id
        self._utc_ns = utc_ns
        self._path = spool.root / HEAD
        self._head = self._written = _Head(chain="", sequence=0, digest=FIRST)
        self._lock = threading.Lock()
        self._log = structlog.get_logger()

    def open(self) -> None:
        """Find the chain's end, or begin a chain. Raises OSError.

        To be called with the spool's lock, before anything is sealed. A head that is
        damaged ends its chain: to go on from a guess might fork it.
        """
        found = self._read()
        if found is None:
            found = _Head(chain=self._new_id(), sequence=0, digest=FIRST)
            self._write(found)
            self._log.warning("seal_chain_begun", chain=found.chain)
        self._head = self._written = found
        for recording_id in self._spool.list_sealed():
            self._follow(recording_id)

    @property
    def head(self) -> SealPlace:
        """The last seal; number 0 before there is one."""
        return SealPlace(
            host=self._host,
            chain=self._head.chain,
            sequence=self._head.sequence,
            sha256=self._head.digest,
        )

    def seal(self, recording_id: str, objects: Sequence[SealedObject]) -> SealedObject:
        """Have the recording's seal in its sealed directory; where it goes.

        `objects` are those of the recording. It may be called again after any error.
        Raises OSError, SealError.
        """
        with self._lock:
            path = self._spool.sealed_path(recording_id, f"{recording_id}.seal")
            day = parse_dated(objects[0].key).day
            if path.exists():
                data = path.read_bytes()
                parse_seal(data)
                # A write that failed at its very end may not have made it last.
                sync_directory(path.parent)
            else:
                statement = self._statement(recording_id, day.isoformat(), objects)
                data = sign_seal(statement, self._key)
                try:
                    write_durably(path, data)
                finally:
                    # Whatever went wrong: a number that may be taken is taken.
                    self._follow(recording_id)
            if self._written != self._head:
                self._write(self._head)
            return SealedObject(
                file=path.name,
                target="locked",
                key=seal_key(day, recording_id),
                sha256=seal_digest(data),
                size=len(data),
            )

    def _statement(
        self, recording_id: str, day: str, objects: Sequence[SealedObject]
    ) -> Statement:
        addressees = self._addressees(recording_id)
        return Statement(
            id=recording_id,
            day=day,
            host=self._host,
            chain=self._head.chain,
            sequence=self._head.sequence + 1,
            previous=self._head.digest,
            objects=tuple(
                SealedFile(key=one.key, sha256=one.sha256, size=one.size)
                for one in objects
                if one.target == "locked"
            ),
            segment_key=addressees.segment_key,
            recipients=addressees.recipients,
            sealed_at=moment(self._utc_ns())["utc"],
        )

    def _addressees(self, recording_id: str) -> Addressees:
        path = self._spool.sealed_path(recording_id, f"{recording_id}.addressees")
        try:
            return parse_addressees(path.read_bytes())
        except FileNotFoundError:
            return UNKNOWN  # recorded before this host signed
        except SealError as error:
            # The recording is worth more than what would be said of its envelope.
            self._log.error(
                "addressees_damaged", recording_id=recording_id, reason=str(error)
            )
            return UNKNOWN

    def _follow(self, recording_id: str) -> None:
        """Let the head be a waiting seal, if that is further along its chain."""
        path = self._spool.sealed_path(recording_id, f"{recording_id}.seal")
        with contextlib.suppress(FileNotFoundError):
            data = path.read_bytes()
            try:
                statement = parse_seal(data)
            except SealError as error:
                self._log.error(
                    "seal_damaged", recording_id=recording_id, reason=str(error)
                )
                return
            if (
                statement.chain == self._head.chain
                and statement.sequence > self._head.sequence
            ):
                self._head = _Head(
                    chain=statement.chain,
                    sequence=statement.sequence,
                    digest=seal_digest(data),
                )

    def _read(self) -> _Head | None:
        """The head as it was written; None if it is not there, or damaged."""
        try:
            found = parse_canonical(self._path.read_bytes(), _Head)
        except FileNotFoundError:
            return None
        except CanonicalError as error:
            self._log.critical("seal_chain_damaged", reason=str(error))
            return None
        return found if valid_id(found.chain) else None

    def _write(self, head: _Head) -> None:
        write_durably(self._path, canonical(head))
        self._written = head
