"""What the gate's acts work on: storage, keys, log, roster, counts."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final
from weakref import WeakValueDictionary

from agent.archive.audit_log import AuditLog
from agent.archive.keyring import Keyring
from agent.archive.states import States
from agent.archive.store import Archive
from agent.archive.store_log import StoreLog
from agent.archive.tombstones import Erased
from agent.archive.witness import Witness
from agent.common.clock import monotonic, utc_ns
from agent.common.moments import moment_of, moment_text
from agent.formats.layout import day_of
from agent.formats.roster import Roster
from agent.gate.limits import Limits
from agent.upload.backend import StorageBackend

KEYS_WAIT: Final = 20.0
"Seconds that an act waits for a sweep that changes envelopes."


class RecordLocks:
    """One lock for each record that somebody acts on at the moment."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def __call__(self, recording_id: str) -> asyncio.Lock:
        """The record's lock; who holds on to it keeps it alive."""
        return self._locks.setdefault(recording_id, asyncio.Lock())


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """All of them; agent.gate.opening makes them from a configuration."""

    name: str
    "The gate's, as the audit log has it."
    archive: Archive
    "The first storage: what the gate answers from."
    copies: Mapping[str, StorageBackend] = field(default_factory=dict)
    "Where other storages keep the ends of the log's days, by their names."
    others: tuple[Archive, ...] = ()
    "Further storages: they hold the same recordings."
    states: States
    erased: Erased
    log: AuditLog
    keyring: Keyring
    roster: Callable[[], Roster]
    "The newest that was believed."
    limits: Limits
    witness: Witness = field(default_factory=Witness)
    "What the log says is in force."
    store_log: StoreLog | None = None
    "The first storage's own access log, where the gate can read it."
    clock: Callable[[], int] = utc_ns
    monotonic: Callable[[], float] = monotonic
    record_locks: RecordLocks = field(default_factory=RecordLocks)
    """An answer about a record is given before the next act on it begins: from the
    answer to `restrict` on, no release that was under way comes after it."""
    keys_lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    "Whoever replaces envelopes: a sweep, an erasure, a new wrapping."

    def now(self) -> datetime:
        """UTC."""
        return moment_of(self.clock())

    def today(self) -> date:
        """The local day."""
        return day_of(self.clock())

    def instant(self) -> str:
        """UTC to the second, as documents have it."""
        return moment_text(self.now())
