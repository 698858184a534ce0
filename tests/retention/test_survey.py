from datetime import date

from agent.archive.store import Archive
from agent.formats.layout import dated
from agent.retention.site import Place
from agent.retention.survey import due_days, recordings_of
from agent.upload.backends.memory import MemoryBackend

IDS = [f"00000000-0000-4000-8000-{number:012x}" for number in range(4)]
DAYS = [date(2026, 11, 23), date(2026, 12, 1), date(2027, 1, 1), date(2027, 1, 2)]


def place() -> Place:
    locked, state = MemoryBackend(), MemoryBackend()
    state.objects = {
        dated("keys", DAYS[0], f"{IDS[0]}.key.age"): b"",
        dated("keys", DAYS[2], f"{IDS[2]}.key.age"): b"",
        "keys/0000/strange": b"",
        "keys/2026/11/23/strange": b"",
    }
    locked.objects = {
        dated("audio", DAYS[0], f"{IDS[3]}.wav.age"): b"",
        dated("audio", DAYS[1], f"{IDS[1]}.0.journal"): b"",
        dated("manifest", DAYS[3], f"{IDS[0]}.seal"): b"",
    }
    return Place("one", Archive(locked, state))


async def test_days_are_found_up_to_the_first_that_is_not_due() -> None:
    found = await due_days(place(), lambda day: day < date(2027, 1, 1))
    assert found == {*DAYS[:2]}


async def test_a_days_recordings_are_those_of_which_anything_is_left() -> None:
    other = Place("two", Archive(MemoryBackend(), MemoryBackend()))
    await other.archive.state.put(dated("keys", DAYS[0], f"{IDS[1]}.key.age"), b"")
    found = await recordings_of([place(), other], DAYS[0])
    assert (found.ids, found.strange) == ({IDS[0], IDS[1], IDS[3]}, 1)
