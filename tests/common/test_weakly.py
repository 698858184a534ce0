import weakref

import pytest

from agent.common.weakly import weakly


class Whole:
    def __init__(self) -> None:
        self.part = weakly(self.told)
        self.heard: list[tuple[int, str]] = []

    def told(self, number: int, *, name: str) -> int:
        self.heard.append((number, name))
        return number + 1


def test_a_part_reaches_its_whole() -> None:
    whole = Whole()
    assert whole.part(1, name="x") == 2
    assert whole.heard == [(1, "x")]


def test_a_part_does_not_keep_its_whole() -> None:
    whole = Whole()
    part, reference = whole.part, weakref.ref(whole)
    del whole
    assert reference() is None
    with pytest.raises(ReferenceError, match="told"):
        part(1, name="x")
