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

PAUSE_S: Final = 60.0
"Over a pause so long a clock that could not be measured may have drifted by 30 ms."

ENOUGH: Final = 250
"Of so many packets the soonest is no matter of chance: 5 s at 20 ms each."

LONE_S: Final = 0.02
"A packet sooner than all others by this is not believed: its timestamp is wrong."

_LONE: Final = 3
"Disbelieved one after the other; who sends more of them means it."


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
    level = transit - common * (time - time[:1]) if common else transit
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
        beyond = abs(slope) > MAX_DRIFT
        if beyond:
            slope = 0.0
            restarts = np.diff(elapsed // round(RESTART_S * clock_rate))
            pieces = np.split(members, np.flatnonzero(restarts) + 1)
        elif slope == 0:
            pieces = _split_at_pauses(members, elapsed, clock_rate)
        if len(members) > largest:
            largest, told = len(members), slope
        for piece in pieces:
            since = time[piece] - time[piece[0]]
            lowest = _lowest(transit[piece] - slope * since, clock_rate)
            offset[piece] = round(lowest) + _in_steps(slope * since, clock_rate)
            clock[piece] = count
            count += beyond
        count += not beyond
    return Anchored(clock, offset, transit - offset, told)


def _members(number: Integers) -> Iterator[Integers]:
    """The packets of each clock that are believed."""
    believed = np.flatnonzero(number >= 0)
    starts = np.flatnonzero(np.diff(number[believed], prepend=-1))
    for start, end in pairwise([*starts.tolist(), len(believed)]):
        yield believed[start:end]


def _split_at_pauses(
    members: Integers, elapsed: Integers, clock_rate: int
) -> list[Integers]:
    """Cut where nothing was said for long, if there is enough on either side."""
    pauses = np.flatnonzero(np.diff(elapsed) > PAUSE_S * clock_rate) + 1
    sizes = np.diff(pauses, prepend=0, append=len(members))
    enough = sizes >= ENOUGH
    return np.split(members, pauses[enough[:-1] & enough[1:]])


def _lowest(delay: Floats, clock_rate: int) -> float:
    """The least delay; of enough packets, the least that another one is near to."""
    if len(delay) < ENOUGH:
        return float(delay.min())
    lowest = np.sort(np.partition(delay, _LONE + 1)[: _LONE + 2])
    near = np.flatnonzero(np.diff(lowest) <= LONE_S * clock_rate)
    return float(lowest[near[0]] if len(near) else lowest[0])


def _in_steps(ticks: Floats, clock_rate: int) -> Integers:
    step = clock_rate // STEPS_PER_S
    return np.rint(ticks / step).astype(np.int64) * step
