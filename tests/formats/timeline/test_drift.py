"""Phones whose clocks are off the agent's: every sample in its place for an hour."""

import numpy as np
import pytest

from agent.formats.codecs.g711 import ALAW_SILENCE
from agent.formats.container import read_wav
from agent.formats.rendering import LegAudio
from agent.formats.stretching import stretched
from agent.formats.timeline import Gap, GapReason, LegResult
from tests.formats.click_train import Call, Click, Hold, Phone, found, make_call
from tests.formats.pairs import align
from tests.formats.signals import pcm16, sine
from tests.formats.streams import (
    MS,
    START,
    Leg,
    Sent,
    finish,
    of_frames,
    sender,
    timeline,
    without,
)
from tests.formats.test_rendering import CODECS, encoded

PACKETS = 6000
"Two minutes."


def slow(sent: list[Sent], ppm: float) -> list[Sent]:
    """The same, from a phone whose clock is slow by so much."""
    return [s._replace(at=s.at * (1 + ppm * 1e-6)) for s in sent]


def place_of(number: int, ppm: float) -> int:
    return round(number * 160 * (1 + ppm * 1e-6))


@pytest.mark.parametrize("ppm", [200, -200, 490, -490])
def test_each_packet_has_its_exact_place(ppm: int) -> None:
    result = finish(timeline(slow(sender(range(PACKETS)), ppm)), milliseconds=119_900)
    assert result.figures.drift_ppm == pytest.approx(-ppm, abs=0.2)
    places = [place_of(n, ppm) for n in range(PACKETS + 1)]
    count = len(of_frames(result, "position"))
    assert of_frames(result, "position").tolist() == places[:count]
    lengths = np.diff(places)[: count - 1]
    assert of_frames(result, "length")[:-1].tolist() == lengths.tolist()
    assert set(lengths.tolist()) == {160, 160 + (1 if ppm > 0 else -1)}
    assert [g.reason for g in result.gaps if g.start < 900_000] == []
    moved = abs(places[count - 1] - 160 * (count - 1))
    corrected = (moved, 0) if ppm > 0 else (0, moved)
    assert (result.figures.inserted, result.figures.removed) == corrected


@pytest.mark.parametrize("ppm", [300, -300])
def test_what_was_lost_is_lost_and_no_silence_beside_it(ppm: int) -> None:
    lost = {*range(100, PACKETS - 100, 50), *range(1000, 1010)}
    sent = slow(without(sender(range(PACKETS)), *lost), ppm)
    result = finish(timeline(sent), milliseconds=119_900)
    assert result.figures.lost == len(lost)
    inside = [gap for gap in result.gaps if gap.start < place_of(PACKETS - 60, ppm)]
    assert {gap.reason for gap in inside} == {GapReason.LOST}
    assert (
        Gap(
            place_of(1000, ppm),
            place_of(1010, ppm) - place_of(1000, ppm),
            GapReason.LOST,
        )
        in inside
    )


@pytest.mark.parametrize("ppm", [400, -400])
def test_the_file_holds_the_octets_of_the_wire(ppm: int) -> None:
    legs = [
        finish(timeline(slow(sender(range(PACKETS)), rate)), milliseconds=119_000)
        for rate in (ppm, 0)
    ]
    left, right = legs
    octets = read_wav(b"".join(align(left, right, 119_000).file())).samples
    expected = b"".join(
        bytes((n % 256,)) * (place_of(n + 1, ppm) - place_of(n, ppm))
        for n in range(PACKETS)
    )[:952_000]
    assert octets[0::2] == expected.ljust(952_000, bytes((ALAW_SILENCE,)))
    assert octets[1::2] == b"".join(bytes((n % 256,)) * 160 for n in range(5950))
    assert right.figures.drift_ppm == right.figures.inserted == 0


def test_sender_reports_beside_the_audio_move_nothing() -> None:
    """Muxed on its port (RFC 5761), with a wall clock that is years off."""
    plain = sender(range(PACKETS))
    leg, quiet = (Leg({8: "PCMA"}, START) for _ in range(2))
    for n, (at, packet) in enumerate(slow(plain, 100)):
        quiet.take(START + round(at * MS), packet.to_bytes())
        leg.take(START + round(at * MS), packet.to_bytes())
        if n % 250 == 0:
            report = b"\x80\xc8\x00\x06" + packet.ssrc.to_bytes(4, "big")
            report += bytes(8) + packet.timestamp.to_bytes(4, "big") + bytes(8)
            leg.take(START + round(at * MS), report)
    with_reports, without_ = (
        finish(timeline_, milliseconds=120_000) for timeline_ in (leg, quiet)
    )
    assert list(with_reports.frames) == list(without_.frames)
    assert with_reports.gaps == without_.gaps
    assert with_reports.figures.lost == 0
    assert with_reports.figures.invalid == PACKETS / 250


def coded(codec: str, ppm: float) -> LegResult:
    """Two minutes of a tone, from a phone whose clock is slow by so much."""
    payloads = encoded(codec, pcm16(sine(440, 5.0))) * 24
    types = {name: number for number, name in CODECS.items()}
    rate = 48 if codec == "opus" else 8
    leg = Leg(CODECS, START)
    for n, payload in enumerate(payloads):
        header = bytes((0x80, types[codec])) + (n % 65_536).to_bytes(2, "big")
        header += (n * 20 * rate).to_bytes(4, "big") + bytes(4)
        at = n * 20 * (1 + ppm * 1e-6)
        leg.take(START + round(at * MS), header + payload)
    return leg.finish(START + 119_000 * MS)


@pytest.mark.parametrize("ppm", [300, -300])
@pytest.mark.parametrize(
    ("codec", "rate"), [("PCMU", 8000), ("G722", 16_000), ("opus", 48_000)]
)
def test_decoded_audio_is_that_of_an_exact_clock_but_for_single_samples(
    codec: str, rate: int, ppm: int
) -> None:
    """So no decoder was interrupted, and no sample is elsewhere."""
    exact, drifting = coded(codec, 0), coded(codec, ppm)
    assert drifting.figures.drift_ppm == pytest.approx(-ppm, abs=1)
    seconds = 118
    plain = LegAudio(exact, rate).read(rate * seconds)
    found_ = LegAudio(drifting, rate).read(rate * seconds)
    size = rate // 50
    frames = [
        stretched(frame, by * rate // drifting.clock_rate, frame)
        for frame, by in zip(
            plain.reshape(-1, size), of_frames(drifting, "stretch"), strict=False
        )
    ]
    expected = np.concatenate(frames)
    both = min(len(expected), len(found_))
    assert abs(len(expected) - len(found_)) == pytest.approx(
        rate * seconds * 300e-6, abs=size / 4
    )
    if codec == "opus":
        # Decoded in other runs: what one begins with is only almost the same.
        assert np.abs(expected[:both] - found_[:both].astype(int)).max() < 400
    else:
        assert np.array_equal(expected[:both], found_[:both])


def late_ms(call: Call) -> dict[tuple[int, int], float]:
    """How late each click is; every one that was received is there, once."""
    clicks = found(call.track)
    heard = {(click.leg, click.number): click.at for click in clicks}
    assert len(heard) == len(clicks)
    assert sorted(heard) == sorted((c.leg, c.number) for c in call.sent)
    return {key(c): (heard[key(c)] - c.at) / 8 for c in call.sent}


def key(click: Click) -> tuple[int, int]:
    return click.leg, click.number


HOLDS = (
    Hold(540, 720, "runs"),
    Hold(1620, 1980, "stops"),
    Hold(2700, 2772, "restarts"),
)


def test_every_click_of_an_hour_is_in_its_place() -> None:
    """200 ppm between the phones, 3 % loss, 40 ms of jitter, three holds."""
    call = make_call(
        (
            Phone(ppm=150, loss=0.03, jitter_ms=40, seed=1),
            Phone(ppm=-50, loss=0.03, jitter_ms=40, seed=2),
        ),
        seconds=3600,
        holds=HOLDS,
    )
    late = late_ms(call)
    assert len(late) > 2 * 0.95 * (1800 - 306)
    assert max(map(abs, late.values())) < 2
    assert [leg.figures.drift_ppm for leg in call.legs] == pytest.approx(
        [150, -50], abs=0.5
    )
    assert [leg.figures.rebased for leg in call.legs] == [2, 2]


@pytest.mark.parametrize("kind", ["runs", "stops", "restarts", "replaced"])
@pytest.mark.parametrize("jitter_ms", [0, 200])
def test_clicks_after_a_hold(kind: str, jitter_ms: float) -> None:
    call = make_call(
        (
            Phone(ppm=300, loss=0.15, jitter_ms=jitter_ms, seed=3),
            Phone(ppm=-300, loss=0.15, jitter_ms=jitter_ms, seed=4),
        ),
        seconds=400,
        holds=(Hold(150, 200, kind),),
        every=1,
    )
    late = late_ms(call)
    assert len(late) > 500
    assert max(map(abs, late.values())) < 3
    assert all(
        gap.reason is GapReason.HOLD
        for leg in call.legs
        for gap in leg.gaps
        if 150.3 < gap.start / 8000 < 199
    )


@pytest.mark.parametrize("longer_ms", [60, -60])
def test_clicks_when_the_way_becomes_another(longer_ms: float) -> None:
    """The clock of the phone goes on: its audio is not cut at the change."""
    before, after = max(-longer_ms, 0), max(longer_ms, 0)
    moved = Phone(ppm=100, jitter_ms=40, delay_ms=((0, before), (300, after)))
    call = make_call((moved, Phone(seed=2)), seconds=600, every=1)
    late = late_ms(call)
    assert max(map(abs, late.values())) < 2
    assert call.legs[0].figures.rebased == 0
    assert all(gap.samples < 160 for gap in call.legs[0].gaps[1:])


@pytest.mark.parametrize("talking", [0.5, 0.05])
def test_clicks_of_who_says_little(talking: float) -> None:
    """Discontinuous transmission: the clock goes on, the sequence does not."""
    call = make_call(
        (
            Phone(ppm=250, loss=0.03, jitter_ms=40, talking=talking, seed=5),
            Phone(ppm=-250, loss=0.03, jitter_ms=40, talking=talking, seed=6),
        ),
        seconds=1800,
        every=1,
    )
    late = late_ms(call)
    assert len(late) > 0.8 * 3600 * talking
    assert max(map(abs, late.values())) < 5
    assert [leg.figures.rebased for leg in call.legs] == [0, 0]
    assert all(abs(leg.figures.lost) < 0.04 * 90_000 * talking for leg in call.legs)
