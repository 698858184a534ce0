"""All orders in which the deeds of two sides may happen, each side's own order kept.

Deeds are done with or without time for the messages to arrive in between, and those
of each direction take their own time: so every message meets every other.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import product

from tests.fakes.wire import Fate, Packet
from tests.signalling.sip.pair import ALICE, Pair

Deed = Callable[[], None]
DELAYS = (0.01, 0.2)
"Seconds on the way, shorter and longer than the pause between two deeds."
PAUSES = (0.0, 0.05)


def interleavings(
    ours: Sequence[Deed], theirs: Sequence[Deed]
) -> Iterator[tuple[Deed, ...]]:
    """Every merge of the two."""
    if not ours or not theirs:
        yield (*ours, *theirs)
        return
    for rest in interleavings(ours[1:], theirs):
        yield (ours[0], *rest)
    for rest in interleavings(ours, theirs[1:]):
        yield (theirs[0], *rest)


def crossing(there: float, back: float) -> Fate:
    """Alice's messages take `there` seconds, the others' `back`."""
    return lambda packet: (there if packet.source == ALICE else back,)


def lossy(fate: Fate, every: int) -> Fate:
    """Likewise, but of the first ten packets each so many-th is lost.

    Not of all: what is sent again and again would be lost each time.
    """
    seen = 0

    def decide(packet: Packet) -> Sequence[float]:
        nonlocal seen
        seen += 1
        return () if seen <= 10 and seen % every == 0 else fate(packet)

    return decide


Build = Callable[[], tuple[Pair, list[Deed], list[Deed]]]


def every_order(build: Build, *, losses: Sequence[int] = (0,)) -> Iterator[Pair]:
    """A pair for every order of the deeds that `build` gives, done, and at rest.

    `losses`: every how manyth packet is lost; 0 for none.
    """
    _, ours, theirs = build()
    count = len(list(interleavings(ours, theirs)))
    for there, back, pause, every, number in product(
        DELAYS, DELAYS, PAUSES, losses, range(count)
    ):
        pair, ours, theirs = build()
        fate = crossing(there, back)
        pair.wire.fate = lossy(fate, every) if every else fate
        for deed in list(interleavings(ours, theirs))[number]:
            deed()
            pair.run(pause)
        pair.run(150.0)
        yield pair
