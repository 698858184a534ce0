import random
from collections.abc import AsyncIterator, Iterable
from datetime import date
from pathlib import Path

import pytest

from agent.archive.day_verification import verify_chain
from agent.archive.seal_chains import Finding, FindingKind
from agent.archive.tombstones import Tombstone
from agent.formats.layout import dated
from agent.formats.seal import parse_seal, seal_place
from tests.archive.sealed_world import World, people
from tests.recording.segments import Segment

DAY = date(2026, 11, 23)
ROSTER = people()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "spool")


async def stored(world: World, count: int) -> list[Segment]:
    segments = []
    for _ in range(count):
        segments.append(world.record(frames=2))
        await world.store()
    return segments


async def found(
    world: World, tombstones: Iterable[Tombstone] = (), **options: bool
) -> list[Finding]:
    return await verify_chain(world.archive, DAY, ROSTER, tombstones, **options)


def buried(world: World, segment: Segment) -> Tombstone:
    """Erase a recording, as erasure does where nothing is locked."""
    key = world.key_of(segment, "seal")
    data = world.locked.objects[key]
    seal = seal_place(data, parse_seal(data))
    remove(world, segment)
    return Tombstone(
        id=segment.id,
        created=DAY,
        erased_at="2026-11-25T12:00:00Z",
        method="envelope-deleted",
        policy="early",
        seal=seal,
    )


def remove(world: World, segment: Segment) -> None:
    for place in (world.locked.objects, world.state.objects):
        for key in [key for key in place if segment.id in key]:
            del place[key]


async def test_a_day_that_is_whole(world: World) -> None:
    await stored(world, 5)
    assert await found(world) == []
    assert await verify_chain(world.archive, date(2026, 11, 24), ROSTER, []) == []


async def test_a_removed_recording_shows_and_a_tombstone_explains_it(
    world: World,
) -> None:
    segments = await stored(world, 5)
    tombstone = buried(world, segments[2])
    assert await found(world, [tombstone]) == []
    [hole] = await found(world)
    assert hole.kind is FindingKind.CHAIN_HOLE
    assert hole.what.endswith("/3")
    remove(world, segments[1])
    [hole] = await found(world, [tombstone])
    assert hole.what.endswith("/2")


async def test_parts_that_are_gone_altered_or_foreign(world: World) -> None:
    segments = await stored(world, 3)
    one, two, three = segments
    kinds = {
        FindingKind.OBJECT_MISSING: world.key_of(one, "wav.age"),
        FindingKind.OBJECT_ALTERED: world.key_of(two, "json.age"),
        FindingKind.OBJECT_FOREIGN: dated("audio", DAY, f"{three.id}.flac.age"),
    }
    del world.locked.objects[kinds[FindingKind.OBJECT_MISSING]]
    altered = kinds[FindingKind.OBJECT_ALTERED]
    world.locked.objects[altered] += b"\0"
    world.locked.objects[kinds[FindingKind.OBJECT_FOREIGN]] = b"x"
    assert {one.kind: one.what for one in await found(world)} == kinds
    erased = buried(world, one)
    assert {one.kind for one in await found(world, [erased])} == {
        FindingKind.OBJECT_ALTERED,
        FindingKind.OBJECT_FOREIGN,
    }


async def test_a_flipped_bit_is_named_by_its_object(world: World) -> None:
    segments = await stored(world, 2)
    rng = random.Random(11)
    for suffix, kind in (
        ("wav.age", FindingKind.OBJECT_ALTERED),
        ("json.age", FindingKind.OBJECT_ALTERED),
        ("seal", FindingKind.SEAL_REFUSED),
    ):
        key = world.key_of(segments[1], suffix)
        whole = world.locked.objects[key]
        for at in rng.sample(range(8 * len(whole)), 25):
            changed = bytearray(whole)
            changed[at // 8] ^= 1 << at % 8
            world.locked.objects[key] = bytes(changed)
            [finding] = await found(world)
            assert (finding.kind, finding.id) == (kind, segments[1].id)
            assert finding.what == key
        world.locked.objects[key] = whole
    assert await found(world) == []


async def test_recordings_changed_for_each_other(world: World) -> None:
    one, two = await stored(world, 2)
    first, second = (world.key_of(segment, "seal") for segment in (one, two))
    place = world.locked.objects
    place[first], place[second] = place[second], place[first]
    findings = await found(world)
    assert {(f.kind, f.id) for f in findings} == {
        (FindingKind.SEAL_REFUSED, one.id),
        (FindingKind.SEAL_REFUSED, two.id),
    }


async def test_a_recording_that_no_host_made(world: World, tmp_path: Path) -> None:
    await stored(world, 1)
    stranger = World(tmp_path / "stranger", host="host-c")
    [segment] = await stored(stranger, 1)
    world.locked.objects |= stranger.locked.objects
    [finding] = await found(world)
    assert (finding.kind, finding.id) == (FindingKind.SEAL_REFUSED, segment.id)
    del world.locked.objects[stranger.key_of(segment, "seal")]
    [finding] = await found(world)
    assert (finding.kind, finding.id) == (FindingKind.SEAL_MISSING, segment.id)


async def test_a_seal_larger_than_any_and_a_strange_name(world: World) -> None:
    [segment] = await stored(world, 1)
    world.locked.objects[world.key_of(segment, "seal")] = bytes(1 << 19)
    world.locked.objects["audio/2026/11/23/Maija Meikäläinen.wav"] = b""
    findings = await found(world)
    assert [one.kind for one in findings] == [
        FindingKind.OBJECT_FOREIGN,
        FindingKind.SEAL_REFUSED,
    ]
    assert "Maija" not in str(findings)


async def test_what_nobody_can_open_any_more(world: World) -> None:
    one, two = await stored(world, 2)
    for segment in (one, two):
        del world.state.objects[world.key_of(segment, "key.age")]
    tombstone = Tombstone(
        id=one.id,
        created=DAY,
        erased_at="2026-11-25T12:00:00Z",
        method="key-destroyed",
        policy="early",
    )
    [finding] = await found(world, [tombstone])
    assert (finding.kind, finding.id) == (FindingKind.ENVELOPE_MISSING, two.id)
    assert await found(world, [tombstone], envelopes=False) == []


async def test_without_reading_audio_its_size_is_compared(world: World) -> None:
    [segment] = await stored(world, 1)
    key = world.key_of(segment, "wav.age")
    whole = world.locked.objects[key]
    world.locked.objects[key] = whole[:-1] + bytes([whole[-1] ^ 1])
    assert await found(world, audio=False) == []
    assert len(await found(world)) == 1
    world.locked.objects[key] = whole[:-1]
    assert len(await found(world, audio=False)) == 1


async def test_what_goes_while_it_is_read_is_altered(world: World) -> None:
    [segment] = await stored(world, 1)
    key = world.key_of(segment, "wav.age")
    get = world.locked.get

    def gone(name: str) -> AsyncIterator[bytes]:
        if name == key:
            world.locked.objects.pop(key, None)
        return get(name)

    world.locked.get = gone  # type: ignore[method-assign]
    [finding] = await found(world)
    assert (finding.kind, finding.what) == (FindingKind.OBJECT_ALTERED, key)


async def test_a_false_seal_of_another_day_is_that_days_business(
    world: World,
) -> None:
    await stored(world, 1)
    name = "7e0c5a11-93c0-4f5f-8d6e-0123456789ab"
    world.locked.objects[f"manifest/2026/11/24/{name}.seal"] = b"junk"
    assert await found(world) == []


async def test_two_hosts_with_one_key_fork_nothing(
    world: World, tmp_path: Path
) -> None:
    """Each spool has a chain of its own, also where a host was set up anew."""
    await stored(world, 2)
    again = World(tmp_path / "again")
    await stored(again, 2)
    world.locked.objects |= again.locked.objects
    world.state.objects |= again.state.objects
    assert await found(world) == []
