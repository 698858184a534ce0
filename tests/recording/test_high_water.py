import pytest

from agent.recording.high_water import HighWater


def test_raised_once_and_cleared_once() -> None:
    water = HighWater(0.9, 0.8)
    levels = [0.5, 0.89, 0.9, 0.95, 0.85, 0.91, 0.8, 0.79, 0.85, 0.9]
    changes = [water.see(level) for level in levels]
    assert [n for n, changed in enumerate(changes) if changed] == [2, 7, 9]
    assert water.high


@pytest.mark.parametrize("clear", [-0.1, 0.91])
def test_marks_that_make_no_sense(clear: float) -> None:
    with pytest.raises(ValueError, match="no place"):
        HighWater(0.9, clear)
