"""How long packets last, by what their payload types mean, for very many at once."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from agent.formats.codecs.opus import CLOCK_RATE, FRAME_TICKS, MAX_TICKS
from agent.formats.rtp.headers import RtpHeaders

Integers = npt.NDArray[np.int64]

DEFAULT_RATE: Final = 8000
"Of G.711, of G.722 by an error that stands (RFC 3551 section 4.5.2), of CN."
_NO_AUDIO: Final = frozenset({"", "CN", "TELEPHONE-EVENT"})
_FRAME_TICKS: Final = np.array(FRAME_TICKS, np.int64)
_FRAMES: Final = np.array((1, 2, 2, 0))


def clock_rate_of(name: str) -> int:
    """The RTP clock rate of a codec, by its encoding name."""
    return CLOCK_RATE if is_opus(name) else DEFAULT_RATE


def is_opus(name: str) -> bool:
    """Whether an encoding name is that of Opus; names know no case."""
    return name.upper() == "OPUS"


def durations(
    names: Sequence[str], codec: Integers, headers: RtpHeaders, packets: bytearray
) -> Integers:
    """Ticks of each packet at its codec's own clock rate; 0 if it has no audio.

    `codec` indexes `names` for each packet.
    """
    silent = np.array([name.upper() in _NO_AUDIO for name in names])
    length = np.where(silent[codec], 0, headers.length)
    opus = np.array([is_opus(name) for name in names])[codec] & headers.valid
    if opus.any():
        length[opus] = _opus(headers.payload[opus], headers.length[opus], packets)
    return length


def _opus(payload: Integers, size: Integers, packets: bytearray) -> Integers:
    """RFC 6716 sections 3.1 and 3.2, as `packet_ticks`."""
    octets = np.frombuffer(packets, np.uint8)
    # An empty payload, or one of one octet, may stand at the very end.
    last = len(octets) - 1
    first = octets[np.minimum(payload, last)].astype(np.int64)
    second = octets[np.minimum(payload + 1, last)].astype(np.int64)
    counted = np.where(size > 1, second & 0x3F, 0)
    frames = np.where(first & 3 == 3, counted, _FRAMES[first & 3])
    ticks = np.where(size > 0, _FRAME_TICKS[first >> 3] * frames, 0)
    return np.where(ticks <= MAX_TICKS, ticks, 0)
