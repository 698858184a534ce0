import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
from G722 import G722
from hypothesis import given, settings, strategies as st

from agent.formats.aligner import (
    MAX_CHUNK,
    AlignerError,
    Lane,
    StereoTrack,
    align as align_lanes,
)
from agent.formats.audio_format import AudioFormat
from agent.formats.codecs.g711 import ALAW_SILENCE, ALAW_TO_LINEAR, ULAW_TO_LINEAR
from agent.formats.codecs.g722 import G722Decoder
from agent.formats.codecs.opus import FRAME_TICKS
from agent.formats.container import read_wav, wav_header
from agent.formats.rtp.packet import RtpPacket
from agent.formats.timeline import LegResult
from agent.model.recording import Channel, RecordingFormat
from tests.captures import Datagram, read_capture
from tests.corpora import corpus
from tests.formats.pairs import align
from tests.formats.streams import START, Leg, finish, heard, of_frames, sender, timeline

A, U = 8, 0


def leg(*spurts: tuple[Sequence[int], int], milliseconds: float = 200) -> LegResult:
    """A leg of (packet numbers, payload type), 20 ms each."""
    sent = [s for numbers, pt in spurts for s in sender(numbers, payload_type=pt)]
    return finish(timeline(sent), milliseconds=milliseconds)


def audio(track: StereoTrack) -> bytes:
    return read_wav(b"".join(track.file())).samples


def test_one_law_stays_as_it_was_on_the_wire() -> None:
    track = align(leg((range(10), A)), leg((range(2, 5), A)), 200)
    left, right = audio(track)[0::2], audio(track)[1::2]
    assert (track.format, track.sample_rate, track.samples) == ("wav-alaw", 8000, 1600)
    assert track.duration_ms == 200
    assert left == b"".join(bytes((n,)) * 160 for n in range(10))
    silence = bytes((ALAW_SILENCE,))
    spoken = b"".join(bytes((n,)) * 160 for n in range(2, 5))
    assert right == silence * 320 + spoken + silence * 800


def test_the_other_law_too() -> None:
    track = align(leg((range(2), U)), leg((range(2, 10), U)), 200)
    assert track.format is AudioFormat.WAV_ULAW
    assert audio(track)[::2] == bytes(160) + b"\1" * 160 + b"\xff" * 1280


def test_mixed_laws_become_linear_with_true_silence() -> None:
    track = align(leg((range(2), A), (range(2, 4), U)), leg((range(3), A)), 100)
    assert track.format is AudioFormat.FLAC
    samples, rate = soundfile.read(io.BytesIO(b"".join(track.file())), dtype="int16")
    assert (samples.shape, rate) == ((800, 2), 8000)
    assert samples[::160, 0].tolist() == [
        ALAW_TO_LINEAR[0],
        ALAW_TO_LINEAR[1],
        ULAW_TO_LINEAR[2],
        ULAW_TO_LINEAR[3],
        0,
    ]
    assert samples[::160, 1].tolist() == [*ALAW_TO_LINEAR[:3], 0, 0]


@pytest.mark.parametrize("other", [None, "empty"])
def test_leg_without_audio_follows_the_other(other: str | None) -> None:
    silent = None if other is None else leg()
    assert align(silent, leg((range(3), U)), 60).format == "wav-ulaw"
    assert align(leg((range(3), U)), silent, 60).format == "wav-ulaw"
    track = align(silent, silent, 12.5)
    assert (track.format, track.sample_rate) == ("wav-alaw", 8000)
    assert audio(track) == bytes((ALAW_SILENCE,)) * 200


def test_track_may_be_shorter_or_longer_than_a_leg() -> None:
    both = leg((range(10), A)), leg((range(10), A))
    assert audio(align(*both, 31.25)) == audio(align(*both, 200))[:500]
    assert audio(align(*both, 212.5))[:3200] == audio(align(*both, 200))
    assert audio(align(*both, 0)) == b""


def test_unknown_codec_is_named() -> None:
    gsm = Leg({8: "GSM"}, START)
    for at, packet in sender(range(3)):
        gsm.take(START + round(at * 1e6), packet.to_bytes())
    with pytest.raises(AlignerError, match="no decoder for GSM"):
        align(finish(gsm, milliseconds=60), None, 60)


def test_chunks_are_bounded_and_seamless() -> None:
    # 66 s: beyond one chunk; the frames straddle its border.
    left = leg((range(3300), A), milliseconds=66_000)
    right = leg((range(1, 3300), A), milliseconds=66_000)
    header, *chunks, padding = align(left, right, 66_000).file()
    assert (len(header), padding) == (58, b"")
    assert [len(c) for c in chunks[:-1]] == [MAX_CHUNK // 1920 * 1920] * (
        len(chunks) - 1
    )
    assert len(chunks[-1]) <= MAX_CHUNK
    expected = b"".join(bytes((n % 256,)) * 160 for n in range(3300))
    assert b"".join(chunks)[::2] == expected


def test_linear_chunks_are_bounded_and_seamless_too() -> None:
    left = leg((range(3300), A), milliseconds=66_000)
    right = leg((range(1, 3300), U), milliseconds=66_000)
    chunks = list(align(left, right, 66_000).linear())
    assert len(chunks) > 2
    assert max(chunk.nbytes for chunk in chunks) <= MAX_CHUNK
    expected = np.repeat([ALAW_TO_LINEAR[n % 256] for n in range(3300)], 160)
    assert np.array_equal(np.concatenate(chunks)[:, 0], expected)


@settings(max_examples=30)
@given(st.sets(st.integers(0, 29)), st.sets(st.integers(0, 29)))
def test_every_sample_stands_where_its_frame_says(
    left: set[int], right: set[int]
) -> None:
    legs = [leg((sorted(n), A), milliseconds=600) for n in (left, right)]
    channels = [bytearray((ALAW_SILENCE,)) * 4800 for _ in legs]
    for channel, result in zip(channels, legs, strict=True):
        for frame in result.frames:
            end = frame.position + frame.length
            channel[frame.position : end] = heard(frame)
    data = audio(align(legs[0], legs[1], 600))
    assert [data[0::2], data[1::2]] == channels


def placed_at(datagrams: list[Datagram], position: int, samples: int) -> LegResult:
    """A captured leg, its first frame at `position`."""
    names = {0: "PCMU", 8: "PCMA"}

    def run(start_ns: int) -> LegResult:
        leg_ = Leg(names, start_ns)
        for datagram in datagrams:
            leg_.take(datagram.time_ns, datagram.payload)
        return leg_.finish(start_ns + samples * 125_000)

    start = datagrams[0].time_ns - 1_000_000_000
    return run(start + (next(run(start).frames).position - position) * 125_000)


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
        placed_at(caller, 0, samples), placed_at(callee, offset, samples), samples / 8
    )
    digest = hashlib.sha256(b"".join(track.file())).hexdigest()
    assert digest == published(folder, f"call1_{law}.stereo.{law}.wav")


@pytest.mark.parametrize("law", ["alaw", "ulaw"])
def test_envelope_and_first_packet_agree_within_20_ms(law: str) -> None:
    folder = corpus("rtp/rtpproxy-extractaudio")
    for side in "ao":
        datagrams = read_capture(folder / f"call1_{law}.{side}.rtp")
        early = Leg({0: "PCMU", 8: "PCMA"}, datagrams[0].time_ns - 10**9)
        for datagram in datagrams:
            early.take(datagram.time_ns, datagram.payload)
        result = early.finish(datagrams[-1].time_ns)
        assert 8000 - 160 <= int(of_frames(result, "position")[0]) <= 8000


def g722_leg(side: str) -> LegResult:
    folder = corpus("rtp/rtpproxy-extractaudio")
    datagrams = read_capture(folder / f"call1_g722.{side}.rtp")
    leg_ = Leg({9: "G722"}, datagrams[0].time_ns - 10**9)
    for datagram in datagrams:
        leg_.take(datagram.time_ns, datagram.payload)
    return leg_.finish(datagrams[-1].time_ns + 10**9)


def test_captured_g722_call_is_the_published_wav() -> None:
    """What rtpproxy decodes of the same packets, at the 8000 Hz it decodes to.

    Our frames in our order, a decoder for each leg; its callee begins 381 samples
    after its caller, who sends two packets without audio first.
    """
    caller, callee = g722_leg("a"), g722_leg("o")
    assert (caller.figures.packets, callee.figures.packets) == (624, 619)
    assert caller.audio_codecs == callee.audio_codecs == {"G722"}
    track = np.zeros((622 * 160, 2), "<i2")
    for channel, leg_, first in ((0, caller, 0), (1, callee, 381)):
        decoder = G722(8000, 64_000)
        for frame in leg_.frames:
            at = frame.position - next(leg_.frames).position + first
            samples = np.array(decoder.decode(bytes(frame.payload)))
            kept = track[at : at + frame.length, channel]
            kept[:] = samples[: len(kept)]
    digest = hashlib.sha256(wav_header("pcm16", 8000, 2, len(track)) + track.tobytes())
    name = "call1_g722.stereo.pcm_16.wav"
    assert digest.hexdigest() == published(corpus("rtp/rtpproxy-extractaudio"), name)


def test_captured_g722_call_becomes_flac_of_16_khz() -> None:
    caller, callee = g722_leg("a"), g722_leg("o")
    longest = max(leg_.total for leg_ in (caller, callee)) / 8
    track = align(caller, callee, longest)
    assert (track.format, track.sample_rate) == (AudioFormat.FLAC, 16_000)
    samples, rate = soundfile.read(io.BytesIO(b"".join(track.file())), dtype="int16")
    assert (rate, len(samples)) == (16_000, track.samples)
    for channel, leg_ in enumerate((caller, callee)):
        decoder = G722Decoder()
        spoken = b"".join(decoder.decode(bytes(f.payload)) for f in leg_.frames)
        first = 2 * next(leg_.frames).position
        expected = np.frombuffer(spoken, np.int16)
        heard_ = samples[first : first + len(expected), channel]
        assert np.array_equal(heard_, expected)


@pytest.mark.parametrize(
    ("configuration", "rate"), [(11, 16_000), (19, 16_000), (24, 48_000), (15, 48_000)]
)
def test_opus_decides_the_rate_by_its_bandwidth(configuration: int, rate: int) -> None:
    opus = Leg({96: "opus"}, START)
    for n in range(10):
        packet = RtpPacket(
            payload_type=96,
            marker=False,
            sequence_number=n,
            timestamp=n * FRAME_TICKS[configuration],
            ssrc=1,
            payload=bytes((configuration << 3, 0xFF, 0xFF)),
        )
        opus.take(
            START + n * FRAME_TICKS[configuration] * 10**6 // 48, packet.to_bytes()
        )
    law = leg((range(3), A))
    track = align(finish(opus, milliseconds=200), law, 200)
    assert (track.format, track.sample_rate) == (AudioFormat.FLAC, rate)
    samples, found = soundfile.read(io.BytesIO(b"".join(track.file())), dtype="int16")
    assert (found, samples.shape) == (rate, (rate // 5, 2))


@pytest.mark.parametrize("kept", [RecordingFormat.FLAC, RecordingFormat.OPUS])
def test_a_leg_nobody_has_is_silent_in_every_file(kept: RecordingFormat) -> None:
    track = align(None, leg((range(10), A)), 200, kept)
    samples, _ = soundfile.read(io.BytesIO(b"".join(track.file())), dtype="int16")
    assert samples.shape == (1600, 2)
    silent, spoken = np.sqrt(np.mean(samples.astype(float) ** 2, axis=0))
    # Opus codes both channels together: next to nothing passes from one to the other.
    assert silent <= (0 if kept is RecordingFormat.FLAC else spoken / 50)
    assert spoken > 500


def lanes_of(*legs: tuple[LegResult, Channel]) -> list[Lane]:
    return [Lane(*one) for one in legs]


def test_a_leg_of_both_sides_stays_as_it_was_on_the_wire() -> None:
    track = align_lanes(lanes_of((leg((range(10), U)), Channel.BOTH)), 200)
    octets = b"".join(bytes((n,)) * 160 for n in range(10))
    assert track.format == "wav-ulaw"
    assert (audio(track)[0::2], audio(track)[1::2]) == (octets, octets)
    assert len(track.meters()) == 1


def test_a_leg_without_audio_takes_nothing_from_its_side() -> None:
    spoken = leg((range(10), A))
    lanes = lanes_of(
        (spoken, Channel.CUSTOMER), (leg(), Channel.BOTH), (leg(), Channel.CUSTOMER)
    )
    assert audio(align_lanes(lanes, 200)) == audio(align(spoken, None, 200))


@settings(max_examples=30)
@given(
    st.lists(
        st.tuples(
            st.sets(st.integers(0, 29)),
            st.sampled_from([A, U]),
            st.sampled_from(Channel),
        ),
        max_size=6,
    )
)
def test_every_side_is_the_sum_of_its_legs(
    said: list[tuple[set[int], int, Channel]],
) -> None:
    lanes = lanes_of(
        *(
            (leg((sorted(numbers), law), milliseconds=600), channel)
            for numbers, law, channel in said
        )
    )
    expected = np.zeros((4800, 2), np.int64)
    for lane in lanes:
        for frame in lane.leg.frames:
            table = {"PCMA": ALAW_TO_LINEAR, "PCMU": ULAW_TO_LINEAR}[frame.codec]
            for side in lane.channel.sides:
                stop = frame.position + frame.length
                expected[frame.position : stop, side] += [
                    table[octet] for octet in heard(frame)
                ]
    track = align_lanes(lanes, 600, RecordingFormat.FLAC)
    samples = np.concatenate(list(track.linear(track.meters())))
    assert np.array_equal(samples, np.clip(expected, -32768, 32767))
