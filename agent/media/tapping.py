"""Where the journal of a leg begins and ends: by arrival, to the packet.

A pause means that what is said in it is never written, however long it then waits to
be read; and that what was said before it is. So the leg takes what waits in its socket
from before, and what waits from after stays there: the kernel knows which is which.
"""

from agent.media.leg import MediaLeg
from agent.media.tap import JournalTap


def start(leg: MediaLeg, tap: JournalTap, index: int, at_ns: int) -> None:
    """Journal what arrives from `at_ns` on; CLOCK_MONOTONIC."""
    if leg.tap is not tap:
        leg.tap = None
        leg.take_before(at_ns)
    if not tap.failed:
        leg.tap, leg.tap_index, leg.tap_since_ns = tap, index, at_ns


def stop(leg: MediaLeg, tap: JournalTap, index: int, at_ns: int) -> None:
    """Journal nothing that arrives from `at_ns` on, nor what has already."""
    if leg.tap is tap:
        leg.take_before(at_ns)
        leg.tap = None
        tap.drop_since(index, at_ns)


def catch_up(leg: MediaLeg, now_ns: int) -> None:
    """Take what has waited for a worker, each packet as of when it arrived."""
    tap, leg.tap = leg.tap, None
    leg.take_before(leg.tap_since_ns)
    leg.tap = tap
    leg.take_before(now_ns)
