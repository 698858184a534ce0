import numpy as np
import pytest

from agent.formats.anchors import RESTART_S, anchor
from tests.formats.placements import RATE, stream


def anchored(
    time: np.ndarray, transit: np.ndarray, *, rate: int = RATE
) -> tuple[list[int], np.ndarray, float]:
    """The clocks' numbers, the packets' positions, the drift in ppm."""
    result = anchor(
        time,
        time + transit,
        length=np.full(len(time), rate // 50),
        run=np.zeros(len(time), np.int64),
        clock_rate=rate,
    )
    numbers = np.unique(result.clock).tolist()
    return numbers, time + result.offset, result.drift * 1e6


@pytest.mark.parametrize("ppm", [200, -200])
def test_every_packet_of_an_hour_stands_where_the_clocks_say(ppm: int) -> None:
    time, transit = stream(3600, ppm, jitter_ms=0)
    numbers, position, told = anchored(time, transit)
    assert numbers == [0]
    assert told == pytest.approx(ppm)
    assert position.tolist() == np.rint(time * (1 + ppm * 1e-6)).tolist()


def test_at_48_khz_it_moves_in_samples_of_8_khz() -> None:
    time, transit = stream(3600, 200, jitter_ms=0)
    _, position, _ = anchored(time * 6, transit * 6, rate=48_000)
    assert position.tolist() == (6 * np.rint(time * 1.0002)).tolist()


def test_several_devices_behind_one_source() -> None:
    first, early = stream(900, 300)
    second, later = stream(900, -100)
    time = np.concatenate((first, second + 10**9))
    transit = np.concatenate((early, later + 900 * RATE - 10**9))
    numbers, position, _ = anchored(time, transit)
    assert numbers == [0, 1]
    true = np.concatenate((first * 1.0003, second * 0.9999 + 900 * RATE))
    assert np.abs(position - true).max() < 0.001 * RATE


def test_a_clock_too_short_to_be_measured_runs_as_the_others() -> None:
    first, early = stream(900, 300)
    second, later = stream(50, 300)
    time = np.concatenate((first, second + 10**9))
    transit = np.concatenate((early, later + 900 * RATE - 10**9))
    _, position, _ = anchored(time, transit)
    assert position[-1] - position[len(first)] == pytest.approx(
        (second[-1] - second[0]) * 1.0003, abs=1
    )


@pytest.mark.parametrize("ppm", [2000, -2000])
def test_what_is_no_clock_is_placed_by_arrival(ppm: int) -> None:
    time, transit = stream(600, ppm, jitter_ms=0)
    numbers, position, told = anchored(time, transit)
    assert len(numbers) == 600 / RESTART_S
    assert told == 0
    error = position - time * (1 + ppm * 1e-6)
    assert np.abs(error).max() <= 1 + RESTART_S * RATE * abs(ppm) * 1e-6
