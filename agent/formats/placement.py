"""One RTP source on the agent's clock: where each of its packets belongs.

RTP timestamps say how far apart packets are; arrival times only say where the whole
lies. The difference (arrival less RTP time) is a constant offset plus whatever delay
the network added, so its lower envelope is the offset: the packets that came soonest
define the clock, and jitter moves nothing.

That holds while the sender keeps one RTP clock. Where timestamps jump, or nothing
came for a while, the stream is cut into blocks, and arrival decides whether the old
offset still holds (silence, a stalled network) or the sender took up another clock
(a new anchor). A deviation of one packet alone is never believed.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from agent.formats.rtp.packet import MAX_DROPOUT, MAX_MISORDER

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

TOLERANCE_S: Final = 1.0
"Arrival and RTP time may disagree by this before the sender's clock is disbelieved."

AHEAD_S: Final = 0.25
"""No network delivers before its time: a stream that runs ahead of its own lower
envelope by more than this has another clock."""

PAUSE_S: Final = 0.2
"Nothing for this long: the offset is looked at again."

LATE_S: Final = 0.2
"A packet this much later than the envelope counts as late; it is placed all the same."

ANCHOR_S: Final = 60.0
"The envelope is taken over this much of a block's start, so that drift cannot move it."


@dataclass(frozen=True, slots=True)
class Placement:
    """Where one source's packets lie, in sequence order."""

    order: Integers
    "Index of each placed packet in the arrays given."
    positions: Integers
    "Its first sample; strictly increasing."
    missing: Integers
    "Sequence numbers before it, from the source's first, that never came."
    duplicates: int
    reordered: int
    late: int
    stray: int
    "Packets disbelieved: alone in their sequence number or timestamp, or overtaken."
    rebased: int
    "How often the source took up another clock."
    jitter: float
    "Mean interarrival jitter (RFC 3550 A.8) in samples."
    jitter_max: float


def is_valid(sequence: Integers) -> bool:
    """Whether a source ever sent two packets in order, RFC 3550 appendix A.1."""
    return bool(np.any((sequence[1:] - sequence[:-1]) % (1 << 16) == 1))


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
    """
    extended = _unwrap(sequence, 16)
    run, believed = _runs(extended)
    believed_at = np.flatnonzero(believed)
    order = believed_at[np.lexsort((extended[believed_at], run[believed_at]))]
    # lexsort is stable: of duplicates the first to arrive comes first.
    first = np.ones(len(order), np.bool_)
    first[1:] = (np.diff(extended[order]) != 0) | (np.diff(run[order]) != 0)
    duplicates = len(order) - int(np.count_nonzero(first))
    reordered = _count_reordered(extended, run, order[first])
    order = order[first]
    steps = np.diff(extended[order], prepend=extended[order[:1]] - 1)
    missing = np.cumsum(np.where(steps > 0, steps - 1, 0))

    audible = length > 0
    missing = missing[audible[order]]
    order = order[audible[order]]
    unwrapped = np.zeros(len(sequence), np.int64)
    for step in np.unique(scale[audible]).tolist():
        members = audible & (scale == step)
        unwrapped[members] = _unwrap(timestamp[members], 32) * step
    time = unwrapped[order]
    transit = arrival - unwrapped
    jitter, jitter_max = _jitter(transit[audible & believed], clock_rate)
    # Another clock parts packets as another run of sequence numbers does.
    clock = np.cumsum(np.diff(scale[order], prepend=scale[order[:1]]) != 0)
    group, rebased = _groups(
        time, arrival[order], length[order], run[order] + clock, clock_rate
    )
    offset, delay = _anchor(group, time, transit[order], clock_rate)
    position = time + offset
    kept = group >= 0
    kept[kept] = _increasing(position[kept])
    return Placement(
        order=order[kept],
        positions=position[kept],
        missing=missing[kept],
        duplicates=duplicates,
        reordered=reordered,
        late=int(np.count_nonzero(delay[kept] > LATE_S * clock_rate)),
        stray=len(sequence) - len(believed_at) + int(np.count_nonzero(~kept)),
        rebased=rebased,
        jitter=jitter,
        jitter_max=jitter_max,
    )


def _unwrap(values: Integers, bits: int) -> Integers:
    """Extend a wrapping counter: a step under half the range is believed.

    A single wild value leads away and back again, so it moves no other.
    """
    half = 1 << bits - 1
    steps = (np.diff(values) + half) % (1 << bits) - half
    extended = np.zeros(len(values), np.int64)
    np.cumsum(steps, out=extended[1:])
    return extended + values[:1]


def _runs(extended: Integers) -> tuple[Integers, Flags]:
    """Number the stretches of sequence numbers that belong together.

    RFC 3550 appendix A.1: a jump of MAX_DROPOUT forward or MAX_MISORDER back is
    believed when a second packet follows it; a backward one begins a new run.
    """
    run = np.zeros(len(extended), np.int64)
    believed = np.ones(len(extended), np.bool_)
    steps = np.diff(extended)
    jumps = np.flatnonzero((steps >= MAX_DROPOUT) | (steps <= -MAX_MISORDER)) + 1
    if not len(jumps):
        return run, believed
    bounds = [0, *jumps.tolist(), len(extended)]
    current = 0
    top: int | None = None
    for start, end in pairwise(bounds):
        highest = int(extended[start:end].max())
        step = int(extended[start]) - top if top is not None else MAX_DROPOUT
        if -MAX_MISORDER < step < MAX_DROPOUT:
            highest = max(highest, top or highest)
        elif end - start < 2:
            believed[start:end] = False
            continue
        elif step < 0:
            current += 1
        run[start:end] = current
        top = highest
    return run, believed


def _count_reordered(extended: Integers, run: Integers, kept: Integers) -> int:
    """How many packets came after one that follows them."""
    arrived = np.sort(kept)
    values, runs = extended[arrived], run[arrived]
    # The highest before each packet, begun anew with each run.
    lift = runs * (1 << 40)
    highest = np.maximum.accumulate(values + lift)
    return int(np.count_nonzero(values + lift < highest))


def _jitter(transit: Floats, clock_rate: int) -> tuple[float, float]:
    """Mean and maximum of the interarrival jitter, RFC 3550 appendix A.8."""
    steps = np.abs(np.diff(transit))
    # Another clock is not jitter.
    steps = steps[steps <= TOLERANCE_S * clock_rate]
    jitter = total = highest = 0.0
    for step in steps.tolist():
        jitter += (step - jitter) / 16
        total += jitter
        highest = max(highest, jitter)
    return total / max(len(steps), 1), highest


def _groups(
    time: Integers, arrival: Floats, length: Integers, run: Integers, clock_rate: int
) -> tuple[Integers, int]:
    """Number the anchors: packets of one number share one offset; -1 is disbelieved.

    Also returns how many anchors after the first.
    """
    if not len(time):
        return np.zeros(0, np.int64), 0
    transit = arrival - time
    elapsed = np.diff(time)
    turned = (elapsed < 0) | (np.diff(run) != 0)
    jumped = turned | (elapsed > length[:-1])
    paused = np.abs(np.diff(arrival)) > PAUSE_S * clock_rate
    starts = np.concatenate(([0], np.flatnonzero(jumped | paused) + 1))
    lowest: list[float] = np.minimum.reduceat(transit, starts).tolist()
    turns = np.concatenate(([True], turned[starts[1:] - 1])).tolist()
    jumps = np.concatenate(([True], jumped[starts[1:] - 1])).tolist()
    sizes = np.diff(starts, append=len(time))
    levels = _levels(lowest, turns, jumps, AHEAD_S * clock_rate)
    numbers, count = _assign(levels, sizes.tolist(), clock_rate)
    return np.repeat(np.array(numbers, np.int64), sizes), max(count - 1, 0)


def _levels(
    lowest: list[float], turns: list[bool], jumps: list[bool], ahead: float
) -> list[float]:
    """The offset each block speaks for: the least from it on, in one chain.

    Packets that a stalled network held back come in a burst and end at the old
    offset; a sender that stopped its clock never comes back to it. So the future
    decides, up to where timestamps turn back or run ahead of the chain's start.
    """
    breaks = []
    first = 0.0
    for low, turn, jump in zip(lowest, turns, jumps, strict=True):
        broken = turn or (jump and low < first - ahead)
        first = low if broken else first
        breaks.append(broken)
    levels = lowest.copy()
    for at in range(len(levels) - 2, -1, -1):
        if not breaks[at + 1]:
            levels[at] = min(levels[at], levels[at + 1])
    return levels


def _assign(
    levels: list[float], sizes: list[int], clock_rate: int
) -> tuple[list[int], int]:
    """Give each block the number of its anchor; -1 to lone packets far off."""
    tolerance, ahead = TOLERANCE_S * clock_rate, AHEAD_S * clock_rate
    numbers = []
    count = 0
    least = most = float("inf")
    for at, level in enumerate(levels):
        same = (
            count > 0
            and level >= least - ahead
            and max(most, level) - min(least, level) <= tolerance
        )
        if same:
            least, most = min(least, level), max(most, level)
        elif sizes[at] > 1 or (
            at + 1 < len(levels) and abs(levels[at + 1] - level) <= tolerance
        ):
            count += 1
            least = most = level
        else:
            numbers.append(-1)
            continue
        numbers.append(count - 1)
    return numbers, count


def _anchor(
    group: Integers, time: Integers, transit: Floats, clock_rate: int
) -> tuple[Integers, Floats]:
    """The offset of each packet, in whole samples, and its delay beyond it.

    One offset per anchor, from its first minute. A sender whose clock drifts keeps
    its place at the start and is off by the drift at the end; an offset that grows
    with `time` would go here.
    """
    offset = np.zeros(len(time), np.int64)
    placed = np.flatnonzero(group >= 0)
    starts = np.flatnonzero(np.diff(group[placed], prepend=-1))
    for start, end in pairwise([*starts.tolist(), len(placed)]):
        members = placed[start:end]
        early = members[time[members] - time[members[0]] <= ANCHOR_S * clock_rate]
        offset[members] = round(float(transit[early].min()))
    return offset, transit - offset


def _increasing(positions: Integers) -> Flags:
    """Which packets lie after all before them in the sequence."""
    later = np.ones(len(positions), np.bool_)
    later[1:] = positions[1:] > np.maximum.accumulate(positions)[:-1]
    return later
