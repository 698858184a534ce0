"""Two legs into one stereo track: the customer left, the officer right."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from agent.common.errors import AgentError
from agent.formats.codecs.g711 import (
    ALAW_SILENCE,
    ULAW_SILENCE,
    decode_alaw,
    decode_ulaw,
)
from agent.formats.container import SampleFormat
from agent.formats.timeline import LegResult

MAX_CHUNK: Final = 1 << 20
"Octets of one chunk: what the finisher holds of the track at a time."

_FORMATS: Final = {"PCMA": SampleFormat.ALAW, "PCMU": SampleFormat.ULAW}
_SILENCE: Final = {
    SampleFormat.ALAW: ALAW_SILENCE,
    SampleFormat.ULAW: ULAW_SILENCE,
    SampleFormat.PCM16: 0,
}
_DECODERS: Final = {"PCMA": decode_alaw, "PCMU": decode_ulaw}


class AlignerError(AgentError):
    """A leg holds audio that cannot be put into the track."""


@dataclass(frozen=True, slots=True)
class StereoTrack:
    """Two aligned channels, made chunk by chunk."""

    format: SampleFormat
    sample_rate: int
    samples: int
    "Per channel."
    legs: tuple[LegResult | None, LegResult | None]

    def chunks(self) -> Iterator[bytes]:
        """The interleaved samples, in order, at most 1 MiB at a time."""
        sample = np.dtype("<u2" if self.format is SampleFormat.PCM16 else "u1")
        step = MAX_CHUNK // (2 * sample.itemsize)
        for start in range(0, self.samples, step):
            count = min(step, self.samples - start)
            chunk = np.empty((count, 2), sample)
            for channel, leg in enumerate(self.legs):
                mono = self._mono(leg, start, count)
                chunk[:, channel] = np.frombuffer(mono, sample)
            yield chunk.tobytes()

    def _mono(self, leg: LegResult | None, start: int, count: int) -> bytearray:
        """`count` samples of one channel from `start` on."""
        width = self.format.width
        mono = bytearray((_SILENCE[self.format],)) * (count * width)
        if leg is None:
            return mono
        end = start + count
        decode = self.format is SampleFormat.PCM16
        for position, length, offset, codec in leg.entries(start, end):
            low = max(position, start)
            high = min(position + length, end)
            audio = leg.data[offset + low - position : offset + high - position]
            mono[(low - start) * width : (high - start) * width] = (
                _DECODERS[leg.codecs[codec]](bytes(audio)) if decode else audio
            )
        return mono


def align(
    left: LegResult | None, right: LegResult | None, total_samples: int
) -> StereoTrack:
    """Put two legs side by side; where a leg has nothing there is silence.

    Both legs share one clock and one position 0. In one companding law if all audio
    is in it, else in 16-bit PCM. Raises AlignerError for other codecs and for legs
    of different clock rates.
    """
    legs = [leg for leg in (left, right) if leg is not None]
    rates = {leg.clock_rate for leg in legs} or {8000}
    if len(rates) > 1:
        raise AlignerError("the legs have different clock rates")
    formats = set()
    for leg in legs:
        for name in leg.audio_codecs:
            if name not in _FORMATS:
                raise AlignerError(f"no decoder for {name}")
            formats.add(_FORMATS[name])
    format_ = SampleFormat.ALAW
    if formats:
        format_ = formats.pop() if len(formats) == 1 else SampleFormat.PCM16
    return StereoTrack(format_, rates.pop(), total_samples, (left, right))
