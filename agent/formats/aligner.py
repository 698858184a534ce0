"""Two legs into one stereo track: the customer left, the officer right."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from agent.common.errors import AgentError
from agent.formats.audio_format import AudioFormat, choose
from agent.formats.codecs.g711 import (
    ALAW_SILENCE,
    ULAW_SILENCE,
    decode_alaw,
    decode_ulaw,
)
from agent.formats.codecs.opus import is_wide
from agent.formats.compression import compress
from agent.formats.container import SampleFormat, wav_header, wav_padding
from agent.formats.cues import Cue, chapters, wav_cues
from agent.formats.durations import is_opus
from agent.formats.loudness import LevelMeter
from agent.formats.rendering import STEP, LegAudio, Samples, is_known
from agent.formats.stretching import stretched
from agent.formats.timeline import LegResult
from agent.model.recording import OPUS_BITRATE, RecordingFormat

MAX_CHUNK: Final = 1 << 20
"Octets of one chunk: what the finisher holds of the track at a time."
WHOLE: Final = 960
"Chunks are multiples of so many samples: 20 ms at every rate, and of STEP."
CHANNELS: Final = 2

Meters = tuple[LevelMeter, LevelMeter]
_SILENCE: Final = {SampleFormat.ALAW: ALAW_SILENCE, SampleFormat.ULAW: ULAW_SILENCE}
_TO_LINEAR: Final = {SampleFormat.ALAW: decode_alaw, SampleFormat.ULAW: decode_ulaw}
_FRAME: Final = CHANNELS * np.dtype(np.int16).itemsize


class AlignerError(AgentError):
    """A leg holds audio that cannot be put into the track."""


@dataclass(frozen=True, slots=True)
class StereoTrack:
    """Two aligned channels, made chunk by chunk."""

    format: AudioFormat
    sample_rate: int
    samples: int
    "Per channel."
    legs: tuple[LegResult | None, LegResult | None]

    @property
    def duration_ms(self) -> int:
        """Whole milliseconds."""
        return self.samples * 1000 // self.sample_rate

    def meters(self) -> Meters:
        """What `file` may measure both channels with."""
        return LevelMeter(self.sample_rate), LevelMeter(self.sample_rate)

    def file(
        self,
        meters: Meters | None = None,
        cues: Sequence[Cue] = (),
        opus_bitrate: int = OPUS_BITRATE,
    ) -> Iterator[bytes]:
        """The audio file, in order, in pieces of about 1 MiB at most.

        Args:
            meters: what the samples are to be measured with on the way.
            cues: moments that players shall show.
            opus_bitrate: bits a second of each channel, if it becomes Opus.
        """
        law = self.format.law
        if law is None:
            yield from compress(
                self.linear(meters),
                opus=self.format is AudioFormat.OPUS,
                sample_rate=self.sample_rate,
                samples=self.samples,
                comments=chapters(cues, self.sample_rate),
                opus_bitrate=opus_bitrate,
            )
            return
        after = wav_cues(cues)
        yield wav_header(
            law, self.sample_rate, CHANNELS, self.samples, after=len(after)
        )
        yield from self._companded(law, meters)
        yield wav_padding(law, CHANNELS, self.samples) + after

    def linear(self, meters: Meters | None = None) -> Iterator[Samples]:
        """The samples as arrays of (count, 2), at most 1 MiB at a time."""
        step = MAX_CHUNK // _FRAME // WHOLE * WHOLE
        readers = {
            channel: LegAudio(leg, self.sample_rate)
            for channel, leg in enumerate(self.legs)
            if leg is not None
        }
        for start in range(0, self.samples, step):
            count = min(step, self.samples - start)
            chunk = np.zeros((count, CHANNELS), np.int16)
            for channel, reader in readers.items():
                whole = -(-count // STEP) * STEP
                mono = reader.read(whole)[:count]
                chunk[:, channel] = mono
                if meters is not None:
                    meters[channel].linear(mono)
            yield chunk

    def _companded(self, law: SampleFormat, meters: Meters | None) -> Iterator[bytes]:
        """The octets as they were on the wire, interleaved."""
        step = MAX_CHUNK // CHANNELS // WHOLE * WHOLE
        for start in range(0, self.samples, step):
            count = min(step, self.samples - start)
            chunk = np.empty((count, CHANNELS), np.uint8)
            for channel, leg in enumerate(self.legs):
                mono = bytearray((_SILENCE[law],)) * count
                for frame in leg.touching(start, start + count) if leg else ():
                    position, length, _, octets, skip, _, stretch = frame
                    if stretch:
                        octets = _stretched(octets, stretch, law)
                    low = max(position, start)
                    high = min(position + length, start + count)
                    first = skip - position
                    mono[low - start : high - start] = octets[
                        first + low : first + high
                    ]
                chunk[:, channel] = np.frombuffer(mono, np.uint8)
                if meters is not None:
                    meters[channel].companded(mono, law)
            yield chunk.tobytes()


def _stretched(payload: memoryview, by: int, law: SampleFormat) -> memoryview:
    levels = np.frombuffer(_TO_LINEAR[law](bytes(payload)), "<i2")
    octets = np.frombuffer(payload, np.uint8)
    return memoryview(stretched(octets, by, levels).tobytes())


def align(
    left: LegResult | None,
    right: LegResult | None,
    milliseconds: float,
    kept: RecordingFormat = RecordingFormat.WIRE,
) -> StereoTrack:
    """Put two legs side by side; where a leg has nothing there is silence.

    Both legs share one position 0. Raises AlignerError for codecs that cannot be
    decoded.
    """
    legs = [leg for leg in (left, right) if leg is not None]
    codecs = set().union(*(leg.audio_codecs for leg in legs))
    for name in sorted(codecs):
        if not is_known(name):
            raise AlignerError(f"no decoder for {name}")
    format_, rate = choose(
        codecs,
        above_8_khz=any(map(_is_wide, legs)),
        empty=milliseconds <= 0,
        kept=kept,
    )
    return StereoTrack(format_, rate, round(milliseconds * rate / 1000), (left, right))


def _is_wide(leg: LegResult) -> bool:
    """Whether any Opus packet of a leg has audio above 8 kHz."""
    if not any(map(is_opus, leg.audio_codecs)):
        return False
    octets = np.frombuffer(leg.data, np.uint8)
    opus = np.array([is_opus(name) for name in leg.codecs])[leg.codec]
    return any(map(is_wide, np.unique(octets[leg.offset[opus]]).tolist()))
