"""Masked copies: spans of a recording made silent, for whom they are not meant.

The original is untouched; a masked copy is a new file of the same format, rate and
length. What is masked is gone: the copy holds nothing it could be restored from.
"""

import io
import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import soundfile

from agent.common.errors import AgentError
from agent.formats.audio_format import AudioFormat
from agent.formats.codecs.g711 import ALAW_SILENCE, ULAW_SILENCE
from agent.formats.comments import read_comments
from agent.formats.compression import compress
from agent.formats.container import SampleFormat, audio_place, read_wav
from agent.model.recording import OPUS_BITRATE

MAX_SPANS: Final = 1000
"Far above what anybody masks by hand."
BLOCK: Final = 1 << 16
"Samples per channel that are in memory at once."

_SILENCE: Final = {
    SampleFormat.ALAW: bytes((ALAW_SILENCE,)),
    SampleFormat.ULAW: bytes((ULAW_SILENCE,)),
    SampleFormat.PCM16: bytes(2),
}
_MOMENT: Final = r"(?:(?:(\d{1,2}):)?(\d{1,2}):)?(\d{1,5})(?:\.(\d{1,3}))?"
_SPAN: Final = re.compile(f"{_MOMENT}-{_MOMENT}", re.ASCII)


class MaskingError(AgentError):
    """A span is malformed, or the audio is not what it should be."""

    hint = "Write a span as 1:02.5-1:10, from the beginning of the recording."


class Span(NamedTuple):
    """A stretch of a recording, from its beginning."""

    start_ms: int
    end_ms: int

    def __str__(self) -> str:
        return f"{_clock(self.start_ms)}-{_clock(self.end_ms)}"


def parse_span(text: str) -> Span:
    """A span of `[[h:]m:]s[.sss]-[[h:]m:]s[.sss]`. Raises MaskingError."""
    match = _SPAN.fullmatch(text)
    if match is None:
        raise MaskingError("A span to be masked is malformed.")
    groups = match.groups()
    span = Span(_milliseconds(*groups[:4]), _milliseconds(*groups[4:]))
    if span.start_ms >= span.end_ms:
        raise MaskingError("A span to be masked ends before it begins.")
    return span


def mask(data: bytes, format: AudioFormat, spans: Sequence[Span]) -> bytes:  # noqa: A002
    """The same audio with silence in the spans, on both channels.

    A span is widened to whole samples. Ogg Opus is coded anew, at twice the usual bit
    rate, so that what is left loses next to nothing. Raises MaskingError if a span
    lies outside, or if the audio does not decode; ContainerError for a broken WAV
    file; CommentError for broken comments.
    """
    if len(spans) > MAX_SPANS:
        raise MaskingError("There are too many spans to be masked.")
    if not spans:
        return data
    if format.law is not None:
        return _mask_wav(data, spans)
    return _mask_coded(data, spans, opus=format is AudioFormat.OPUS)


def _mask_wav(data: bytes, spans: Sequence[Span]) -> bytes:
    wav = read_wav(data)
    silence = _SILENCE[wav.format] * wav.channels
    size = len(silence)
    copy = bytearray(data)
    at = audio_place(data)
    for start, end in _in_samples(spans, wav.sample_rate, len(wav.samples) // size):
        copy[at + start * size : at + end * size] = silence * (end - start)
    return bytes(copy)


def _mask_coded(data: bytes, spans: Sequence[Span], *, opus: bool) -> bytes:
    comments = read_comments(data)
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            silent = _in_samples(spans, file.samplerate, file.frames)
            chunks = compress(
                _silenced(file, silent),
                opus=opus,
                sample_rate=file.samplerate,
                samples=file.frames,
                comments=comments,
                opus_bitrate=2 * OPUS_BITRATE,
            )
            return b"".join(chunks)
    except soundfile.LibsndfileError as error:
        raise MaskingError("The audio cannot be decoded.", hint="") from error


def _silenced(
    file: soundfile.SoundFile, spans: Sequence[tuple[int, int]]
) -> Iterator[npt.NDArray[np.int16]]:
    at = 0
    while len(chunk := file.read(BLOCK, dtype="int16", always_2d=True)):
        for start, end in spans:
            chunk[max(start - at, 0) : max(end - at, 0)] = 0
        at += len(chunk)
        yield chunk


def _in_samples(
    spans: Sequence[Span], rate: int, samples: int
) -> list[tuple[int, int]]:
    found = []
    for span in spans:
        start, end = span.start_ms * rate // 1000, -(-span.end_ms * rate // 1000)
        if start >= samples:
            raise MaskingError(
                "A span to be masked begins after the recording's end.",
                hint="Look at the recording's duration and at the span's id.",
            )
        found.append((start, min(end, samples)))
    return found


def _milliseconds(
    hours: str | None, minutes: str | None, seconds: str, fraction: str | None
) -> int:
    whole = (int(hours or 0) * 60 + int(minutes or 0)) * 60 + int(seconds)
    return whole * 1000 + int((fraction or "").ljust(3, "0"))


def _clock(ms: int) -> str:
    minutes, rest = divmod(ms, 60_000)
    return f"{minutes // 60}:{minutes % 60:02}:{rest // 1000:02}.{rest % 1000:03}"
