import math

import numpy as np
import pytest

from agent.formats.active_level import active_level
from agent.formats.telephone_audio import (
    LEAD,
    LEVEL,
    PEAK,
    RATE,
    TAIL,
    levelled,
    mono,
    peak,
    quiet,
    to_telephone,
    trim,
)


def tone(hertz: float, rate: int, seconds: float = 1.0) -> np.ndarray:
    return 0.25 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


@pytest.mark.parametrize("rate", [8000, 11_025, 16_000, 22_050, 44_100, 48_000, 6000])
def test_a_voice_comes_through_whatever_its_rate(rate: int) -> None:
    out = to_telephone(tone(1000, rate), rate)
    assert len(out) == RATE
    inner = slice(400, -400)
    assert np.allclose(out[inner], tone(1000, RATE)[inner], atol=0.003)


@pytest.mark.parametrize("hertz", [50, 4500, 7000, 15_000])
def test_what_a_telephone_has_not_does_not_come_back_as_something_else(
    hertz: int,
) -> None:
    out = to_telephone(tone(hertz, 48_000), 48_000)
    assert np.abs(out[800:-800]).max() < 0.003


def test_a_constant_is_taken_away() -> None:
    out = to_telephone(tone(500, 16_000) + 0.2, 16_000)
    assert abs(out[800:-800].mean()) < 0.003


def test_silence_around_the_words_is_trimmed() -> None:
    said = np.concatenate([np.zeros(RATE), tone(500, RATE, 2.0), np.zeros(2 * RATE)])
    before, after = quiet(said, RATE)
    assert before == pytest.approx(1.0, abs=0.02)
    assert after == pytest.approx(2.0, abs=0.02)
    trimmed = trim(said, RATE)
    assert len(trimmed) / RATE == pytest.approx(2.0 + LEAD + TAIL, abs=0.03)
    assert np.abs(trimmed).max() == pytest.approx(0.25, abs=0.01)


def test_what_is_tight_already_is_left_so() -> None:
    said = tone(500, RATE)
    assert len(trim(said, RATE)) == len(said)


@pytest.mark.parametrize("size", [0, 10, RATE])
def test_silence_is_all_quiet_and_stays_silence(size: int) -> None:
    silence = np.zeros(size)
    assert quiet(silence, RATE) == (size / RATE, size / RATE)
    assert not levelled(silence, RATE).any()
    assert peak(silence) == -math.inf


@pytest.mark.parametrize("gain", [0.01, 1.0, 3.9])
def test_speech_comes_to_the_nominal_level(gain: float) -> None:
    words = np.concatenate([tone(500, RATE), np.zeros(4000), tone(700, RATE)])
    out = levelled(words * gain, RATE)
    assert active_level(out, RATE).level == pytest.approx(LEVEL, abs=0.3)


def test_no_peak_is_cut_off_for_the_level() -> None:
    clicks = np.zeros(2 * RATE)
    clicks[::2000] = 0.01
    out = levelled(clicks, RATE)
    assert peak(out) == pytest.approx(PEAK, abs=0.01)


def test_channels_become_one() -> None:
    both = np.stack([np.ones(10), np.zeros(10)], axis=1)
    assert np.allclose(mono(both), 0.5)
    assert np.allclose(mono(np.ones(10)), 1.0)
