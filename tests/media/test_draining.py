from dataclasses import dataclass, field

import pytest

from agent.media.draining import Draining


@dataclass
class Fakes:
    """Crew, legs and recordings, as far as they are asked."""

    draining: list[int]
    with_legs: set[int] = field(default_factory=set)
    with_recordings: set[int] = field(default_factory=set)
    released: list[int] = field(default_factory=list)

    def bind(self, worker: int) -> bool:
        return worker in self.with_legs

    def names_in(self, worker: int) -> tuple[str, ...]:
        return ("r",) * (worker in self.with_recordings)

    def release(self, worker: int) -> None:
        self.released.append(worker)


@pytest.mark.parametrize(
    ("with_legs", "with_recordings", "released"),
    [
        (set(), set(), [2, 3]),
        ({2}, set(), [3]),
        (set(), {3}, [2]),  # its journal is still being closed
        ({2, 3}, {2}, []),
        ({0, 1}, {1}, [2, 3]),
    ],
)
def test_who_has_nothing_left_is_let_go(
    with_legs: set[int], with_recordings: set[int], released: list[int]
) -> None:
    fakes = Fakes([2, 3], with_legs, with_recordings)
    Draining(fakes, fakes, fakes).look()  # type: ignore[arg-type]
    assert fakes.released == released
