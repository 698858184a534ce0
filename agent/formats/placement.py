"""One RTP source on the agent's clock: where each of its packets belongs.

RTP timestamps say how far apart packets are; arrival times only say where the whole
lies. The difference (arrival less RTP time) is the sender's clock on the agent's plus
whatever delay the network added, so its lower envelope is that clock: the packets that
came soonest define it, and jitter moves nothing.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from agent.formats.anchors import anchor
from agent.formats.clocks import TOLERANCE_S
from agent.formats.sequences import in_order, unwrap
from agent.formats.tables import BATCH

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Small = npt.NDArray[np.int16]

LATE_S: Final = 0.2
"A packet this much later than the envelope counts as late; it is placed all the same."


@dataclass(frozen=True, slots=True)
class SourceFigures:
    """What came of one source's packets."""

    duplicates: int
    reordered: int
    late: int
    stray: int
    "Packets disbelieved: alone in their sequence number or timestamp, or overtaken."
    rebased: int
    "How often the source took up another clock."
    drift: float
    """How much slow the sender's clock was: ticks of the agent's for each tick of its,
    less one; 0 where nothing is certain. Of the clock that stamped most packets."""
    jitter: float
    "Mean interarrival jitter (RFC 3550 A.8) in samples."
    jitter_max: float


@dataclass(frozen=True, slots=True)
class Placement:
    """Where one source's packets lie, in sequence order."""

    order: Integers
    "Index of each placed packet in the arrays given."
    positions: Integers
    "Its first sample; strictly increasing."
    stretch: Small
    "Ticks to put into its audio, or to take out, where the clocks drift apart."
    missing: Integers
    "Sequence numbers before it, from the source's first, that never came."
    figures: SourceFigures


def place(
    sequence: Integers,
    timestamp: Integers,
    arrival: Floats,
    *,
    length: Integers,
    scale: Integers,
    clock_rate: int,
) -> Placement:
    """Place the packets of one source, given in arrival order.

    Args:
        sequence: 16-bit sequence numbers.
        timestamp: 32-bit timestamps.
        arrival: in ticks from position 0; may be negative.
        length: ticks of each packet. Those of none (keep-alives, comfort noise,
            RFC 4733 events, whose timestamps are not their own) count in the
            sequence and are not placed.
        scale: ticks that each packet's timestamp counts by: where a source changes
            to a codec of another clock rate, its timestamps begin anew (RFC 7160).
        clock_rate: ticks per second.

    What is done with is let go at once: of a long call every array counts.
    """
    ordered = in_order(sequence)
    del sequence
    duplicates, reordered = ordered.duplicates, ordered.reordered
    disbelieved = int(np.count_nonzero(~ordered.believed))
    audible = length > 0
    time = _unwrapped(timestamp, scale, audible)
    del timestamp
    jitter, jitter_max = _jitter(
        (arrival - time)[audible & ordered.believed], clock_rate
    )
    heard = audible[ordered.order]
    order, missing, run = (
        ordered.order[heard],
        ordered.missing[heard],
        ordered.run[heard],
    )
    del ordered, audible, heard
    time, arrival, length = time[order], arrival[order], length[order]
    # Another clock rate parts packets as another run of sequence numbers does.
    run += np.cumsum(np.diff(scale[order], prepend=scale[order[:1]]) != 0)
    del scale
    anchored = anchor(time, arrival, length=length, run=run, clock_rate=clock_rate)
    del arrival, run
    position = time + anchored.offset
    kept = anchored.clock >= 0
    kept[kept] = _increasing(position[kept])
    figures = SourceFigures(
        duplicates=duplicates,
        reordered=reordered,
        late=int(np.count_nonzero(anchored.delay[kept] > LATE_S * clock_rate)),
        stray=disbelieved + int(np.count_nonzero(~kept)),
        rebased=max(int(anchored.clock.max(initial=0)), 0),
        drift=anchored.drift,
        jitter=jitter,
        jitter_max=jitter_max,
    )
    clock = anchored.clock[kept]
    del anchored
    position, time, length = position[kept], time[kept], length[kept]
    stretch = _stretch(time, position, length, clock)
    del time, length, clock
    return Placement(order[kept], position, stretch, missing[kept], figures)


def _unwrapped(timestamp: Integers, scale: Integers, audible: Flags) -> Integers:
    """Timestamps of the audio in ticks; where a clock rate comes again, it goes on."""
    unwrapped = np.zeros(len(timestamp), np.int64)
    for step in np.unique(scale[audible]).tolist():
        members = audible & (scale == step)
        unwrapped[members] = unwrap(timestamp[members], 32) * step
    return unwrapped


def _jitter(transit: Floats, clock_rate: int) -> tuple[float, float]:
    """Mean and maximum of the interarrival jitter, RFC 3550 appendix A.8."""
    steps = np.abs(np.diff(transit))
    # Another clock is not jitter.
    steps = steps[steps <= TOLERANCE_S * clock_rate]
    jitter = total = highest = 0.0
    for first in range(0, len(steps), BATCH):
        for step in steps[first : first + BATCH].tolist():
            jitter += (step - jitter) / 16
            total += jitter
            highest = max(highest, jitter)
    return total / max(len(steps), 1), highest


def _increasing(positions: Integers) -> Flags:
    """Which packets lie after all before them in the sequence."""
    later = np.ones(len(positions), np.bool_)
    later[1:] = positions[1:] > np.maximum.accumulate(positions)[:-1]
    return later


def _stretch(
    time: Integers, position: Integers, length: Integers, clock: Integers
) -> Small:
    """How much longer each packet's place is than the packet.

    Between packets that follow each other drift is made up for within the audio;
    where something is missing between them, that silence is longer or shorter.
    """
    stretch = np.zeros(len(time), np.int16)
    joined = (np.diff(time) == length[:-1]) & (np.diff(clock) == 0)
    stretch[:-1][joined] = (np.diff(position) - length[:-1])[joined]
    return stretch
