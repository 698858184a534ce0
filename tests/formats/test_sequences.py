import numpy as np
import pytest

from agent.formats.sequences import is_valid
from tests.formats.placements import placement, talk


@pytest.mark.parametrize(
    ("sequence", "verdict"),
    [
        ([], False),
        ([7], False),
        ([7, 9, 8, 10], False),
        ([7, 9, 10], True),
        ([65_535, 0], True),
    ],
)
def test_source_is_valid_by_two_in_order(sequence: list[int], *, verdict: bool) -> None:
    assert is_valid(np.array(sequence, np.int64)) is verdict


def test_first_packet_with_a_wild_sequence_number() -> None:
    result = placement([(30_000, 0, 0.0), *talk(5, timestamp=160, arrival=160)])
    assert result.positions.tolist() == [160, 320, 480, 640, 800]
    assert result.figures.stray == 1


def test_restart_backwards_keeps_its_order() -> None:
    second = talk(5, sequence=20_000, timestamp=800, arrival=800)
    result = placement(talk(5, sequence=30_000) + second)
    assert result.order.tolist() == list(range(10))
    assert (result.figures.reordered, result.missing[-1]) == (0, 0)
