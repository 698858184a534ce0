import itertools
import random
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from agent.access import opening
from agent.access.opening import (
    NO_ROSTER,
    Expected,
    Found,
    OpenError,
    collect,
    from_files,
    open_found,
)
from agent.archive.verification import VerificationError
from agent.formats.age import KeyKind, NoMatchError, encrypt, generate_identity
from agent.formats.container import read_wav
from agent.formats.roster import Roster
from agent.upload.backends.memory import MemoryBackend
from agent.upload.targets import Target
from tests.archive.sealed_world import World, people
from tests.recording.segments import CALLER, Segment, entropy, quality, stereo

DAY = date(2026, 11, 23)
KEYS = [quality().identity]
ROSTER = people()
OFFICER_NUMBER = "+358295000201"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "spool")


async def found_of(world: World, segment: Segment) -> Found:
    await world.store()
    return await collect(segment.id, [world.target], day=DAY)


async def test_what_is_verified_is_opened(world: World) -> None:
    segment = world.record()
    found = await found_of(world, segment)
    opened = open_found(found, KEYS, ROSTER)
    assert read_wav(opened.audio).samples == stereo(range(10), 10)
    assert (opened.id, opened.suffix, opened.warnings) == (segment.id, "wav", ())
    assert opened.manifest.to_bytes() == opened.facts
    for shown in (repr(opened), repr(found), repr(Expected("caller", CALLER))):
        assert CALLER not in shown
        assert "RIFF" not in shown


async def test_what_a_search_asked_for_is_held_against_the_manifest(
    world: World,
) -> None:
    found = await found_of(world, world.record())
    for expected in (Expected("caller", CALLER), Expected("officer", OFFICER_NUMBER)):
        assert open_found(found, KEYS, ROSTER, expected=expected)
    for domain in ("caller", "officer"):
        with pytest.raises(VerificationError) as caught:
            open_found(found, KEYS, ROSTER, expected=Expected(domain, "+35850"))
        assert caught.value.object == "index"
        assert "+35850" not in str(caught.value)


async def test_journals_of_a_dead_host_are_verified_too(world: World) -> None:
    segment = world.record(dies=True)
    found = await found_of(world, segment)
    opened = open_found(found, KEYS, ROSTER)
    assert opened.manifest.outcome == "partial"
    assert opened.manifest.id == segment.id
    found.journals["0.journal"] += b"\0"
    with pytest.raises(VerificationError) as caught:
        open_found(found, KEYS, ROSTER)
    assert caught.value.object == "0.journal"


async def test_without_a_roster_it_says_what_was_not_verified(world: World) -> None:
    segment = world.record()
    found = await found_of(world, segment)
    found.seal = b""
    assert open_found(found, KEYS, None).warnings == (NO_ROSTER,)


async def test_a_recording_without_a_seal(world: World) -> None:
    found = await found_of(world, world.record())
    found.seal = b""
    with pytest.raises(VerificationError, match="seal: it is missing") as caught:
        open_found(found, KEYS, ROSTER)
    assert "Nothing of it was shown" in caught.value.hint


async def test_a_stranger_opens_nothing(world: World) -> None:
    found = await found_of(world, world.record())
    with pytest.raises(NoMatchError, match="envelope"):
        open_found(found, [generate_identity(KeyKind.CLASSIC, entropy)], ROSTER)


# -- one bit, or more ----------------------------------------------------------------


def flipped(data: bytes, at: int) -> bytes:
    changed = bytearray(data)
    changed[at // 8] ^= 1 << at % 8
    return bytes(changed)


FLIPS = {
    "envelope": ("envelope", 1),
    "manifest": ("json.age", 11),
    "audio": ("wav.age", 61),
}
"What each is named, and every how many bits one is tried."


@pytest.mark.parametrize(
    ("part", "roster"),
    [("seal", ROSTER), *itertools.product(FLIPS, [ROSTER, None])],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_flipped_bit_is_found_and_named_before_anything_is_returned(
    world: World, part: str, roster: Roster | None
) -> None:
    named, step = FLIPS.get(part, (part, 1))
    found = await found_of(world, world.record(frames=3))
    whole: bytes = getattr(found, part)
    for at in range(random.Random(step).randrange(step), 8 * len(whole), step):
        setattr(found, part, flipped(whole, at))
        with pytest.raises((VerificationError, NoMatchError)) as caught:
            open_found(found, KEYS, roster)
        assert named in str(caught.value)
    setattr(found, part, whole)
    assert open_found(found, KEYS, roster)


async def test_parts_of_another_recording(world: World) -> None:
    one, other = world.record(), world.record()
    first, second = await found_of(world, one), await found_of(world, other)
    for part, named in (
        ("seal", "seal"),
        ("audio", "wav.age"),
        ("manifest", "json.age"),
        ("envelope", "envelope"),
    ):
        found = Found(one.id)
        for name in ("seal", "audio", "manifest", "envelope", "suffix"):
            setattr(found, name, getattr(second if name == part else first, name))
        with pytest.raises(VerificationError) as caught:
            open_found(found, KEYS, ROSTER)
        assert caught.value.object == named


async def test_objects_that_the_host_never_stored_or_that_are_gone(
    world: World,
) -> None:
    found = await found_of(world, world.record())
    found.journals["0.journal"] = b"x"
    with pytest.raises(VerificationError, match=r"0\.journal: the host has stored no"):
        open_found(found, KEYS, ROSTER)
    found.journals.clear()
    found.manifest = b""
    with pytest.raises(VerificationError, match=r"json\.age: it is missing"):
        open_found(found, KEYS, ROSTER)


async def forged(
    world: World, change: Callable[[Segment, Found], None]
) -> VerificationError:
    """What becomes of a recording that somebody with its key made anew, unsigned."""
    segment = world.record()
    found = await found_of(world, segment)
    change(segment, found)
    with pytest.raises(VerificationError):
        open_found(found, KEYS, ROSTER)
    with pytest.raises(VerificationError) as caught:
        open_found(found, KEYS, None)
    return caught.value


async def test_a_reader_cannot_put_another_recording_in_its_place(
    world: World,
) -> None:
    other = world.record()
    _, facts = other.opened(world.spool.sealed_path(other.id, ""))

    def manifest_of_another(segment: Segment, found: Found) -> None:
        recipient = segment.key.identity.recipient()
        found.manifest = encrypt(facts.to_bytes(), [recipient], entropy)

    def no_manifest(segment: Segment, found: Found) -> None:
        recipient = segment.key.identity.recipient()
        found.manifest = encrypt(b"{}", [recipient], entropy)

    def other_audio(segment: Segment, found: Found) -> None:
        recipient = segment.key.identity.recipient()
        found.audio = encrypt(b"RIFF", [recipient], entropy)

    error = await forged(world, manifest_of_another)
    assert str(error).startswith("json.age: it is that of another recording")
    assert (await forged(world, no_manifest)).object == "json.age"
    error = await forged(world, other_audio)
    assert str(error).startswith("wav.age: it is not the audio")


async def test_a_host_that_signs_in_anothers_name(tmp_path: Path) -> None:
    # host-b's own key and name: its seal is good, and the manifest says host-a.
    world = World(tmp_path / "b", host="host-b")
    found = await found_of(world, world.record())
    with pytest.raises(VerificationError, match=r"json\.age: it names another host"):
        open_found(found, KEYS, ROSTER)
    unknown = World(tmp_path / "c", host="host-c")
    found = await found_of(unknown, unknown.record())
    with pytest.raises(VerificationError, match="no host of the roster"):
        open_found(found, KEYS, ROSTER)


# -- to whom it was sealed -----------------------------------------------------------


async def test_an_envelope_with_another_key_in_it(world: World) -> None:
    found = await found_of(world, world.record())
    other = world.record()
    recipient = quality().identity.recipient()
    found.envelope = other.key.seal([recipient], entropy)
    with pytest.raises(VerificationError, match="envelope: it holds another key"):
        open_found(found, KEYS, ROSTER)


async def test_who_else_was_to_have_it_is_told(world: World) -> None:
    stranger = generate_identity(KeyKind.CLASSIC, entropy)
    segment = world.record(readers=[str(stranger.recipient()), ROSTER.recovery[0]])
    found = await found_of(world, segment)
    [warning] = open_found(found, KEYS, ROSTER).warnings
    assert warning == "1 of those it was made for are not in the roster"
    later = generate_identity(KeyKind.CLASSIC, entropy)
    found.envelope = segment.key.seal([later.recipient()], entropy)
    first, _ = open_found(found, [later], ROSTER).warnings
    assert first.startswith("the envelope was wrapped anew since")


async def test_what_was_begun_before_the_host_signed(world: World) -> None:
    found = await found_of(world, world.record(signs=False))
    [warning] = open_found(found, KEYS, ROSTER).warnings
    assert warning.startswith("the host did not sign yet")


# -- where it is read from -----------------------------------------------------------


async def test_it_is_found_in_any_storage_by_its_id_alone(world: World) -> None:
    segment = world.record()
    await world.store()
    empty = Target(MemoryBackend(), MemoryBackend())
    found = await collect(segment.id, [empty, world.target])
    assert found == await collect(segment.id, [world.target], day=DAY)
    with pytest.raises(OpenError, match="envelope was not found") as caught:
        await collect(segment.id, [empty])
    assert "erased" in caught.value.hint


async def test_what_is_older_than_anybody_keeps_is_still_found(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    segment = world.record()
    await world.store()
    monkeypatch.setattr("agent.archive.store.LONGEST_BACK", 0)
    monkeypatch.setattr("agent.archive.store.AHEAD", -400)
    assert (await collect(segment.id, [world.target])).seal


async def test_with_a_released_envelope_nothing_in_keys_is_asked_for(
    world: World,
) -> None:
    segment = world.record()
    await world.store()
    envelope = world.state.objects.pop(world.key_of(segment, "key.age"))
    asked: list[str] = []
    state = MemoryBackend(lambda _, key: asked.append(key))
    target = Target(world.locked, state)
    found = await collect(segment.id, [target], envelope=envelope)
    assert open_found(found, KEYS, ROSTER)
    assert asked == []


async def test_an_object_larger_than_any_recording(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    segment = world.record()
    path = world.spool.sealed_path(segment.id, f"{segment.id}.wav.age")
    assert open_found(from_files(path), KEYS, None)
    await world.uploader._objects_of(segment.id)
    assert open_found(from_files(path), KEYS, ROSTER)
    monkeypatch.setattr(opening, "MAX_OBJECT", 10)
    with pytest.raises(OpenError, match="larger"):
        from_files(path)
    await world.store()
    with pytest.raises(OpenError, match="larger"):
        await collect(segment.id, [world.target], day=DAY)


async def test_an_envelope_alone_is_not_enough(world: World) -> None:
    segment = world.record()
    found = await found_of(world, segment)
    alone = Found(segment.id, found.envelope)
    with pytest.raises(OpenError, match="neither audio nor a journal"):
        open_found(alone, KEYS, None)


async def test_journals_of_another_recording(world: World) -> None:
    one = world.record(dies=True)
    found = await found_of(world, one)
    other = Found("x", found.envelope, journals=found.journals)
    with pytest.raises(VerificationError, match="journal: it is that of another"):
        open_found(other, KEYS, None)
