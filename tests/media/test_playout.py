from agent.media.announcement import Announcement
from agent.media.playout import Playout


def test_another_clock_is_another_origin() -> None:
    playout = Playout(1, Announcement([], loop=False, start_ns=0))
    first = playout.origin(8000)
    assert playout.origin(8000) is first
    opus = playout.origin(48_000)
    assert opus is playout.origin(48_000)
    assert opus is not first
    assert playout.origin(8000) is not first
    assert playout.origin(8000) != first


def test_what_was_sent() -> None:
    playout = Playout(1, Announcement([], loop=False, start_ns=0))
    playout.ticks = 1604
    assert playout.sent_ms == 200
