"""Legs of every codec, heard again: the right tone in the right place."""

from collections.abc import Iterable

import numpy as np
import pytest

from agent.formats.codecs import opus_audio
from agent.formats.codecs.g711 import ALAW_TO_LINEAR, encode_alaw, encode_ulaw
from agent.formats.codecs.g722 import encode_8k
from agent.formats.codecs.opus import packet_ticks
from agent.formats.rendering import (
    MAX_CONCEALED,
    STEP,
    LegAudio,
    Samples,
    is_known,
)
from agent.formats.rtp.packet import RtpPacket
from agent.formats.timeline import LegResult
from tests.formats.signals import RATE, loudest, pcm16, sine
from tests.formats.streams import MS, START, Leg

CODECS = {8: "PCMA", 0: "PCMU", 9: "G722", 13: "CN", 96: "opus", 101: "telephone-event"}
FRAME_MS = 20
LAG_MS = {"PCMA": 0, "PCMU": 0, "G722": 1.4, "opus": 6.5}
"The coders' own delays."


def encoded(codec: str, audio: bytes) -> list[bytes]:
    """Payloads of 20 ms of 8 kHz samples."""
    if codec == "opus":
        return opus_audio.encode(audio, RATE)[: len(audio) // 320]
    coder = {"PCMA": encode_alaw, "PCMU": encode_ulaw, "G722": encode_8k}[codec]
    data = coder(audio)
    return [data[at : at + 160] for at in range(0, len(data), 160)]


Numbered = tuple[int, str, bytes]
"Which 20 ms of the segment, the codec's name, the payload."


def numbered(codec: str, audio: bytes, first: int = 0) -> list[Numbered]:
    return [(first + n, codec, p) for n, p in enumerate(encoded(codec, audio))]


def leg(packets: Iterable[Numbered], frames: int, *, ssrc: int = 0xA) -> LegResult:
    timeline = Leg(CODECS, START)
    types = {name: number for number, name in CODECS.items()}
    for n, codec, payload in packets:
        rate = 48 if codec == "opus" else 8
        packet = RtpPacket(
            payload_type=types[codec],
            marker=False,
            sequence_number=(65_500 + n) % 65_536,
            timestamp=(4_294_967_000 + n * FRAME_MS * rate) % (1 << 32),
            ssrc=ssrc,
            payload=payload,
        )
        timeline.take(START + n * FRAME_MS * MS, packet.to_bytes())
    return timeline.finish(START + frames * FRAME_MS * MS)


def rendered(result: LegResult, rate: int, *, step: int = 50 * STEP) -> Samples:
    reader = LegAudio(result, rate)
    total = result.total * rate // result.clock_rate
    pieces = [reader.read(step) for _ in range(0, total, step)]
    return np.concatenate(pieces)[:total]


def tone_in(samples: Samples, rate: int, start_ms: float, end_ms: float) -> float:
    part = samples[round(start_ms * rate / 1000) : round(end_ms * rate / 1000)]
    return loudest(part.astype(float), rate)


def level(samples: Samples) -> float:
    return float(np.sqrt(np.mean(samples.astype(float) ** 2)))


@pytest.mark.parametrize(
    ("codec", "rates"),
    [
        ("PCMA", (8000, 16_000, 48_000)),
        ("PCMU", (8000, 16_000, 48_000)),
        ("G722", (16_000, 48_000)),
        ("opus", (16_000, 48_000)),
    ],
)
def test_a_tone_is_heard_where_it_was_sent(codec: str, rates: tuple[int, ...]) -> None:
    result = leg(numbered(codec, pcm16(sine(440, 1.0)), first=25), 100)
    assert [(g.reason, g.samples) for g in result.gaps] == [
        ("late-start", result.clock_rate // 2),
        ("silence", result.clock_rate // 2),
    ]
    for rate in rates:
        samples = rendered(result, rate)
        assert len(samples) == 2 * rate
        assert tone_in(samples, rate, 550, 1450) == pytest.approx(440, abs=2)
        edge = rate // 200
        loud = np.flatnonzero(np.abs(samples) > 3000) * 1000 / rate
        assert loud[0] == pytest.approx(500 + LAG_MS[codec], abs=2)
        assert loud[-1] == pytest.approx(1500, abs=2)
        assert np.abs(samples[: rate // 2 - edge]).max() == 0
        assert np.abs(samples[3 * rate // 2 + edge :]).max() == 0


@pytest.mark.parametrize("codec", ["PCMA", "G722", "opus"])
def test_pieces_of_any_size_make_the_same(codec: str) -> None:
    result = leg(numbered(codec, pcm16(sine(700, 0.5)), first=3), 30)
    whole = rendered(result, 48_000, step=28_800)
    for step in (STEP, 5 * STEP, 4800):
        assert np.array_equal(rendered(result, 48_000, step=step), whole)


def test_a_law_at_its_own_rate_is_exact() -> None:
    result = leg([(n, "PCMA", bytes((n,)) * 160) for n in range(5)], 6)
    expected = [value for n in range(5) for value in [ALAW_TO_LINEAR[n]] * 160]
    assert rendered(result, 8000).tolist() == expected + [0] * 160


def test_g722_is_exact_whatever_else_was_sent() -> None:
    audio = numbered("G722", pcm16(sine(440, 1.0)))
    plain = rendered(leg(audio, 50), 16_000)
    noise = [(n, "CN", b"\x40") for n in range(50, 60)]
    longer = rendered(leg([*audio, *noise], 60), 16_000)
    assert np.array_equal(longer[: len(plain)], plain)
    assert not longer[len(plain) :].any()


@pytest.mark.parametrize(("first", "second"), [
    ("PCMA", "G722"), ("G722", "PCMU"), ("PCMA", "opus"), ("opus", "G722"),
])  # fmt: skip
def test_a_codec_switch_in_one_stream(first: str, second: str) -> None:
    """Each tone in its own half, with nothing lost between them."""
    packets = numbered(first, pcm16(sine(440, 1.0)))
    packets += numbered(second, pcm16(sine(1000, 1.0)), first=50)
    result = leg(packets, 100)
    assert result.gaps == []
    assert result.figures.lost == 0
    samples = rendered(result, 48_000)
    assert tone_in(samples, 48_000, 50, 950) == pytest.approx(440, abs=2)
    assert tone_in(samples, 48_000, 1050, 1950) == pytest.approx(1000, abs=2)
    for half in (samples[4800:43_200], samples[52_800:91_200]):
        assert level(half) == pytest.approx(5657, rel=0.12)


@pytest.mark.parametrize("codec", ["PCMA", "G722", "opus"])
def test_what_was_lost_is_silence_and_told(codec: str) -> None:
    packets = numbered(codec, pcm16(sine(440, 2.0)))
    result = leg([p for p in packets if not 40 <= p[0] < 45], 100)
    per_ms = result.clock_rate // 1000
    assert [(g.start, g.samples, g.reason) for g in result.gaps] == [
        (800 * per_ms, 100 * per_ms, "lost")
    ]
    samples = rendered(result, 48_000)
    assert not samples[39_000:42_500].any()
    assert tone_in(samples, 48_000, 1000, 1900) == pytest.approx(440, abs=2)


@pytest.mark.parametrize("codec", ["PCMA", "G722"])
def test_comfort_noise_is_silence_and_no_loss(codec: str) -> None:
    packets = numbered(codec, pcm16(sine(440, 1.0)))
    quiet = {20: b"\x40", 25: b"\x41"}
    sent = [
        (n, "CN" if n in quiet else name, quiet.get(n, payload))
        for n, name, payload in packets
        if n in quiet or not 20 <= n < 30
    ]
    # Sequence numbers go on without a gap while timestamps jump: DTX.
    result = without_gaps(sent, 50)
    assert [(g.reason, g.samples) for g in result.gaps] == [("silence", 1600)]
    assert result.figures.lost == 0
    assert result.audio_codecs == {codec}


def test_opus_dtx_is_no_loss_either() -> None:
    packets = numbered("opus", pcm16(sine(440, 1.0)))
    result = without_gaps([p for p in packets if not 20 <= p[0] < 30], 50)
    assert [(g.reason, g.samples) for g in result.gaps] == [("silence", 9600)]
    assert result.figures.lost == 0


def without_gaps(packets: list[Numbered], frames: int) -> LegResult:
    timeline = Leg(CODECS, START)
    types = {name: number for number, name in CODECS.items()}
    for sequence, (n, codec, payload) in enumerate(packets):
        rate = 48 if codec == "opus" else 8
        packet = RtpPacket(
            payload_type=types[codec],
            marker=False,
            sequence_number=sequence,
            timestamp=n * FRAME_MS * rate,
            ssrc=0xA,
            payload=payload,
        )
        timeline.take(START + n * FRAME_MS * MS, packet.to_bytes())
    return timeline.finish(START + frames * FRAME_MS * MS)


def test_duplicates_of_opus_are_heard_once() -> None:
    packets = numbered("opus", pcm16(sine(440, 1.0)))
    result = leg([p for p in packets for _ in range(2)], 50)
    assert result.figures.duplicates == 50
    once = rendered(leg(packets, 50), 48_000)
    assert np.array_equal(rendered(result, 48_000), once)


@pytest.mark.parametrize("milliseconds", [2.5, 5, 10, 20, 40, 60, 80, 100, 120])
def test_opus_packets_of_every_length(milliseconds: float) -> None:
    """Silence of the codec's own making, told only by its length."""
    frames = {2.5: 16, 5: 17, 10: 18, 20: 19, 40: 2, 60: 3}
    count = 1 if milliseconds in frames else round(milliseconds / 20)
    configuration = frames.get(milliseconds, 19)
    payload = bytes((configuration << 3 | 3, count))
    assert packet_ticks(payload) == milliseconds * 48
    timeline = Leg({96: "opus"}, START)
    for n in range(10):
        packet = RtpPacket(
            payload_type=96,
            marker=False,
            sequence_number=n,
            timestamp=round(n * milliseconds * 48),
            ssrc=0xA,
            payload=payload,
        )
        timeline.take(START + round(n * milliseconds * MS), packet.to_bytes())
    result = timeline.finish(START + round(10 * milliseconds * MS))
    assert result.gaps == []
    assert len(rendered(result, 48_000)) == 480 * milliseconds


def test_opus_that_does_not_parse_is_silence() -> None:
    packets = numbered("opus", pcm16(sine(440, 1.0)))
    n, name, payload = packets[20]
    packets[20] = (n, name, bytes((payload[0] | 3, 0x81)) + bytes(1400))
    samples = rendered(leg(packets, 50), 48_000)
    assert not samples[20 * 960 : 21 * 960].any()
    assert level(samples[30 * 960 : 48 * 960]) == pytest.approx(5657, rel=0.1)


def test_a_long_silence_of_opus_begins_anew() -> None:
    pause = MAX_CONCEALED // 960 + 1
    first = numbered("opus", pcm16(sine(440, 0.5)))
    second = numbered("opus", pcm16(sine(1000, 0.5)), first=25 + pause)
    samples = rendered(leg([*first, *second], 50 + pause), 48_000)
    start = (25 + pause) * 20
    assert not samples[25 * 960 : (25 + pause) * 960].any()
    assert tone_in(samples, 48_000, start + 50, start + 450) == pytest.approx(
        1000, abs=2
    )


def test_opus_in_runs_sounds_as_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    result = leg(numbered("opus", pcm16(sine(440, 2.0))), 100)
    whole = rendered(result, 48_000).astype(float)
    monkeypatch.setattr("agent.formats.rendering.MAX_RUN", 30)
    parts = rendered(result, 48_000).astype(float)
    assert np.abs(parts - whole).max() < 400


def test_another_source_has_a_decoder_of_its_own() -> None:
    audio = numbered("G722", pcm16(sine(440, 0.5)))
    alone = rendered(leg(audio, 25), 16_000)
    timeline = Leg(CODECS, START)
    for turn, ssrc in enumerate((1, 2)):
        for n, _, payload in audio:
            packet = RtpPacket(
                payload_type=9,
                marker=False,
                sequence_number=n,
                timestamp=160 * n,
                ssrc=ssrc,
                payload=payload,
            )
            at = START + (n + 25 * turn) * FRAME_MS * MS
            timeline.take(at, packet.to_bytes())
    samples = rendered(timeline.finish(START + 50 * FRAME_MS * MS), 16_000)
    assert np.array_equal(samples, np.concatenate((alone, alone)))


def test_what_is_known() -> None:
    known = ["PCMA", "PCMU", "G722", "opus", "OPUS"]
    assert [name for name in [*known, "GSM", "CN", ""] if is_known(name)] == known
