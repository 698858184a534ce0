from datetime import date
from pathlib import Path

import pytest

from agent.archive.verification import VerificationError, verify_recording
from agent.formats.layout import dated
from tests.archive.sealed_world import HOST, World, people

DAY = date(2026, 11, 23)
ROSTER = people()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "spool")


async def test_a_recording_is_as_its_host_sealed_it(world: World) -> None:
    segments = [world.record(), world.record(dies=True)]
    await world.store()
    for segment in segments:
        verified = await verify_recording(world.archive, segment.id, DAY, ROSTER)
        assert verified.statement.id == segment.id
        assert verified.place.host == HOST


async def test_a_flipped_bit_of_a_seal_is_named(world: World) -> None:
    segment = world.record(frames=1)
    await world.store()
    key = world.key_of(segment, "seal")
    whole = world.locked.objects[key]
    for at in range(0, 8 * len(whole), 9):
        changed = bytearray(whole)
        changed[at // 8] ^= 1 << at % 8
        world.locked.objects[key] = bytes(changed)
        with pytest.raises(VerificationError) as caught:
            await verify_recording(world.archive, segment.id, DAY, ROSTER)
        assert caught.value.object == "seal"


async def test_under_another_day(world: World) -> None:
    segment = world.record()
    await world.store()
    other = date(2026, 11, 24)
    for suffix in ("wav.age", "json.age", "seal"):
        key = world.key_of(segment, suffix)
        folder = key.partition("/")[0]
        moved = dated(folder, other, f"{segment.id}.{suffix}")
        world.locked.objects[moved] = world.locked.objects.pop(key)
    with pytest.raises(VerificationError, match="under another day"):
        await verify_recording(world.archive, segment.id, other, ROSTER)


async def test_what_is_missing_is_named(world: World) -> None:
    segment = world.record()
    await world.store()
    audio = world.locked.objects.pop(world.key_of(segment, "wav.age"))
    with pytest.raises(VerificationError, match=r"wav\.age: it is missing"):
        await verify_recording(world.archive, segment.id, DAY, ROSTER)
    key = dated("audio", DAY, f"{segment.id}.flac.age")
    world.locked.objects[key] = audio
    with pytest.raises(VerificationError, match=r"flac\.age: the host has stored no"):
        await verify_recording(world.archive, segment.id, DAY, ROSTER)
