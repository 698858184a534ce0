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
        slope, pieces, restarts = common, [members], False
        if len(members) >= ENOUGH:
            # Behind one source there may be several devices, one after the other.
            slope += drift(time[members], level[members], clock_rate)
            restarts = abs(slope) > MAX_DRIFT
            slope = 0.0 if restarts else slope
            pieces = _pieces(
                members, time[members], clock_rate, slope, restarts=restarts
            )
        if len(members) > largest:
            largest, told = len(members), slope
        for piece in pieces:
            offset[piece] = _line(time[piece], transit[piece], slope, clock_rate)
            clock[piece] = count
            count += restarts
        count += not restarts
    return Anchored(clock, offset, transit - offset, told)


def _members(number: Integers) -> Iterator[Integers]:
    """The packets of each clock that are believed."""
    believed = np.flatnonzero(number >= 0)
    starts = np.flatnonzero(np.diff(number[believed], prepend=-1))
    for start, end in pairwise([*starts.tolist(), len(believed)]):
        yield believed[start:end]


def _pieces(
    members: Integers, time: Integers, clock_rate: int, slope: float, *, restarts: bool
) -> list[Integers]:
    """What is placed by one line."""
    if restarts:
        part = (time - time[0]) // round(RESTART_S * clock_rate)
        return np.split(members, np.flatnonzero(np.diff(part)) + 1)
    if slope:
        return [members]
    # Cut where nothing was said for long, if there is enough on either side.
    pauses = np.flatnonzero(np.diff(time) > PAUSE_S * clock_rate) + 1
    enough = np.diff(pauses, prepend=0, append=len(members)) >= ENOUGH
    return np.split(members, pauses[enough[:-1] & enough[1:]])


def _line(
    time: Integers, transit: Floats, slope: float, clock_rate: int
) -> Integers | int:
    """From RTP time to position: the line of that slope under all packets."""
    if not slope:
        return round(_lowest(transit, clock_rate))
    rise = slope * (time - time[0])
    # In whole samples of the narrowest audio.
    step = clock_rate // STEPS_PER_S
    steps: Integers = np.rint(rise / step).astype(np.int64) * step
    return steps + round(_lowest(transit - rise, clock_rate))


def _lowest(delay: Floats, clock_rate: int) -> float:
    """The least delay; of enough packets, the least that another one is near to."""
    if len(delay) < ENOUGH:
        return float(delay.min())
    lowest = np.sort(np.partition(delay, _LONE + 1)[: _LONE + 2])
    near = np.flatnonzero(np.diff(lowest) <= LONE_S * clock_rate)
    return float(lowest[near[0]] if len(near) else lowest[0])
