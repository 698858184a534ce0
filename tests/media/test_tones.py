import math
from struct import unpack

import pytest

from agent.formats.codecs.g711 import decode_alaw, decode_ulaw
from agent.media.sound import Sound
from agent.media.tones import busy, congestion, ringback, tone


def linear(sound: Sound) -> tuple[int, ...]:
    return unpack(f"<{len(sound.pcma)}h", decode_alaw(sound.pcma))


def power_at(samples: tuple[int, ...], frequency: float) -> float:
    """Share of a burst's power at one frequency (Goertzel)."""
    coefficient = 2 * math.cos(2 * math.pi * frequency / 8000)
    before = last = 0.0
    for sample in samples:
        before, last = last, sample + coefficient * last - before
    power = last**2 + before**2 - coefficient * last * before
    return power / (sum(s * s for s in samples) * len(samples) / 2)


@pytest.mark.parametrize(
    ("sound", "on", "off"),
    [(ringback(), 8000, 32000), (busy(), 2400, 2400), (congestion(), 1600, 1600)],
    ids=["ringback", "busy", "congestion"],
)
def test_the_finnish_tones(sound: Sound, on: int, off: int) -> None:
    samples = linear(sound)
    assert len(samples) == len(sound.pcmu) == on + off
    assert sound.duration_ms == (on + off) // 8
    assert power_at(samples[:on], 425.0) > 0.97
    assert set(sound.pcma[on:]) == {0xD5}
    assert set(sound.pcmu[on:]) == {0xFF}


def test_the_level_is_ten_below_the_reference() -> None:
    samples = linear(ringback())[1000:7000]
    rms = math.sqrt(sum(s * s for s in samples) / len(samples))
    dbm0 = 3.14 + 20 * math.log10(rms * math.sqrt(2) / 32768)
    assert dbm0 == pytest.approx(-10.0, abs=0.2)


def test_the_edges_are_soft() -> None:
    samples = linear(busy())
    assert max(map(abs, samples[:8])) < 600
    assert max(map(abs, samples[2392:2400])) < 600


def test_both_laws_are_the_same_tone() -> None:
    sound = busy()
    mu = unpack(f"<{len(sound.pcmu)}h", decode_ulaw(sound.pcmu))
    assert max(abs(a - b) for a, b in zip(linear(sound), mu, strict=True)) < 600


def test_frequency_and_cadence_may_be_others() -> None:
    sound = ringback(frequency=440.0, cadence=(2.0, 4.0))
    assert sound.duration_ms == 6000
    assert power_at(linear(sound)[:16000], 440.0) > 0.97


def test_a_level_beyond_the_code_is_cut_to_it() -> None:
    loud = tone("loud", cadence=(0.1, 0.1), level=20.0)
    assert 32000 <= max(linear(loud)) <= 32767
