"""From a sender's clock to the agent's: a line under all packets of each clock.

The line has the slope of the drift and touches the packet that came soonest.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from agent.formats.clocks import clocks
from agent.formats.drift import MAX_DRIFT, drift

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

STEPS_PER_S: Final = 8000
"Drift is made up for in whole samples of the narrowest audio, whatever the RTP clock."

RESTART_S: Final = 10.0
"What keeps no time at all is placed by arrival, anew for each of these."


class Anchored(NamedTuple):
    """Parallel to the packets given."""

    clock: Integers
    "The number of its clock, counted from 0; -1 is disbelieved."
    offset: Integers
    "From RTP time to position, in ticks."
    delay: Floats
    "How much later than its position it came."
    drift: float
    "Of the clock that stamped most packets, as `drift.drift` tells it."


def anchor(
    time: Integers,
    arrival: Floats,
    *,
    length: Integers,
    run: Integers,
    clock_rate: int,
) -> Anchored:
    """Find the clocks of one source; arguments as those of `clocks`."""
    transit = arrival - time
    # One device has one crystal, however often it begins a clock anew.
    common = drift(time, transit, clock_rate)
    if abs(common) > MAX_DRIFT:
        common = 0.0
    level = transit - common * (time - time[:1])
    number = clocks(time, arrival, level, length=length, run=run, clock_rate=clock_rate)
    clock = np.full(len(time), -1, np.int64)
    offset = np.zeros(len(time), np.int64)
    count = largest = 0
    told = 0.0
    for members in _members(number):
        elapsed = time[members] - time[members[0]]
        # Behind one source there may be several devices, one after the other.
        slope = common + drift(elapsed, level[members], clock_rate)
        pieces = [members]
        if abs(slope) > MAX_DRIFT:
            slope = 0.0
            pieces = _pieces(members, elapsed // round(RESTART_S * clock_rate))
        if len(members) > largest:
            largest, told = len(members), slope
        for piece in pieces:
            since = time[piece] - time[piece[0]]
            lowest = round(float((transit[piece] - slope * since).min()))
            offset[piece] = lowest + _in_steps(slope * since, clock_rate)
            clock[piece] = count
            count += 1
    return Anchored(clock, offset, transit - offset, told)


def _members(number: Integers) -> Iterator[Integers]:
    """The packets of each clock that are believed."""
    believed = np.flatnonzero(number >= 0)
    starts = np.flatnonzero(np.diff(number[believed], prepend=-1))
    for start, end in pairwise([*starts.tolist(), len(believed)]):
        yield believed[start:end]


def _pieces(members: Integers, stretch: Integers) -> list[Integers]:
    return np.split(members, np.flatnonzero(np.diff(stretch)) + 1)


def _in_steps(ticks: Floats, clock_rate: int) -> Integers:
    step = clock_rate // STEPS_PER_S
    return np.rint(ticks / step).astype(np.int64) * step
