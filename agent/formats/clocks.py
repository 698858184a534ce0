"""Which RTP clock each packet of a source was stamped by.

Where timestamps jump, or nothing came for a while, the stream is cut into blocks, and
arrival decides whether the old offset still holds (silence, a stalled network) or the
sender took up another clock. A deviation of one packet alone is never believed; but
the last ones of a stream, which a stall held back, deviate only in how late they came.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

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


def clocks(
    time: Integers,
    arrival: Floats,
    transit: Floats,
    *,
    length: Integers,
    run: Integers,
    clock_rate: int,
) -> Integers:
    """The number of each packet's clock, counted from 0; -1 is disbelieved.

    Args:
        time: RTP time of each packet in ticks, in order of the sequence.
        arrival: in ticks.
        transit: arrival less RTP time, without the drift of the two clocks.
        length: ticks of each packet.
        run: packets of different numbers have nothing to do with each other.
        clock_rate: ticks per second.
    """
    if not len(time):
        return np.zeros(0, np.int64)
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
    held_back = _held_back(
        time, transit, starts, ~turned & (elapsed <= TOLERANCE_S * clock_rate)
    )
    numbers = _assign(levels, sizes.tolist(), held_back, clock_rate)
    return np.repeat(np.array(numbers, np.int64), sizes)


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


def _held_back(
    time: Integers, transit: Floats, starts: Integers, near: Flags
) -> list[bool]:
    """Which blocks follow the one before in RTP time, and came in a burst, or alone.

    They were spoken when their timestamps say; a sender that had stopped its clock
    would go on at its own pace. `near` tells so much of each packet but the first.
    """
    ends = np.append(starts[1:], len(time)) - 1
    spoken, waited = time[ends] - time[starts], transit[starts] - transit[ends]
    follows = np.concatenate(([False], near[starts[1:] - 1]))
    held: list[bool] = (follows & (waited >= spoken / 2)).tolist()
    return held


def _assign(
    levels: list[float], sizes: list[int], held_back: list[bool], clock_rate: int
) -> list[int]:
    """Give each block the number of its clock; -1 to lone packets far off."""
    tolerance, ahead = TOLERANCE_S * clock_rate, AHEAD_S * clock_rate
    numbers: list[int] = []
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
        elif held_back[at] and numbers[-1] >= 0 and level > least:
            numbers.append(numbers[-1])
            continue
        elif sizes[at] > 1 or (
            at + 1 < len(levels) and abs(levels[at + 1] - level) <= tolerance
        ):
            count += 1
            least = most = level
        else:
            numbers.append(-1)
            continue
        numbers.append(count - 1)
    return numbers
