"""The alarms that are on: what the log has said and nobody has put right yet.

Fed by `logs.listen`; an alarm is an event of the catalogue that raises one, together
with the fields that tell it from others of its kind: a storage, a peer, a worker.
"""

import asyncio
import threading
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from agent.common import logs
from agent.common.catalogue import CATALOGUE, Entry
from agent.common.logs import Told

MAX_ALARMS: Final = 256
"Far above what a host has storages, peers and workers; the oldest gives way."
LASTS_NS: Final = 24 * 3600 * 1_000_000_000
"So long something that has just happened stays on the board, seen by every shift."
IDS: Final = frozenset(
    {
        "call_id",
        "host",
        "leg",
        "logger",
        "month",
        "part",
        "peer",
        "place",
        "recording_id",
        "socket",
        "storage",
        "task",
        "worker",
    }
)
"Fields that an alarm carries: names of ours, never of people."


class Alarm(msgspec.Struct, frozen=True):
    """One alarm that is on."""

    event: str
    message_id: str
    summary: str
    since_utc_ns: int
    count: int
    "How often it has been told since."
    fields: dict[str, str]
    "Which one: the ids of its last line."


Listener = Callable[[Alarm, bool], None]
_Key = tuple[str, ...]


class AlarmBoard:
    """Which alarms are on. Of one thread: the one that runs the loop."""

    def __init__(self, catalogue: Mapping[str, Entry] = CATALOGUE) -> None:
        self._catalogue = catalogue
        self._clears: dict[str, list[Entry]] = {}
        "By the event that clears them."
        for entry in catalogue.values():
            if entry.cleared_by is not None:
                self._clears.setdefault(entry.cleared_by, []).append(entry)
        self._alarms: dict[_Key, Alarm] = {}
        self._last_ns: dict[_Key, int] = {}
        self._listeners: list[Listener] = []

    def follow(self, loop: asyncio.AbstractEventLoop) -> Callable[[], None]:
        """Note what this process logs; to be called by the thread that runs `loop`.

        Returns what ends it.
        """
        own = threading.get_ident()

        def hear(told: Told) -> None:
            if told.event not in self._catalogue and told.event not in self._clears:
                return
            if threading.get_ident() == own:
                self.note(told)
            else:
                loop.call_soon_threadsafe(self.note, told)

        return logs.listen(hear)

    def note(self, told: Told) -> None:
        """Raise, count or clear what one line of the log means."""
        self.expire(told.utc_ns)
        for entry in self._clears.get(told.event, ()):
            self._clear(entry, told)
        own = self._catalogue.get(told.event)
        if own is not None and own.raises:
            self._raise(own, told)

    def expire(self, utc_ns: int) -> None:
        """Take down what happened long ago and nothing else would clear."""
        for key in [
            key
            for key, last in self._last_ns.items()
            if utc_ns - last >= LASTS_NS and self._catalogue[key[0]].cleared_by is None
        ]:
            self._take_down(key)

    def active(self) -> tuple[Alarm, ...]:
        """What is on, the oldest first."""
        return tuple(self._alarms.values())

    def listen(self, callback: Listener) -> Callable[[], None]:
        """Have `callback` hear of each alarm that is raised, told again or cleared.

        Returns what ends it.
        """
        self._listeners.append(callback)
        return lambda: self._listeners.remove(callback)

    def _raise(self, entry: Entry, told: Told) -> None:
        key = _key(entry, told.fields)
        known = self._alarms.get(key)
        if known is None and len(self._alarms) >= MAX_ALARMS:
            self._take_down(next(iter(self._alarms)))
        alarm = self._alarms[key] = Alarm(
            event=entry.event,
            message_id=entry.message_id,
            summary=entry.summary,
            since_utc_ns=told.utc_ns if known is None else known.since_utc_ns,
            count=1 if known is None else known.count + 1,
            fields={
                name: str(value)
                for name, value in told.fields.items()
                if name in IDS or name in entry.by
            },
        )
        self._last_ns[key] = told.utc_ns
        self._tell(alarm, active=True)

    def _clear(self, entry: Entry, told: Told) -> None:
        """Clear those whose fields are the line's, as far as it has them."""
        said = {
            name: str(told.fields[name]) for name in entry.by if name in told.fields
        }
        for key, alarm in list(self._alarms.items()):
            if key[0] == entry.event and said.items() <= alarm.fields.items():
                self._take_down(key)

    def _take_down(self, key: _Key) -> None:
        del self._last_ns[key]
        self._tell(self._alarms.pop(key), active=False)

    def _tell(self, alarm: Alarm, *, active: bool) -> None:
        for callback in list(self._listeners):
            callback(alarm, active)


def _key(entry: Entry, fields: Mapping[str, object]) -> _Key:
    return (entry.event, *(str(fields.get(name, "")) for name in entry.by))
