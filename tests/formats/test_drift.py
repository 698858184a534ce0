import pytest

from agent.formats.drift import MAX_DRIFT, drift
from tests.formats.placements import RATE, stream


def off_at_the_end(seconds: float, ppm: float, found: float) -> float:
    """Milliseconds that a correction by `found` leaves."""
    return abs(found - ppm * 1e-6) * seconds * 1000


@pytest.mark.parametrize("ppm", [-500, -200, -50, 50, 200, 500])
@pytest.mark.parametrize(
    ("seconds", "jitter_ms", "talking", "left_ms"),
    [
        (61, 5, 1.0, 3.1),
        (120, 40, 1.0, 1.0),
        (600, 200, 0.4, 5.0),
        (3600, 40, 1.0, 1.0),
        (3600, 200, 0.4, 3.0),
    ],
)
def test_drift_is_found(
    ppm: float, seconds: float, jitter_ms: float, talking: float, left_ms: float
) -> None:
    found = drift(*stream(seconds, ppm, jitter_ms=jitter_ms, talking=talking), RATE)
    assert off_at_the_end(seconds, ppm, found) < left_ms


@pytest.mark.parametrize("seconds", [61, 120, 600, 3600])
@pytest.mark.parametrize("talking", [0.2, 1.0])
def test_no_drift_is_none(seconds: float, talking: float) -> None:
    for seed in range(10):
        for jitter_ms in (0, 40, 200):
            found = stream(seconds, 0, jitter_ms=jitter_ms, talking=talking, seed=seed)
            assert drift(*found, RATE) == 0


@pytest.mark.parametrize("seconds", [120, 600, 3600])
@pytest.mark.parametrize("ppm", [0, 200, -100])
@pytest.mark.parametrize(
    "steps",
    [
        ((0.5, 50),),
        ((0.5, -150),),
        ((0.1, 200),),
        ((0.3, 50), (0.7, -50)),
        ((0.25, 100), (0.35, -100)),
    ],
    ids=["longer", "shorter", "early", "for a while", "congestion"],
)
def test_another_route_is_no_drift(
    seconds: float, ppm: float, steps: tuple[tuple[float, float], ...]
) -> None:
    found = drift(*stream(seconds, ppm, steps=steps), RATE)
    assert off_at_the_end(seconds, ppm, found) < 3


def test_too_few_packets_or_too_short_a_life_tell_nothing() -> None:
    time, transit = stream(61, 400)
    assert drift(time[:2990:10], transit[:2990:10], RATE) == 0
    assert drift(time // 2, transit, RATE) == 0
    assert drift(time, transit, RATE) != 0


def test_what_does_not_add_up_to_five_milliseconds_is_left_alone() -> None:
    assert drift(*stream(100, 45, jitter_ms=0), RATE) == 0
    assert drift(*stream(100, 55, jitter_ms=0), RATE) == pytest.approx(55e-6)


def test_a_line_is_not_laid_through_clocks_that_turn_back() -> None:
    time, transit = stream(3600, 200)
    assert drift(time[::-1], transit[::-1], RATE) == 0


def test_sixteen_thousandths_is_no_clock() -> None:
    assert drift(*stream(600, 16_000), RATE) > MAX_DRIFT
