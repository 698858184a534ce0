"""What a sealed recording still needs before it may leave: the gate's layer, the seal.

    <spool>/sealed/<id>/<id>.key.gate-<generation>.age   the envelope within the layer

The envelope as it was made stays beside it until storage has the recording, so that a
day's newer key can be used after an outage: what was wrapped for a key that is
destroyed by then would open for nobody.
"""

import asyncio
import os
import threading
from collections.abc import Callable
from datetime import date, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec
import structlog

from agent.common.errors import AgentError
from agent.common.files import sync_directory, write_durably
from agent.formats.age import AgeError
from agent.formats.day_keys import DayKey, DayKeyList
from agent.formats.envelope import wrap
from agent.formats.layout import Folder, LayoutError, day_of, parse_dated
from agent.formats.seal import SealError
from agent.recording.seal_chain import SealChain
from agent.recording.spool import SealedError, SealedObject, Spool

FEW_DAYS: Final = 7
"With keys for fewer coming days than this it is time to fetch a newer list."
LATE: Final = timedelta(days=6)
"""A day before a gate may destroy a day's key early (its `late_uploads`, 7 at least):
what is on its way then has a day to arrive while its key is still held."""
FRESH: Final = timedelta(days=1)
"Of a list that tells whether it has: a gate keeps what was replaced a day longer yet."
AHEAD: Final = 400
"Days that are counted at most."


class NotReadyError(AgentError):
    """The recording may not leave the host yet; it waits, and others go on."""

    permanent = False


class DayKeyMissingError(NotReadyError):
    """The gate has published no key for the day the recording is filed under."""

    hint = "Fetch the gate's newest list of day keys, and reload (SIGHUP)."


class Dispatch:
    """Makes sealed recordings ready to leave; one for a spool."""

    def __init__(
        self,
        spool: Spool,
        *,
        chain: SealChain | None = None,
        day_keys: DayKeyList | None = None,
        utc_ns: Callable[[], int],
        problem: Callable[[str], object] = lambda _: None,
    ) -> None:
        """Without `chain` nothing is signed, without `day_keys` there is no gate.

        `problem` is told one in a word, in any thread.
        """
        self._spool = spool
        self._chain = chain
        self._day_keys = day_keys
        self._utc_ns = utc_ns
        self._problem = problem
        self._lock = threading.Lock()
        self._missing: set[date] = set()
        self._told: tuple[date, int] | None = None
        self._log = structlog.get_logger()

    def renew(self, day_keys: DayKeyList) -> None:
        """Use another list of day keys from now on."""
        self._day_keys = day_keys
        self._missing.clear()
        self._told = None
        self._count(day_keys)

    def coming_days(self) -> int | None:
        """For how many days from today on there are keys; None without a gate."""
        return None if self._day_keys is None else self._coming(self._day_keys)

    async def objects(self, recording_id: str) -> list[SealedObject]:
        """All that goes to storage of a sealed recording, in that order.

        The envelope is within the gate's layer, if there is a gate, and the host's
        seal follows what it is about. It may be called again. Raises NotReadyError,
        SealedError, OSError.
        """
        try:
            return await asyncio.to_thread(self._objects, recording_id)
        except (AgeError, LayoutError, SealError) as error:
            raise SealedError(f"{recording_id} cannot leave: {error}") from error

    def _objects(self, recording_id: str) -> list[SealedObject]:
        objects = self._spool.sealed_objects(recording_id)
        if self._day_keys is not None:
            self._count(self._day_keys)
            objects = [
                self._wrapped(recording_id, one, self._day_keys)
                if one.key.startswith(f"{Folder.KEYS}/")
                else one
                for one in objects
            ]
        if self._chain is not None:
            seal = self._chain.seal(recording_id, objects)
            # Behind what it is about, and before the index leads anybody there.
            place = sum(not one.key.startswith(f"{Folder.INDEX}/") for one in objects)
            objects.insert(place, seal)
        return objects

    # -- the gate's layer -----------------------------------------------------------

    def _wrapped(
        self, recording_id: str, envelope: SealedObject, keys: DayKeyList
    ) -> SealedObject:
        day = parse_dated(envelope.key).day
        key = keys.current(day)
        if key is None:
            self._tell_missing(day)
            raise DayKeyMissingError(f"there is no day key for {day}.")
        if self._may_be_gone(day, keys):
            self._tell_missing(day)
            raise DayKeyMissingError(
                f"the list of {keys.issued} does not tell whether the key of {day} is"
                " still held."
            )
        path = self._spool.sealed_path(
            recording_id, f"{recording_id}.key.gate-{key.generation}.age"
        )
        with self._lock:
            data = self._wrap(path, recording_id, envelope, key)
        return msgspec.structs.replace(
            envelope, file=path.name, sha256=sha256(data).hexdigest(), size=len(data)
        )

    def _may_be_gone(self, day: date, keys: DayKeyList) -> bool:
        """Whether the gate may have destroyed a day's key since it made the list.

        An envelope within its layer would open for nobody, and it is the last one.
        """
        today = day_of(self._utc_ns())
        if today - day <= LATE:
            return False
        try:
            return today - date.fromisoformat(keys.issued[:10]) > FRESH
        except ValueError:
            return True

    def _wrap(
        self, path: Path, recording_id: str, envelope: SealedObject, key: DayKey
    ) -> bytes:
        """The envelope within the layer: made once, so that an attempt can go on."""
        if path.exists():
            # A write that failed at its very end may not have made it last.
            sync_directory(path.parent)
            return path.read_bytes()
        inner = (path.parent / envelope.file).read_bytes()
        data = wrap(inner, recording_id, key, os.urandom)
        write_durably(path, data)
        return data

    # -- alarms -----------------------------------------------------------------------

    def _tell_missing(self, day: date) -> None:
        if day not in self._missing:
            self._missing.add(day)
            self._log.critical("day_key_missing", day=day.isoformat())
            self._problem("day-key-missing")

    def _coming(self, keys: DayKeyList) -> int:
        today = day_of(self._utc_ns())
        for ahead in range(AHEAD):
            if keys.current(today + timedelta(days=ahead)) is None:
                return ahead
        return AHEAD

    def _count(self, keys: DayKeyList) -> None:
        """Warn once a day while few coming days have a key."""
        now = day_of(self._utc_ns()), self._coming(keys)
        if now != self._told:
            self._told = now
            if now[1] < FEW_DAYS:
                self._log.warning("day_keys_running_out", days=now[1])
