import math

import numpy as np
import pytest

from agent.formats.active_level import active_level, fast_size

RATE = 8000


def tone(seconds: float, decibels: float) -> np.ndarray:
    """A sine whose power is so many dBov."""
    time = np.arange(round(seconds * RATE)) / RATE
    return np.sin(2 * np.pi * 437 * time) * math.sqrt(2) * 10 ** (decibels / 20)


@pytest.mark.parametrize("decibels", [-6.0, -20.0, -26.0, -45.0])
def test_what_never_pauses_has_its_mean_level(decibels: float) -> None:
    told = active_level(tone(5, decibels), RATE)
    assert told.level == pytest.approx(decibels, abs=0.1)
    assert told.activity == pytest.approx(1.0, abs=0.02)


def test_pauses_are_not_counted() -> None:
    # Bursts of a second with pauses as long: half of it is active, and the hangover.
    burst = np.concatenate([tone(1, -20.0), np.zeros(RATE)])
    told = active_level(np.tile(burst, 5), RATE)
    assert told.level == pytest.approx(-20.0, abs=1.2)
    assert 0.5 <= told.activity <= 0.65
    mean = 10 * math.log10(float(np.mean(np.tile(burst, 5) ** 2)))
    assert mean == pytest.approx(-23.0, abs=0.1)


def test_noise_far_below_the_speech_is_no_speech() -> None:
    rng = np.random.default_rng(1)
    burst = np.concatenate([tone(1, -20.0), np.zeros(4 * RATE)])
    noisy = burst + rng.standard_normal(len(burst)) * 10 ** (-60 / 20)
    told = active_level(noisy, RATE)
    assert told.level == pytest.approx(-20.0, abs=1.2)
    assert told.activity < 0.3


def test_gain_moves_the_level_and_nothing_else() -> None:
    burst = np.tile(np.concatenate([tone(0.7, -12.0), np.zeros(3000)]), 6)
    loud, faint = active_level(burst, RATE), active_level(burst / 10, RATE)
    assert loud.level - faint.level == pytest.approx(20.0, abs=0.2)
    assert loud.activity == pytest.approx(faint.activity, abs=0.02)


def test_silence_has_no_level() -> None:
    assert active_level(np.zeros(RATE), RATE) == active_level(np.zeros(0), RATE)
    assert active_level(np.zeros(RATE), RATE).level == -math.inf
    assert active_level(np.zeros(RATE), RATE).activity == 0.0


def test_what_is_fainter_than_the_last_threshold_counts_whole() -> None:
    faint = tone(1, -100.0)
    told = active_level(faint, RATE)
    assert told.level == pytest.approx(-100.0, abs=0.1)
    assert told.activity == 1.0


def test_a_lone_click_is_measured() -> None:
    # The first threshold that it exceeds tells already: none before to look between.
    click = np.zeros(RATE)
    click[0] = 1.0
    told = active_level(click, RATE)
    assert -36 < told.level < -30
    assert 0.2 < told.activity < 0.4


@pytest.mark.parametrize(
    ("least", "size"),
    [(1, 1), (2, 2), (7, 8), (11, 12), (17, 18), (97, 100), (8193, 8640 - 540)],
)
def test_sizes_whose_transform_is_fast(least: int, size: int) -> None:
    found = fast_size(least)
    assert found == size if least < 8000 else least <= found <= size + 540
    for prime in (2, 3, 5):
        while found % prime == 0:
            found //= prime
    assert found == 1
