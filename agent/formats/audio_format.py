"""Which file a recording's audio becomes: by what was heard, and what is wished."""

from collections.abc import Set as AbstractSet
from enum import StrEnum
from typing import Final

from agent.formats.container import SampleFormat
from agent.formats.durations import is_opus
from agent.model.recording import RecordingFormat

NARROW: Final = 8000
WIDE: Final = 16_000
FULL: Final = 48_000
_LAWS: Final = {"PCMA": SampleFormat.ALAW, "PCMU": SampleFormat.ULAW}


class AudioFormat(StrEnum):
    """A file of audio, as manifests name it."""

    WAV_ALAW = "wav-alaw"
    WAV_ULAW = "wav-ulaw"
    FLAC = "flac"
    "Of 16 bits (RFC 9639)."
    OPUS = "ogg-opus"
    "RFC 7845."

    @property
    def suffix(self) -> str:
        """What the file's name ends in."""
        return _SUFFIXES[self]

    @property
    def law(self) -> SampleFormat | None:
        """How samples stand in a WAV file; None where the file is none."""
        return _WAVS.get(self)


_SUFFIXES: Final = {
    AudioFormat.WAV_ALAW: "wav",
    AudioFormat.WAV_ULAW: "wav",
    AudioFormat.FLAC: "flac",
    AudioFormat.OPUS: "opus",
}
_WAVS: Final = {
    AudioFormat.WAV_ALAW: SampleFormat.ALAW,
    AudioFormat.WAV_ULAW: SampleFormat.ULAW,
}
_OF_LAW: Final = {law: format_ for format_, law in _WAVS.items()}


def choose(
    codecs: AbstractSet[str],
    *,
    above_8_khz: bool,
    empty: bool,
    mixed: bool,
    kept: RecordingFormat,
) -> tuple[AudioFormat, int]:
    """The file, and its sample rate.

    Args:
        codecs: encoding names of the audio of all legs.
        above_8_khz: whether Opus may have carried audio that 16 kHz cannot hold.
        empty: whether the recording lasts no time at all. Then it is a WAV file,
            whatever is wished: libsndfile makes no other without a sample.
        mixed: whether several legs are heard on one side.
        kept: what is configured.
    """
    laws = {_LAWS[name] for name in codecs if name in _LAWS}
    rate = NARROW
    if any(map(is_opus, codecs)):
        rate = FULL if above_8_khz else WIDE
    elif codecs > _LAWS.keys() & codecs:
        rate = WIDE
    if empty or (kept is RecordingFormat.WIRE and not codecs):
        return AudioFormat.WAV_ALAW, NARROW
    if kept is RecordingFormat.OPUS:
        return AudioFormat.OPUS, rate
    if kept is RecordingFormat.WIRE and rate == NARROW and len(laws) == 1 and not mixed:
        return _OF_LAW[laws.pop()], NARROW
    return AudioFormat.FLAC, rate
