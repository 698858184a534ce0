import io

import pytest
from msgspec.structs import replace

from agent.formats.audio_format import AudioFormat
from agent.formats.container import read_wav
from agent.formats.envelope import SegmentKey
from agent.formats.journal import (
    HEADER_SIZE,
    NotAJournalError,
    WrongJournalKeyError,
    pack_note,
    pack_packet,
)
from agent.formats.manifest import Manifest
from agent.formats.rtp.packet import RtpPacket
from agent.model.call import EndCause, Outcome
from agent.model.recording import SegmentMark
from agent.recording.assembly import Assembled, assemble, digest
from agent.recording.collecting import AssemblyError
from tests.formats.cue_chunks import wav_labels
from tests.recording.segments import (
    CALLER,
    FRAME,
    MS,
    OFFICER,
    START,
    STARTED_AT,
    begin,
    end,
    journal,
    mark,
    note,
    packet,
    payload,
    quality,
    records,
    stereo,
)

ID = "123e4567-e89b-42d3-a456-426614174000"


def block(numbers: range, legs: tuple[int, ...] = (0, 1)) -> bytes:
    return b"".join(records(numbers, legs))


def written(*blocks: bytes, epoch: int = 0, whole: bool = True) -> bytes:
    return journal(quality(), ID, (note(begin(ID)), *blocks), epoch=epoch, whole=whole)


def assembled(*journals: bytes, key: SegmentKey | None = None) -> Assembled:
    readers = [io.BytesIO(data) for data in journals]
    return assemble(readers, (key or quality()).journal_key(ID))


def samples(result: Assembled) -> bytes:
    return read_wav(b"".join(result.track.file())).samples


def manifest_of(result: Assembled) -> Manifest:
    for _ in result.file():
        pass
    return result.manifest("00" * 32, 7)


def test_exact_samples_in_exact_places() -> None:
    heard = [*range(10), *range(30, 50)]
    result = assembled(written(block(range(10)), block(range(30, 50)), note(end(50))))
    assert samples(result) == stereo(heard, 50)
    assert result.whole
    manifest = manifest_of(result)
    assert [(g.leg, g.start_ms, g.duration_ms, g.reason) for g in manifest.gaps] == [
        (0, 200, 400, "lost"),
        (1, 200, 400, "lost"),
    ]
    assert (manifest.audio.sha256, manifest.audio.size) == ("00" * 32, 7)
    assert manifest.audio.duration_ms == 1000
    assert manifest.audio.format == "wav-alaw"
    assert manifest.audio.codecs == ("PCMA",)
    assert [leg.role for leg in manifest.legs] == ["customer", "officer"]
    assert [(leg.packets, leg.lost) for leg in manifest.legs] == [(30, 20)] * 2
    assert (manifest.outcome, manifest.end_cause) == ("recorded", "caller-hangup")
    assert manifest.verdict == "degraded"
    assert [(leg.loss_percent, leg.longest_gap_ms) for leg in manifest.legs] == [
        (40.0, 400)
    ] * 2
    assert [(leg.listened_ms, leg.silence, leg.verdict) for leg in manifest.legs] == [
        (1000, 0.4, "degraded")
    ] * 2
    assert manifest.caller == CALLER
    [officer] = manifest.officers
    assert officer.name == OFFICER
    assert officer.from_["utc"] == manifest.started["utc"] == "2026-11-23T12:34:56.000Z"
    assert officer.to["utc"] == manifest.ended["utc"] == "2026-11-23T12:34:57.000Z"
    assert manifest.notices == begin(ID).notices


def test_the_recorders_end_is_believed_before_the_journals() -> None:
    data = written(block(range(10)), note(end(50)))
    result = assemble([io.BytesIO(data)], quality().journal_key(ID), end(20))
    assert result.track.samples == 20 * FRAME


def test_an_end_that_was_never_written_is_after_the_last_packet() -> None:
    result = assembled(written(block(range(25)), whole=False))
    assert samples(result) == stereo(range(25), 25)
    assert result.end.ended_monotonic_ns == START + 500 * MS
    assert result.end.ended_at == STARTED_AT + 500 * MS
    assert result.end.cause == EndCause.AGENT_DIED
    assert result.end.outcome == Outcome.PARTIAL


def test_nothing_but_a_beginning_is_an_empty_recording() -> None:
    result = assembled(written(whole=False))
    assert samples(result) == b""
    assert manifest_of(result).verdict == "silent"


def test_a_torn_block_is_dropped_and_told() -> None:
    data = written(block(range(25)), block(range(25, 50)), whole=False)
    for cut in (1, 16, 1000):
        result = assembled(data[:-cut])
        assert not result.whole
        assert manifest_of(result).outcome == "partial"
        assert samples(result) == stereo(range(25), 25)


def test_two_epochs_with_the_gap_between_them() -> None:
    first = written(block(range(10)), whole=False)
    second = written(
        note(mark(10, "gap-begin")),
        note(mark(20, "gap-end")),
        block(range(20, 30)),
        note(end(30)),
        epoch=1,
    )
    result = assembled(first, second)
    assert samples(result) == stereo([*range(10), *range(20, 30)], 30)
    manifest = manifest_of(result)
    assert manifest.outcome == "partial"
    assert [(g.start_ms, g.duration_ms, g.reason) for g in manifest.gaps] == [
        (200, 200, "gap")
    ] * 2
    assert [leg.lost for leg in manifest.legs] == [0, 0]


@pytest.mark.parametrize("size", [0, 1, HEADER_SIZE - 1, HEADER_SIZE, HEADER_SIZE + 9])
@pytest.mark.parametrize("first", [True, False])
def test_an_epoch_that_got_no_further_than_its_header(
    *, size: int, first: bool
) -> None:
    stump = written(epoch=0 if first else 1, whole=False)[:size]
    good = written(block(range(10)), note(end(10)), epoch=1 if first else 0)
    journals = (stump, good) if first else (good, stump)
    result = assembled(*journals)
    assert samples(result) == stereo(range(10), 10)
    assert manifest_of(result).outcome == "partial"


def test_no_journal_tells_how_it_began() -> None:
    with pytest.raises(NotAJournalError):
        assembled(b"")
    with pytest.raises(NotAJournalError):
        assembled(b"", b"")
    with pytest.raises(AssemblyError, match="began"):
        assembled()
    with pytest.raises(AssemblyError, match="began"):
        assembled(journal(quality(), ID, [block(range(5))]))
    with pytest.raises(WrongJournalKeyError):
        assembled(written(), key=SegmentKey.generate(quality().identity.kind, bytes))


def test_an_unknown_note() -> None:
    with pytest.raises(AssemblyError, match="unknown"):
        assembled(written(pack_note(b'{"type":"later"}')))


def test_notes_and_packets_that_say_nothing_are_passed_over() -> None:
    early = note(mark(3, "hold"))
    data = journal(
        quality(),
        ID,
        [early, note(begin(ID)), pack_packet(7, START, b"x"), block(range(5)),
         note(end(5))],
    )  # fmt: skip
    assert samples(assembled(data)) == stereo(range(5), 5)


def test_hold_of_both_legs_and_of_one() -> None:
    customer_only = SegmentMark(at_monotonic_ns=START + 800 * MS, kind="hold", leg=0)
    data = written(
        block(range(10)), note(mark(10, "hold")), note(mark(20, "resume")),
        block(range(20, 40)), note(customer_only), block(range(40, 50), (1,)),
        note(end(50)),
    )  # fmt: skip
    gaps = manifest_of(assembled(data)).gaps
    assert [(g.leg, g.start_ms, g.duration_ms, g.reason) for g in gaps] == [
        (0, 200, 200, "hold"),
        (0, 800, 200, "hold"),
        (1, 200, 200, "hold"),
    ]


def test_cues_are_exact_to_the_sample() -> None:
    customer_only = SegmentMark(at_monotonic_ns=START + 801 * MS, kind="hold", leg=0)
    changed = SegmentMark(at_monotonic_ns=START, kind="changed", leg=0)
    data = written(
        note(changed), block(range(10)), note(mark(10, "hold")),
        note(mark(20, "resume")), block(range(20, 40)), note(customer_only),
        note(mark(50, "resume")), note(end(50)),
    )  # fmt: skip
    result = assembled(data)
    expected = [
        (0, "segment 0, notice-end"),
        (10 * FRAME, "hold"),
        (20 * FRAME, "resume"),
        (801 * 8, "hold"),
    ]
    assert list(result.cues()) == expected
    assert wav_labels(b"".join(result.file())) == expected
    assert read_wav(b"".join(result.file())).samples == samples(result)


def test_a_notice_that_ended_later_is_a_cue_of_its_own() -> None:
    [notice] = begin(ID).notices
    late = replace(notice, ended_at=STARTED_AT + 500 * MS)
    first = replace(begin(ID), notices=(notice, late), segment=2)
    data = journal(quality(), ID, [note(first), block(range(50)), note(end(50))])
    assert assembled(data).cues() == (
        (0, "segment 2, notice-end"),
        (4000, "notice-end"),
    )


def test_one_way() -> None:
    result = assembled(written(block(range(10), (0,)), note(end(10))))
    assert manifest_of(result).verdict == "one-way"


def test_codecs_that_change() -> None:
    change = SegmentMark(
        at_monotonic_ns=START + 200 * MS,
        kind="codecs",
        codecs={"0": {"8": "PCMA", "0": "PCMU"}, "1": {"8": "PCMA"}},
    )
    ulaw = RtpPacket(
        payload_type=0,
        marker=False,
        sequence_number=110,
        timestamp=10_000 + 10 * FRAME,
        ssrc=0xA0,
        payload=b"\xff" * FRAME,
    ).to_bytes()
    data = written(
        block(range(10)),
        note(change),
        pack_packet(0, START + 200 * MS, ulaw) + block(range(10, 11), (1,)),
        note(end(11)),
    )
    result = assembled(data)
    assert result.track.format is AudioFormat.FLAC
    manifest = manifest_of(result)
    assert manifest.audio.codecs == ("PCMA", "PCMU")
    assert manifest.audio.format == "flac"


def test_digest() -> None:
    found, size = digest(iter([b"a", b"", b"bc"]))
    assert found.startswith("ba7816bf")
    assert size == 3


def test_a_clock_that_drifts_is_told_and_made_up_for() -> None:
    """The officer's phone is slow by 400 ppm for 65 s: 26 ms, 208 samples."""
    frames = 3250
    blocks = [
        b"".join(
            pack_packet(
                leg, START + round(n * 20 * (1 + leg * 400e-6) * MS), packet(leg, n)
            )
            for n in range(first, first + 50)
            for leg in (0, 1)
        )
        for first in range(0, frames, 50)
    ]
    result = assembled(written(*blocks, note(end(frames))))
    octets = samples(result)
    manifest = manifest_of(result)
    customer, officer = manifest.legs
    assert (customer.drift_ppm, customer.samples_inserted) == (0, 0)
    assert octets[0::2] == b"".join(payload(0, n) for n in range(frames))
    assert officer.drift_ppm == pytest.approx(-400, abs=0.5)
    assert officer.samples_inserted == pytest.approx(208, abs=2)
    assert (officer.samples_removed, officer.clock_restarts) == (0, 0)
    # 26 ms late, the last frame but one is what is heard at the end.
    last = payload(1, frames - 2)[:112]
    assert octets[1::2][-112:] == last
