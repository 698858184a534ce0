"""Legs into one stereo track: the customer left, the officer right."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from agent.common.errors import AgentError
from agent.formats.audio_format import AudioFormat, choose
from agent.formats.codecs.g711 import (
    ALAW_SILENCE,
    ULAW_SILENCE,
    decode_alaw,
    decode_ulaw,
)
from agent.formats.compression import compress
from agent.formats.container import SampleFormat, wav_header, wav_padding
from agent.formats.cues import Cue, chapters, wav_cues
from agent.formats.loudness import LevelMeter
from agent.formats.rendering import STEP, LegAudio, Samples, is_known
from agent.formats.stretching import stretched
from agent.formats.timeline import LegResult
from agent.model.recording import OPUS_BITRATE, Channel, RecordingFormat

MAX_CHUNK: Final = 1 << 20
"Octets of one chunk: what the finisher holds of the track at a time."
WHOLE: Final = 960
"Chunks are multiples of so many samples: 20 ms at every rate, and of STEP."
CHANNELS: Final = 2

Meters = tuple[LevelMeter, ...]
"One for each leg."
_SILENCE: Final = {SampleFormat.ALAW: ALAW_SILENCE, SampleFormat.ULAW: ULAW_SILENCE}
_TO_LINEAR: Final = {SampleFormat.ALAW: decode_alaw, SampleFormat.ULAW: decode_ulaw}
_FRAME: Final = CHANNELS * np.dtype(np.int16).itemsize


class AlignerError(AgentError):
    """A leg holds audio that cannot be put into the track."""


class Lane(NamedTuple):
    """A leg, and on which side it is heard."""

    leg: LegResult
    channel: Channel


@dataclass(frozen=True, slots=True)
class StereoTrack:
    """Two aligned channels, made chunk by chunk; legs of one side are added up."""

    format: AudioFormat
    sample_rate: int
    samples: int
    "Per channel."
    lanes: tuple[Lane, ...]

    @property
    def duration_ms(self) -> int:
        """Whole milliseconds."""
        return self.samples * 1000 // self.sample_rate

    def meters(self) -> Meters:
        """What `file` may measure each leg with."""
        return tuple(LevelMeter(self.sample_rate) for _ in self.lanes)

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
        readers = [LegAudio(lane.leg, self.sample_rate) for lane in self.lanes]
        mixed = is_mixed(self.lanes)
        for start in range(0, self.samples, step):
            count = min(step, self.samples - start)
            chunk = np.zeros((count, CHANNELS), np.int32 if mixed else np.int16)
            for number, reader in enumerate(readers):
                whole = -(-count // STEP) * STEP
                mono = reader.read(whole)[:count]
                for side in self.lanes[number].channel.sides:
                    chunk[:, side] += mono
                if meters is not None:
                    meters[number].linear(mono)
            yield _clipped(chunk) if mixed else chunk

    def _companded(self, law: SampleFormat, meters: Meters | None) -> Iterator[bytes]:
        """The octets as they were on the wire, interleaved."""
        step = MAX_CHUNK // CHANNELS // WHOLE * WHOLE
        # At most one on each side; the others leave it as it is.
        heard = [bool(leg.audio_codecs) for leg, _ in self.lanes]
        for start in range(0, self.samples, step):
            count = min(step, self.samples - start)
            chunk = np.full((count, CHANNELS), _SILENCE[law], np.uint8)
            for number, (leg, channel) in enumerate(self.lanes):
                mono = bytearray((_SILENCE[law],)) * count
                for frame in leg.touching(start, start + count):
                    position, length, _, octets, skip, _, stretch = frame
                    if stretch:
                        octets = _stretched(octets, stretch, law)
                    low = max(position, start)
                    high = min(position + length, start + count)
                    first = skip - position
                    mono[low - start : high - start] = octets[
                        first + low : first + high
                    ]
                for side in channel.sides if heard[number] else ():
                    chunk[:, side] = np.frombuffer(mono, np.uint8)
                if meters is not None:
                    meters[number].companded(mono, law)
            yield chunk.tobytes()


def _stretched(payload: memoryview, by: int, law: SampleFormat) -> memoryview:
    levels = np.frombuffer(_TO_LINEAR[law](bytes(payload)), "<i2")
    octets = np.frombuffer(payload, np.uint8)
    return memoryview(stretched(octets, by, levels).tobytes())


def _clipped(chunk: npt.NDArray[np.signedinteger]) -> Samples:
    clipped: Samples = np.clip(chunk, -32768, 32767).astype(np.int16)
    return clipped


def is_mixed(lanes: Iterable[Lane]) -> bool:
    """Whether several legs are heard on one side."""
    heard = [
        side for leg, channel in lanes if leg.audio_codecs for side in channel.sides
    ]
    return len(heard) > len(set(heard))


def align(
    lanes: Sequence[Lane],
    milliseconds: float,
    kept: RecordingFormat = RecordingFormat.WIRE,
) -> StereoTrack:
    """Put legs side by side; where a side has nothing there is silence.

    All legs share one position 0. Raises AlignerError for codecs that cannot be
    decoded.
    """
    legs = [lane.leg for lane in lanes]
    codecs = set().union(*(leg.audio_codecs for leg in legs))
    for name in sorted(codecs):
        if not is_known(name):
            raise AlignerError(f"no decoder for {name}")
    format_, rate = choose(
        codecs,
        above_8_khz=any(leg.wide for leg in legs),
        empty=milliseconds <= 0,
        mixed=is_mixed(lanes),
        kept=kept,
    )
    return StereoTrack(format_, rate, round(milliseconds * rate / 1000), tuple(lanes))
