"""Recordings of more legs than two, or fewer; legs that join; what a client told."""

import io
from itertools import pairwise

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings, strategies as st
from msgspec.structs import replace

from agent.formats.codecs.g711 import decode_alaw
from agent.formats.container import read_wav
from agent.formats.journal import pack_packet
from agent.formats.manifest import parse_manifest
from agent.formats.timeline import SPAN_MARKS
from agent.model.recording import (
    MAX_LEGS,
    METADATA_PART,
    UNDECIDED,
    Channel,
    SegmentBegin,
    SegmentMark,
    metadata_notes,
)
from agent.recording.assembly import Assembled, assemble
from agent.recording.finisher import finish_journals
from tests.recording.segments import (
    FRAME,
    MS,
    SESSION,
    START,
    begin,
    end,
    journal,
    mark,
    note,
    packet,
    payload,
    quality,
    records,
)
from tests.recording.test_assembly import ID, manifest_of

CUSTOMER, OFFICER, BOTH = Channel
PCMA = {"8": "PCMA"}


def session_of(*channels: Channel, **changes: object) -> SegmentBegin:
    codecs = {str(leg): PCMA for leg in range(len(channels))}
    made = replace(begin(ID), channels=channels, codecs=codecs, session=SESSION)
    return replace(made, **changes)


def joins(leg: int, frame: int, channel: Channel = BOTH) -> SegmentMark:
    return replace(
        mark(frame, "stream"), leg=leg, channel=channel, codecs={str(leg): PCMA}
    )


def said(numbers: range, *legs: int) -> bytes:
    return b"".join(records(numbers, legs))


def assembled(*epochs: tuple[bytes, ...]) -> Assembled:
    readers = [
        io.BytesIO(journal(quality(), ID, blocks, epoch=epoch))
        for epoch, blocks in enumerate(epochs)
    ]
    return assemble(readers, quality().journal_key(ID))


def wav(result: Assembled) -> tuple[bytes, bytes]:
    octets = read_wav(b"".join(result.track.file())).samples
    return octets[0::2], octets[1::2]


def linear(result: Assembled) -> tuple[list[int], list[int]]:
    file = b"".join(result.track.file())
    samples, _ = soundfile.read(io.BytesIO(file), dtype="int16")
    return samples[:, 0].tolist(), samples[:, 1].tolist()


def spoken(leg: int, numbers: range) -> bytes:
    return b"".join(payload(leg, number) for number in numbers)


def levels(leg: int, numbers: range) -> list[int]:
    return np.frombuffer(decode_alaw(spoken(leg, numbers)), "<i2").astype(int).tolist()


def test_one_mixed_stream_is_heard_on_both_sides_and_is_not_one_way() -> None:
    result = assembled((note(session_of(BOTH)), said(range(200), 0), note(end(200))))
    assert wav(result) == (spoken(0, range(200)),) * 2
    manifest = manifest_of(result)
    assert (manifest.audio.format, manifest.verdict) == ("wav-alaw", "good")
    assert [leg.role for leg in manifest.legs] == ["both"]


def test_one_party_alone_is_one_way() -> None:
    result = assembled(
        (note(session_of(CUSTOMER)), said(range(200), 0), note(end(200)))
    )
    left, right = wav(result)
    assert left == spoken(0, range(200))
    assert set(right) == {0xD5}
    assert manifest_of(result).verdict == "one-way"


def test_a_mixed_stream_of_nothing_is_silent() -> None:
    result = assembled((note(session_of(BOTH)), note(end(200))))
    assert manifest_of(result).verdict == "silent"


def test_legs_of_one_side_are_added_up_and_clipped() -> None:
    """Two legs are the customer's; one of them is at full scale, for a while both."""
    loud = bytes((0xAA,)) * FRAME

    def shouted(leg: int, numbers: range) -> bytes:
        return b"".join(
            pack_packet(leg, START + n * 20 * MS, packet(leg, n)[:12] + loud)
            for n in numbers
        )

    result = assembled(
        (
            note(session_of(CUSTOMER, OFFICER, CUSTOMER)),
            said(range(10), 1),
            said(range(5), 0) + shouted(0, range(5, 10)),
            shouted(2, range(10)),
            note(end(10)),
        )
    )
    left, right = linear(result)
    full = int(np.frombuffer(decode_alaw(b"\xaa"), "<i2")[0])
    assert left[: 5 * FRAME] == [full + one for one in levels(0, range(5))]
    assert set(left[5 * FRAME :]) == {32767}
    assert right == levels(1, range(10))
    manifest = manifest_of(result)
    assert manifest.audio.format == "flac"
    assert [leg.role for leg in manifest.legs] == ["customer", "officer", "customer"]
    assert [leg.clipping > 0 for leg in manifest.legs] == [True, False, True]


def test_a_leg_that_nobody_speaks_on_leaves_the_wires_own_octets() -> None:
    result = assembled(
        (
            note(session_of(CUSTOMER, OFFICER, BOTH)),
            said(range(200), 0, 1),
            note(end(200)),
        )
    )
    assert wav(result) == (spoken(0, range(200)), spoken(1, range(200)))
    # Each side was heard, whoever else was silent.
    assert manifest_of(result).verdict == "good"


def test_a_leg_that_joins_later_is_absent_before() -> None:
    result = assembled(
        (
            note(session_of(CUSTOMER)),
            said(range(100), 0),
            note(joins(1, 100, OFFICER)),
            said(range(100, 300), 0, 1),
            note(end(300)),
        )
    )
    left, right = wav(result)
    assert left == spoken(0, range(300))
    assert right == bytes((0xD5,)) * 100 * FRAME + spoken(1, range(100, 300))
    manifest = manifest_of(result)
    assert [(g.leg, g.start_ms, g.duration_ms, g.reason) for g in manifest.gaps] == [
        (1, 0, 2000, "absent")
    ]
    assert [leg.role for leg in manifest.legs] == ["customer", "officer"]
    assert manifest.legs[1].listened_ms == 4000
    assert manifest.verdict == "good"


def test_each_epoch_repeats_who_has_joined() -> None:
    """The block with the first note of it went with its worker."""
    result = assembled(
        (note(session_of(CUSTOMER)), said(range(100), 0)),
        (
            note(session_of(CUSTOMER)),
            note(joins(1, 90, OFFICER)),
            note(mark(100, "gap-begin")),
            note(mark(110, "gap-end")),
            said(range(110, 200), 0, 1),
            note(replace(mark(150, "codecs"), codecs={"0": PCMA, "1": PCMA})),
        ),
        (
            note(session_of(CUSTOMER)),
            note(joins(1, 90, OFFICER)),
            said(range(200, 300), 0, 1),
            note(end(300)),
        ),
    )
    assert wav(result)[1][110 * FRAME :] == spoken(1, range(110, 300))
    reasons = [gap.reason for gap in manifest_of(result).gaps if gap.leg == 1]
    assert reasons == ["absent", "late-start", "gap"]


def test_an_index_that_was_given_twice_or_without_its_note() -> None:
    result = assembled(
        (
            note(session_of(CUSTOMER)),
            note(joins(2, 0, OFFICER)),
            said(range(50), 0, 2),
            # Whoever gave it to another leg did not live to remember that.
            note(joins(2, 50, BOTH)),
            said(range(50, 100), 0, 2),
            note(joins(MAX_LEGS, 60)),
            note(replace(mark(60, "stream"), leg=-1)),
            said(range(100, 110), 3),
            note(end(100)),
        )
    )
    assert wav(result) == (spoken(0, range(100)), spoken(2, range(100)))
    assert len(manifest_of(result).legs) == 3


def test_one_legs_hold_or_pause_is_its_own_gap_and_no_pause_of_the_recording() -> None:
    spans = [
        replace(mark(20, "pause-begin"), leg=1, by="src", reason="inactive"),
        replace(mark(40, "pause-end"), leg=1, by="src", reason="inactive"),
        replace(mark(60, "hold"), leg=0),
        replace(mark(80, "resume"), leg=0),
        replace(mark(90, "pause-begin"), by="src", reason="inactive"),
    ]
    result = assembled(
        (
            note(session_of(CUSTOMER, OFFICER)),
            said(range(20), 0, 1),
            *map(note, spans),
            said(range(20, 40), 0),
            said(range(40, 60), 0, 1),
            said(range(60, 80), 1),
            said(range(80, 90), 0, 1),
            note(end(100)),
        )
    )
    manifest = manifest_of(result)
    assert [(g.leg, g.start_ms, g.duration_ms, g.reason) for g in manifest.gaps] == [
        (0, 1200, 400, "hold"),
        (0, 1800, 200, "pause"),
        (1, 400, 400, "pause"),
        (1, 1800, 200, "pause"),
    ]
    assert [(p.start_ms, p.by) for p in manifest.pauses] == [(1800, "src")]
    left, right = wav(result)
    assert left[20 * FRAME : 40 * FRAME] == spoken(0, range(20, 40))
    assert right[60 * FRAME : 80 * FRAME] == spoken(1, range(60, 80))


@pytest.mark.parametrize("count", [0, MAX_LEGS])
def test_none_and_as_many_as_there_may_be(count: int) -> None:
    channels = [CUSTOMER, OFFICER] * (count // 2)
    blocks = [pack_packet(n, START, packet(n % 6, 0)) for n in range(count)]
    result = assembled((note(session_of(*channels)), b"".join(blocks), note(end(50))))
    manifest = manifest_of(result)
    assert [leg.packets for leg in manifest.legs] == [0] * count
    assert manifest.verdict == "silent"
    assert manifest.session is not None


def test_what_the_client_told_is_kept() -> None:
    made = session_of(CUSTOMER, OFFICER, caller=UNDECIDED)
    document = b"<recording>" + bytes(2 * METADATA_PART)
    told = [
        *metadata_notes(b"<recording/>", (), START - MS),
        *metadata_notes(document, ("no-time-zone",), START + 700 * MS),
    ]
    assert [(one.part, one.parts) for one in told] == [(0, 1), (0, 3), (1, 3), (2, 3)]
    # A worker's successor repeats what may have been lost, and a part is lost.
    result = assembled(
        (note(made), *map(note, told[:2]), said(range(50), 0, 1)),
        (note(made), *map(note, told[1:3]), note(end(50))),
    )
    session = manifest_of(result).session
    assert session
    assert session.participants == SESSION.participants
    assert (session.source, session.basis) == ("sbc", "directory")
    first, second = session.metadata
    assert (first.at_ms, first.xml, first.flaws) == (0, b"<recording/>", ())
    assert second.at_ms == 700
    assert second.xml == document[: 2 * METADATA_PART]
    assert second.flaws == ("no-time-zone", "torn")
    assert "Maija" not in repr(session) + repr(told) + repr(made.session)


def test_a_dead_hosts_journal_of_many_legs_is_opened_where_the_key_is() -> None:
    torn = journal(
        quality(),
        ID,
        (
            note(session_of(CUSTOMER, OFFICER)),
            said(range(50), 0, 1),
            note(joins(2, 50, OFFICER)),
            said(range(50, 100), 0, 1, 2),
        ),
        whole=False,
    )
    suffix, audio, manifest = finish_journals([torn], quality())
    assert (suffix, manifest.outcome) == ("flac", "partial")
    assert [leg.role for leg in manifest.legs] == ["customer", "officer", "officer"]
    assert manifest.session
    samples, _ = soundfile.read(io.BytesIO(audio), dtype="int16")
    expected = np.array([levels(1, range(50, 100)), levels(2, range(50, 100))])
    mixed = np.clip(expected.sum(axis=0), -32768, 32767)
    assert np.array_equal(samples[50 * FRAME :, 1], mixed)


KINDS = st.sampled_from(["stream", "codecs", "changed", *sorted(SPAN_MARKS), "?"])
MARKS = st.builds(
    SegmentMark,
    at_monotonic_ns=st.integers(START - 10 * MS, START + 3000 * MS),
    kind=KINDS,
    leg=st.none() | st.integers(-2, MAX_LEGS + 1),
    channel=st.sampled_from(Channel),
    codecs=st.none()
    | st.dictionaries(st.sampled_from(["0", "2", "x", ""]), st.just(PCMA)),
)
SAID = st.builds(
    lambda leg, first: said(range(first, first + 5), leg),
    st.integers(0, 5),
    st.integers(0, 90),
)


@settings(max_examples=60)
@given(st.lists(st.one_of(MARKS.map(note), SAID), max_size=25), st.integers(0, 3))
def test_whatever_was_noted_makes_a_recording(blocks: list[bytes], count: int) -> None:
    channels = [CUSTOMER, OFFICER, BOTH][:count]
    result = assembled((note(session_of(*channels)), *blocks, note(end(100))))
    manifest = manifest_of(result)
    assert manifest.audio.duration_ms == (2000 if manifest.legs else 0)
    assert len(manifest.legs) <= MAX_LEGS
    for leg in range(len(manifest.legs)):
        gaps = [gap for gap in manifest.gaps if gap.leg == leg]
        assert all(a.start_ms <= b.start_ms for a, b in pairwise(gaps))
    assert parse_manifest(manifest.to_bytes()) == manifest
