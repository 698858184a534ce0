import hashlib
import struct
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from agent.formats.aligner import MAX_CHUNK, AlignerError, StereoTrack, align
from agent.formats.codecs.g711 import ALAW_SILENCE, ALAW_TO_LINEAR, ULAW_TO_LINEAR
from agent.formats.container import SampleFormat, wav_header
from agent.formats.timeline import LegResult, LegTimeline
from tests.corpora import corpus
from tests.formats.captures import Datagram, read_capture
from tests.formats.streams import START, finish, sender, timeline

A, U = 8, 0


def leg(*spurts: tuple[Sequence[int], int], milliseconds: float = 200) -> LegResult:
    """A leg of (packet numbers, payload type), 20 ms each."""
    sent = [s for numbers, pt in spurts for s in sender(numbers, payload_type=pt)]
    return finish(timeline(sent), milliseconds=milliseconds)


def audio(track: StereoTrack) -> bytes:
    return b"".join(track.chunks())


def test_one_law_stays_as_it_was_on_the_wire() -> None:
    track = align(leg((range(10), A)), leg((range(2, 5), A)), 1600)
    left, right = audio(track)[0::2], audio(track)[1::2]
    assert (track.format, track.sample_rate, track.samples) == ("alaw", 8000, 1600)
    assert left == b"".join(bytes((n,)) * 160 for n in range(10))
    silence = bytes((ALAW_SILENCE,))
    spoken = b"".join(bytes((n,)) * 160 for n in range(2, 5))
    assert right == silence * 320 + spoken + silence * 800


def test_the_other_law_too() -> None:
    track = align(leg((range(2), U)), leg((range(2, 10), U)), 1600)
    assert track.format is SampleFormat.ULAW
    assert audio(track)[::2] == bytes(160) + b"\1" * 160 + b"\xff" * 1280


def test_mixed_laws_become_linear_with_true_silence() -> None:
    track = align(leg((range(2), A), (range(2, 4), U)), leg((range(3), A)), 800)
    assert track.format is SampleFormat.PCM16
    samples = struct.unpack("<1600h", audio(track))
    assert samples[0::320] == (
        ALAW_TO_LINEAR[0],
        ALAW_TO_LINEAR[1],
        ULAW_TO_LINEAR[2],
        ULAW_TO_LINEAR[3],
        0,
    )
    assert samples[1::320] == (*ALAW_TO_LINEAR[:3], 0, 0)


@pytest.mark.parametrize("other", [None, "empty"])
def test_leg_without_audio_follows_the_other(other: str | None) -> None:
    silent = None if other is None else leg()
    assert align(silent, leg((range(3), U)), 480).format == "ulaw"
    assert align(leg((range(3), U)), silent, 480).format == "ulaw"
    track = align(silent, silent, 100)
    assert (track.format, track.sample_rate) == ("alaw", 8000)
    assert audio(track) == bytes((ALAW_SILENCE,)) * 200


def test_track_may_be_shorter_or_longer_than_a_leg() -> None:
    both = leg((range(10), A)), leg((range(10), A))
    assert audio(align(*both, 250)) == audio(align(*both, 1600))[:500]
    assert audio(align(*both, 1700))[:3200] == audio(align(*both, 1600))
    assert audio(align(*both, 0)) == b""


def test_unknown_codec_is_named() -> None:
    opus = LegTimeline({8: "opus"}, START)
    for at, packet in sender(range(3)):
        opus.add(START + round(at * 1e6), packet.to_bytes())
    with pytest.raises(AlignerError, match="no decoder for opus"):
        align(finish(opus, milliseconds=60), None, 480)


def test_different_clock_rates_are_refused() -> None:
    one = leg((range(3), A))
    with pytest.raises(AlignerError, match="clock rates"):
        align(one, replace(one, clock_rate=16_000), 480)


@pytest.mark.parametrize("payload_type", [A, U])
def test_chunks_are_bounded_and_seamless(payload_type: int) -> None:
    # 66 s: beyond one chunk; the frames straddle its border.
    left = leg((range(3300), A), milliseconds=66_000)
    right = leg((range(1, 3300), payload_type), milliseconds=66_000)
    track = align(left, right, 528_000)
    chunks = list(track.chunks())
    assert [len(c) for c in chunks[:-1]] == [MAX_CHUNK] * (len(chunks) - 1)
    assert len(chunks[-1]) <= MAX_CHUNK
    expected = b"".join(bytes((n % 256,)) * 160 for n in range(3300))
    if track.format is SampleFormat.PCM16:
        low = bytes(sample & 0xFF for sample in ALAW_TO_LINEAR)
        assert b"".join(chunks)[::4] == expected.translate(low)
    else:
        assert b"".join(chunks)[::2] == expected


@settings(max_examples=30, deadline=None)
@given(st.sets(st.integers(0, 29)), st.sets(st.integers(0, 29)))
def test_every_sample_stands_where_its_frame_says(
    left: set[int], right: set[int]
) -> None:
    legs = [leg((sorted(n), A), milliseconds=600) for n in (left, right)]
    channels = [bytearray((ALAW_SILENCE,)) * 4800 for _ in legs]
    for channel, result in zip(channels, legs, strict=True):
        for frame in result.frames:
            end = frame.position + frame.length
            channel[frame.position : end] = frame.payload
    data = audio(align(*legs, 4800))
    assert [data[0::2], data[1::2]] == channels


def placed_at(datagrams: list[Datagram], position: int, samples: int) -> LegResult:
    """A captured leg, its first frame at `position`."""
    names = {0: "PCMU", 8: "PCMA"}

    def run(start_ns: int) -> LegResult:
        leg_ = LegTimeline(names, start_ns)
        for datagram in datagrams:
            leg_.add(datagram.time_ns, datagram.payload)
        return leg_.finish(start_ns + samples * 125_000)

    start = datagrams[0].time_ns - 1_000_000_000
    return run(start + (int(run(start).position[0]) - position) * 125_000)


def published(folder: Path, name: str) -> str:
    for line in (folder / "extractaudio.checksums").read_text().splitlines():
        if f"({name})" in line:
            return line.rsplit(" ", 1)[1]
    raise AssertionError(name)


@pytest.mark.parametrize(
    ("law", "offset", "samples"), [("alaw", 80, 64_880), ("ulaw", 190, 94_750)]
)
def test_captured_call_is_the_published_wav(
    law: str, offset: int, samples: int
) -> None:
    """Byte for byte what rtpproxy extracts from the same packets.

    It starts each leg at its first packet's arrival; `offset` is that of the callee
    in samples. The other published formats are encoders' or mixes of both legs.
    """
    folder = corpus("rtp/rtpproxy-extractaudio")
    caller = read_capture(folder / f"call1_{law}.a.rtp")
    callee = read_capture(folder / f"call1_{law}.o.rtp")
    apart = (callee[0].time_ns - caller[0].time_ns) / 125_000
    assert offset == pytest.approx(apart, abs=1)
    track = align(
        placed_at(caller, 0, samples), placed_at(callee, offset, samples), samples
    )
    wav = wav_header(track.format, 8000, 2, samples) + audio(track)
    digest = hashlib.sha256(wav).hexdigest()
    assert digest == published(folder, f"call1_{law}.stereo.{law}.wav")


@pytest.mark.parametrize("law", ["alaw", "ulaw"])
def test_envelope_and_first_packet_agree_within_20_ms(law: str) -> None:
    folder = corpus("rtp/rtpproxy-extractaudio")
    for side in "ao":
        datagrams = read_capture(folder / f"call1_{law}.{side}.rtp")
        early = LegTimeline({0: "PCMU", 8: "PCMA"}, datagrams[0].time_ns - 10**9)
        for datagram in datagrams:
            early.add(datagram.time_ns, datagram.payload)
        result = early.finish(datagrams[-1].time_ns)
        assert 8000 - 160 <= int(result.position[0]) <= 8000
