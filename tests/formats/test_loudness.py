import numpy as np
import pytest
from hypothesis import given, strategies as st

from agent.formats.codecs.g711 import (
    ALAW_SILENCE,
    ULAW_SILENCE,
    decode_alaw,
    decode_ulaw,
    encode_alaw,
)
from agent.formats.container import SampleFormat
from agent.formats.loudness import FULL_SCALE, SILENCE, LevelMeter
from tests.formats.signals import sine

LAWS = {SampleFormat.ALAW: decode_alaw, SampleFormat.ULAW: decode_ulaw}


def measured(*pieces: list[int], rate: int = 8000) -> tuple[list[bool], int]:
    meter = LevelMeter(rate)
    for piece in pieces:
        meter.linear(np.array(piece, np.int16))
    return meter.loud.tolist(), meter.clipped


@pytest.mark.parametrize("rate", [8000, 16_000, 48_000])
def test_a_block_is_loud_from_its_mean_magnitude_on(rate: int) -> None:
    block = rate // 50
    low, high = [SILENCE - 4] * block, [SILENCE] * block
    assert measured(low + high, high + low, rate=rate) == (
        [False, True, True, False],
        0,
    )
    # One sample of a step more makes up for one of a step less.
    assert measured([SILENCE - 4, SILENCE + 4] * (block // 2), rate=rate)[0] == [True]
    assert measured(low[:-1] + high[:1], rate=rate)[0] == [False]


def test_a_lone_click_is_no_speech() -> None:
    assert measured([32_767] + [0] * 159) == ([False], 1)


def test_what_is_less_than_a_block_is_not_judged() -> None:
    assert measured() == ([], 0)
    assert measured([]) == ([], 0)
    assert measured([20_000] * 159) == ([], 0)
    assert measured([20_000] * 319) == ([True], 0)


def test_full_scale() -> None:
    assert measured([FULL_SCALE, -FULL_SCALE - 1, 32_767, -32_768])[1] == 4
    assert measured([FULL_SCALE - 1, -FULL_SCALE, 0])[1] == 0


@pytest.mark.parametrize(
    ("law", "top"), [(SampleFormat.ALAW, b"\xaa\x2a"), (SampleFormat.ULAW, b"\x80\0")]
)
def test_full_scale_of_a_law_is_its_last_step(law: SampleFormat, top: bytes) -> None:
    meter = LevelMeter(8000)
    meter.companded(bytes(range(256)), law)
    assert meter.clipped == 2
    meter.companded(top * 80, law)
    assert meter.clipped == 162
    assert meter.loud.tolist() == [True, True]


def test_silence_of_the_laws_is_silent() -> None:
    silences = {SampleFormat.ALAW: ALAW_SILENCE, SampleFormat.ULAW: ULAW_SILENCE}
    for law, octet in silences.items():
        meter = LevelMeter(8000)
        meter.companded(bytes((octet,)) * 320, law)
        assert meter.loud.tolist() == [False, False]


@pytest.mark.parametrize(("dbov", "loud"), [(-48, True), (-52, False)])
def test_a_tone_around_fifty_decibels(dbov: float, loud: bool) -> None:
    # dBov counts power, full scale being a square wave; a sine's mean is 0.9 of it.
    amplitude = 32_768 * 10 ** (dbov / 20) * np.sqrt(2)
    tone = (sine(400, 0.02) / sine(400, 0.02).max() * amplitude).astype("<i2")
    meter = LevelMeter(8000)
    meter.companded(encode_alaw(tone.tobytes()), SampleFormat.ALAW)
    meter.linear(tone)
    assert meter.loud.tolist() == [loud, loud]


@given(st.sampled_from(sorted(LAWS)), st.binary(min_size=320, max_size=2000))
def test_octets_measure_as_their_samples_do(law: SampleFormat, octets: bytes) -> None:
    companded, linear = LevelMeter(8000), LevelMeter(8000)
    companded.companded(octets, law)
    linear.linear(np.frombuffer(LAWS[law](octets), "<i2"))
    assert companded.loud.tolist() == linear.loud.tolist()
    assert companded.clipped == linear.clipped


@given(st.lists(st.integers(-32_768, 32_767), max_size=500))
def test_the_measure_as_it_is_said(samples: list[int]) -> None:
    found, clipped = measured(samples)
    levels = [(s if s >= 0 else -s - 1, s) for s in samples]
    assert clipped == sum(magnitude >= FULL_SCALE for magnitude, _ in levels)
    for number, loud in enumerate(found):
        block = levels[160 * number :][:160]
        steps = [min(m // 4, 254) + (m >= FULL_SCALE) for m, _ in block]
        assert loud == (sum(steps) * 4 >= SILENCE * 160)
    assert len(found) == len(samples) // 160
