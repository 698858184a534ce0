"""Keys of journals that are not sealed yet, in memory that outlives this process.

A slot each, zeroed at sealing: FORMAT.md, section 9. Only in memory, and only as long
as the recording needs them: whoever takes the disk gets none.
"""

from collections.abc import Mapping
from mmap import mmap
from typing import Final
from uuid import UUID

from agent.common.errors import AgentError
from agent.formats.journal import KEY_SIZE

SLOT_SIZE: Final = 64
_ID: Final = slice(1, 17)
_KEY: Final = slice(17, 17 + KEY_SIZE)


class NoKeySlotError(AgentError):
    """There are more unsealed recordings than slots."""

    permanent = False
    hint = "Make room for the finishers: recordings wait to be sealed."


class JournalKeys:
    """The journal keys by recording id, kept in `memory` of whole slots."""

    def __init__(self, memory: mmap | bytearray) -> None:
        self._memory = memory
        self._slots: dict[str, int] = {}
        self._free: list[int] = []
        for at in range(len(memory) - SLOT_SIZE, -1, -SLOT_SIZE):
            if memory[at]:
                recording = UUID(bytes=bytes(memory[at + 1 : at + 17]))
                self._slots[str(recording)] = at
            else:
                self._free.append(at)

    def keep(self, recording_id: str, key: bytes) -> None:
        """Keep a recording's key. Raises NoKeySlotError."""
        if not self._free:
            raise NoKeySlotError("No journal key more can be kept.")
        at = self._free.pop()
        slot = bytearray(SLOT_SIZE)
        slot[_ID] = UUID(recording_id).bytes
        slot[_KEY] = key
        self._memory[at : at + SLOT_SIZE] = bytes(slot)
        # Last: until it stands there, the slot is free.
        self._memory[at] = 1
        self._slots[recording_id] = at

    def forget(self, recording_id: str) -> None:
        """Zero a recording's key: it is sealed, or will never be."""
        at = self._slots.pop(recording_id, None)
        if at is not None:
            self._memory[at : at + SLOT_SIZE] = bytes(SLOT_SIZE)
            self._free.append(at)

    def all(self) -> Mapping[str, bytes]:
        """Every key that is kept, by recording id."""
        return {
            recording_id: bytes(self._memory[at : at + SLOT_SIZE][_KEY])
            for recording_id, at in self._slots.items()
        }
