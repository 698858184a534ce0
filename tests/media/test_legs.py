"""The table of legs; with workers, ports and calls it is tested through the pool."""

from agent.media import control
from agent.media.legs import unplayed


def test_what_was_not_played_says_so() -> None:
    told = unplayed(control.Play(leg="c", token=7, sounds=("a",), loop=False))
    assert (told.leg, told.token, told.completed, told.frames) == ("c", 7, False, 0)
