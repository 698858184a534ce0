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


@pytest.mark.parametrize("ppm", [100, -100, 400])
def test_between_two_short_talks_a_clock_may_drift(ppm: int) -> None:
    """Eight seconds, three quarters of an hour of hold, eight seconds."""
    time = np.concatenate((np.arange(400), 135_000 + np.arange(400))) * 160
    jitter = np.random.default_rng(1).uniform(0, 40, 800) * 8
    numbers, position, _ = anchored(time, time * ppm * 1e-6 + jitter)
    error = position - time * (1 + ppm * 1e-6)
    assert np.abs(error).max() < 0.02 * RATE
    assert set(numbers) <= {0, 1}


def test_a_few_words_after_a_pause_are_placed_by_the_clock_before_it() -> None:
    """Three packets in a second of congestion would say little of their own."""
    time = np.concatenate((np.arange(400), 9000 + np.arange(3))) * 160
    transit = np.where(time > 1_000_000, 800.0, 0.0)
    assert anchored(time, transit)[1].tolist() == time.tolist()


@pytest.mark.parametrize("ahead_ms", [60, 200])
@pytest.mark.parametrize("count", [1, 3])
def test_lone_packets_before_their_time_move_no_hour(ahead_ms: int, count: int) -> None:
    time, transit = stream(3600, 0)
    transit[1000 : 1000 + 500 * count : 500] = -ahead_ms * 8 - np.arange(count) * 200
    _, position, _ = anchored(time, transit)
    assert np.abs(position - time).max() < 0.001 * RATE


def test_several_packets_before_their_time_are_believed() -> None:
    time, transit = stream(3600, 0, jitter_ms=0)
    transit[1000:1006] -= 800
    _, position, _ = anchored(time, transit)
    assert np.all(position == time - 800)


def test_no_clock_that_falls_silent_begins_no_more_often_than_it_is_heard() -> None:
    time, transit = stream(600, 3000, jitter_ms=0)
    heard = (time < 150 * RATE) | (time >= 450 * RATE)
    numbers, _, _ = anchored(time[heard], transit[heard])
    assert len(numbers) == 30
    assert numbers == list(range(30))
