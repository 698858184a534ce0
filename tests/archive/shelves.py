"""Archives for tests: recordings by name alone, as a storage lists them."""

from datetime import date
from typing import Final
from uuid import UUID

from agent.archive.store import Archive
from agent.formats.layout import (
    Domain,
    Folder,
    dated,
    day_of,
    envelope_key,
    index_key,
    manifest_key,
    month_of,
    seal_key,
)
from agent.upload.backends.memory import MemoryBackend
from tests.archive.logs import NOON

TODAY: Final = day_of(NOON)


class Shelf:
    """Two places in memory, and the archive in them."""

    def __init__(self, by: Folder = Folder.KEYS, now: int = NOON) -> None:
        self.asked: list[tuple[str, str]] = []
        self.now = now

        def before(operation: str, key: str) -> None:
            self.asked.append((operation, key))

        self.locked = MemoryBackend(before)
        self.state = MemoryBackend(before)
        self.archive = Archive(self.locked, self.state, by=by, clock=lambda: self.now)

    def store(self, number: int, day: date, blinds: dict[Domain, str]) -> str:
        """A recording, in every folder that it has an object in."""
        recording_id = id_of(number)
        self.state.objects[envelope_key(day, recording_id)] = b"envelope"
        for key in (
            dated(Folder.AUDIO, day, f"{recording_id}.wav.age"),
            manifest_key(day, recording_id),
            seal_key(day, recording_id),
        ):
            self.locked.objects[key] = b"sealed"
        for domain, blind in blinds.items():
            key = index_key(month_of(day), domain, blind, recording_id)
            self.state.objects[key] = b""
        return recording_id


def id_of(number: int) -> str:
    """A recording's id that is the same in every run."""
    return str(UUID(int=number << 80 | 0x4 << 76 | 0x2 << 62))
