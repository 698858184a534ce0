"""How much a sender's clock gains or loses on the agent's, from its packets alone.

Over a call the least delay of each stretch of packets rises or falls with the
difference of the clocks. The rate is the median slope between stretches an eighth of
the call apart. Jitter cannot lower a minimum, and a route that becomes longer or
shorter for good touches only the pairs on either side of it: neither looks like a
clock, which takes all pairs along alike. (Moon, Skelly, Towsley, "Estimation and
removal of clock skew from network delay measurements", fit one line under all
packets, which a single change of route tilts.)
"""

from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

MAX_DRIFT: Final = 500e-6
"Ten times what a crystal may be off (ITU-T G.711: 50 ppm). Beyond, it is no clock."

SPAN_S: Final = 60.0
"A clock that was heard for less is not measured: 500 ppm are 30 ms by then."

LEAST_S: Final = 0.005
"What does not add up to this over a clock's life is left alone, as is the audio."

_PACKETS, _LEAST_PACKETS = 250, 25
"Of so many the soonest counts: of 5 s at 20 ms each. Of fewer where little is said."
_FEWEST, _MOST = 12, 240
"Stretches; a long call has longer ones."
_APART: Final = 8
"Stretches are compared with those this part of the call later."
_CERTAIN: Final = 4.0
"Standard errors that a rate must be off zero to be believed; of few slopes, more."
_FEW: Final = 8
"Of so many slopes twice as many: an error found from so few is itself uncertain."
_NORMAL: Final = 1.4826 * 1.2533
"Median deviation to the standard error of a median, of as many as a normal law has."


def drift(time: Integers, transit: Floats, clock_rate: int) -> float:
    """Ticks that `transit` rises by for each tick of `time`; 0 if that is not certain.

    Args:
        time: RTP time of each packet in ticks, in order of the sequence.
        transit: its arrival less its RTP time.
        clock_rate: ticks per second.

    What is returned is positive where the sender's clock is slow, and may be beyond
    MAX_DRIFT.
    """
    if len(time) < _FEWEST * _LEAST_PACKETS:
        return 0.0
    count = min(max(len(time) // _PACKETS, _FEWEST), _MOST)
    span = float(time.max() - time.min())
    if span < SPAN_S * clock_rate:
        return 0.0
    soonest = _soonest(transit, count)
    apart = max(count // _APART, 4)
    elapsed = time[soonest[apart:]] - time[soonest[:-apart]]
    risen = transit[soonest[apart:]] - transit[soonest[:-apart]]
    # Another clock may begin at an earlier time.
    forward = elapsed > 0
    slopes = risen[forward] / elapsed[forward]
    if 2 * len(slopes) < len(forward):
        return 0.0
    slope = float(np.median(slopes))
    deviation = float(np.median(np.abs(slopes - slope)))
    error = _NORMAL * deviation / float(np.sqrt(len(slopes)))
    certain = abs(slope) > _CERTAIN * (1 + _FEW / len(slopes)) * error
    heeded = abs(slope) * span >= LEAST_S * clock_rate
    return slope if certain and heeded else 0.0


def _soonest(transit: Floats, count: int) -> Integers:
    """Where in each of `count` equal stretches the least transit is."""
    bounds = np.linspace(0, len(transit), count + 1).astype(np.int64).tolist()
    return np.array(
        [start + int(transit[start:end].argmin()) for start, end in pairwise(bounds)]
    )
