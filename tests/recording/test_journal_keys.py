import pytest

from agent.common.ids import new_id
from agent.recording.journal_keys import SLOT_SIZE, JournalKeys, NoKeySlotError

KEY = bytes(range(32))


def test_the_next_process_finds_every_key_of_what_is_not_sealed() -> None:
    memory = bytearray(4 * SLOT_SIZE)
    keys = JournalKeys(memory)
    one, other = new_id(), new_id()
    keys.keep(one, KEY)
    keys.keep(other, KEY[::-1])
    keys.forget(other)
    assert JournalKeys(memory).all() == {one: KEY}


def test_of_a_sealed_recording_no_byte_stays() -> None:
    memory = bytearray(2 * SLOT_SIZE)
    keys = JournalKeys(memory)
    recording = new_id()
    keys.keep(recording, KEY)
    assert KEY in memory
    keys.forget(recording)
    keys.forget(recording)
    assert not any(memory)


def test_more_than_there_are_slots_is_told() -> None:
    keys = JournalKeys(bytearray(2 * SLOT_SIZE))
    first = new_id()
    keys.keep(first, KEY)
    keys.keep(new_id(), KEY)
    with pytest.raises(NoKeySlotError):
        keys.keep(new_id(), KEY)
    keys.forget(first)
    keys.keep(new_id(), KEY)


def test_a_slot_half_written_is_free() -> None:
    memory = bytearray(SLOT_SIZE)
    JournalKeys(memory).keep(new_id(), KEY)
    memory[0] = 0
    assert JournalKeys(memory).all() == {}
