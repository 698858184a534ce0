"""The tones a caller hears in place of a person: ringback, busy, congestion.

425 Hz and the cadences of Finland by default (ITU-T E.180 supplement 2).
"""

import math
from hashlib import sha256
from struct import pack
from typing import Final

from agent.formats.codecs.g711 import encode_alaw, encode_ulaw
from agent.media.sound import Sound

SAMPLE_RATE: Final = 8000
FREQUENCY: Final = 425.0
LEVEL_DBM0: Final = -10.0
RINGBACK: Final = (1.0, 4.0)
BUSY: Final = (0.3, 0.3)
CONGESTION: Final = (0.2, 0.2)

_OVERLOAD_DBM0: Final = 3.14
"A sine that just does not clip in A-law (ITU-T G.711)."
_FULL_SCALE: Final = 32767
_EDGE: Final = 40
"Samples of a soft edge: 5 ms, enough that it does not click."


def tone(
    name: str,
    *,
    frequency: float = FREQUENCY,
    cadence: tuple[float, float],
    level: float = LEVEL_DBM0,
) -> Sound:
    """One period of a tone, to be looped.

    Args:
        name: what it is called in the workers.
        frequency: Hertz.
        cadence: seconds on, seconds off.
        level: dBm0, at most 3.14.
    """
    on, off = (round(seconds * SAMPLE_RATE) for seconds in cadence)
    pcm16 = pack(f"<{on}h", *_burst(on, frequency, level)) + bytes(2 * off)
    pcma = encode_alaw(pcm16)
    return Sound(
        name=name,
        sha256=sha256(pcma).hexdigest(),
        duration_ms=(on + off) * 1000 // SAMPLE_RATE,
        pcma=pcma,
        pcmu=encode_ulaw(pcm16),
    )


def ringback(
    *, frequency: float = FREQUENCY, cadence: tuple[float, float] = RINGBACK
) -> Sound:
    """The tone of a telephone that rings elsewhere."""
    return tone("ringback", frequency=frequency, cadence=cadence)


def busy(*, frequency: float = FREQUENCY, cadence: tuple[float, float] = BUSY) -> Sound:
    """The tone of a line in use."""
    return tone("busy", frequency=frequency, cadence=cadence)


def congestion(
    *, frequency: float = FREQUENCY, cadence: tuple[float, float] = CONGESTION
) -> Sound:
    """The tone of a network that has no path."""
    return tone("congestion", frequency=frequency, cadence=cadence)


def _burst(samples: int, frequency: float, level: float) -> list[int]:
    peak = _FULL_SCALE * min(1.0, 10 ** ((level - _OVERLOAD_DBM0) / 20))
    step = 2 * math.pi * frequency / SAMPLE_RATE
    return [
        round(peak * _edge(min(n, samples - 1 - n)) * math.sin(step * n))
        for n in range(samples)
    ]


def _edge(distance: int) -> float:
    """Half a cosine over the first and last samples of a burst."""
    if distance >= _EDGE:
        return 1.0
    return (1 - math.cos(math.pi * distance / _EDGE)) / 2
