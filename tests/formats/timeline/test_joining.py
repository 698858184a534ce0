"""A leg that joins a recording that is going on."""

import pytest

from tests.formats.streams import CODECS, MS, START, Leg, finish, placed, sender, steady


def joined(at_ms: int, numbers: range) -> Leg:
    leg = Leg(CODECS, START, START + at_ms * MS)
    for at, packet in sender(numbers):
        leg.take(START + round(at * MS), packet.to_bytes())
    return leg


def test_before_it_joins_it_is_absent_and_then_late() -> None:
    result = finish(joined(100, range(10, 20)), milliseconds=500)
    assert placed(result) == steady(range(10, 20))
    assert [tuple(gap) for gap in result.gaps] == [
        (0, 800, "absent"),
        (800, 800, "late-start"),
        (3200, 800, "silence"),
    ]


def test_what_came_before_it_was_told_is_kept() -> None:
    result = finish(joined(100, range(3, 20)), milliseconds=400)
    assert placed(result) == steady(range(3, 20))
    assert [tuple(gap) for gap in result.gaps] == [(0, 480, "absent")]


@pytest.mark.parametrize("kind", ["hold", "pause-begin", "gap-begin"])
def test_absence_goes_before_every_other_reason(kind: str) -> None:
    leg = joined(100, range(10, 20))
    leg.mark(START + 50 * MS, kind)
    first, second = finish(leg, milliseconds=400).gaps
    assert tuple(first) == (0, 800, "absent")
    assert (second.start, second.reason) == (800, kind.removesuffix("-begin"))


def test_one_that_joins_after_the_end_was_never_there() -> None:
    result = finish(joined(900, range(0)), milliseconds=400)
    assert [tuple(gap) for gap in result.gaps] == [(0, 3200, "absent")]
