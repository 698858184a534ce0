"""WAV: the container of recordings as they were on the wire, and of notices.

RIFF as in Microsoft's Multimedia Programming Interface 1.0 and the multimedia
registry of RFC 2361.
"""

from enum import StrEnum
from struct import Struct
from typing import Final, NamedTuple

from agent.common.errors import AgentError
from agent.formats.codecs.g711 import decode_alaw, decode_ulaw

MAX_CHANNELS: Final = 8
"Notices have one, recordings two."
MAX_SAMPLE_RATE: Final = 192_000
MAX_CHUNKS: Final = 64
"Chunks before the audio; real files have a handful."

_CHUNK: Final = Struct("<4sI")
_FORMAT: Final = Struct("<HHIIHH")
_EXTENSIBLE: Final = 0xFFFE
_SUBFORMAT_TAIL: Final = bytes.fromhex("000000001000800000aa00389b71")


class ContainerError(AgentError):
    """A WAV file is broken, or of a kind the agent does not use."""


class SampleFormat(StrEnum):
    """How samples stand in a track."""

    ALAW = "alaw"
    ULAW = "ulaw"
    PCM16 = "pcm16"
    "Signed, little-endian."

    @property
    def width(self) -> int:
        """Octets of one sample."""
        return 2 if self is SampleFormat.PCM16 else 1


_TAGS: Final = {
    SampleFormat.PCM16: 1,
    SampleFormat.ALAW: 6,
    SampleFormat.ULAW: 7,
}
_FORMATS: Final = {tag: format_ for format_, tag in _TAGS.items()}


class Wav(NamedTuple):
    """What a WAV file holds; channels interleaved."""

    format: SampleFormat
    sample_rate: int
    channels: int
    samples: bytes


def wav_header(
    format: str,  # noqa: A002
    sample_rate: int,
    channels: int,
    samples: int,
    *,
    after: int = 0,
) -> bytes:
    """Everything before the audio of a file with `samples` samples per channel.

    `format` is one of SampleFormat. After an odd number of audio octets the file
    wants `wav_padding`; then come `after` octets of other chunks. Raises
    ContainerError if it would not fit into RIFF's 4 GiB.
    """
    kind = SampleFormat(format)
    block = channels * kind.width
    size = samples * block
    layout = _FORMAT.pack(
        _TAGS[kind], channels, sample_rate, sample_rate * block, block, 8 * kind.width
    )
    chunks = b""
    if kind is SampleFormat.PCM16:
        chunks += _chunk(b"fmt ", layout)
    else:
        # All but PCM need the size of the (empty) extension and a fact chunk.
        chunks += _chunk(b"fmt ", layout + b"\0\0")
        chunks += _chunk(b"fact", (samples & 0xFFFFFFFF).to_bytes(4, "little"))
    riff = 4 + len(chunks) + _CHUNK.size + size + size % 2 + after
    if riff > 0xFFFFFFFF:
        raise ContainerError("a WAV file cannot be longer than 4 GiB")
    return _CHUNK.pack(b"RIFF", riff) + b"WAVE" + chunks + _CHUNK.pack(b"data", size)


def wav_padding(format: str, channels: int, samples: int) -> bytes:  # noqa: A002
    """What follows the audio, so that the chunk ends on an even octet."""
    return bytes(samples * channels * SampleFormat(format).width % 2)


def read_wav(data: bytes) -> Wav:
    """Read a whole WAV file: 16-bit PCM, A-law or µ-law.

    Raises ContainerError, and nothing else, saying what is wrong.
    """
    if len(data) < 12 or data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise ContainerError("not a WAV file")
    layout: tuple[SampleFormat, int, int] | None = None
    at = 12
    for _ in range(MAX_CHUNKS):
        if at + _CHUNK.size > len(data):
            raise ContainerError("a WAV file without audio")
        name, size = _CHUNK.unpack_from(data, at)
        at += _CHUNK.size
        if at + size > len(data):
            raise ContainerError(
                "a WAV file is cut off, or was written to a pipe",
                hint="Write it to a file, for example with sox or ffmpeg.",
            )
        if name == b"fmt ":
            layout = _parse_format(bytes(data[at : at + size]))
        elif name == b"data":
            if layout is None:
                raise ContainerError("a WAV file with audio before its format")
            if size % (layout[0].width * layout[2]):
                raise ContainerError("a WAV file ends inside a sample")
            return Wav(*layout, bytes(data[at : at + size]))
        at += size + size % 2
    raise ContainerError("a WAV file with too many chunks")


def audio_place(data: bytes) -> int:
    """Where in a WAV file that `read_wav` takes its first sample stands."""
    at = 12
    while data[at : at + 4] != b"data":
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        at += _CHUNK.size + size + size % 2
    return at + _CHUNK.size


def decode_to_pcm16(wav: Wav) -> Wav:
    """The same track in 16-bit samples."""
    if wav.format is SampleFormat.ALAW:
        samples = decode_alaw(wav.samples)
    elif wav.format is SampleFormat.ULAW:
        samples = decode_ulaw(wav.samples)
    else:
        return wav
    return wav._replace(format=SampleFormat.PCM16, samples=samples)


def _chunk(name: bytes, body: bytes) -> bytes:
    return _CHUNK.pack(name, len(body)) + body


def _parse_format(body: bytes) -> tuple[SampleFormat, int, int]:
    if len(body) < _FORMAT.size:
        raise ContainerError("a WAV format chunk is cut off")
    tag, channels, rate, _, block, bits = _FORMAT.unpack_from(body)
    if tag == _EXTENSIBLE and len(body) >= 40 and body[26:40] == _SUBFORMAT_TAIL:
        tag = int.from_bytes(body[24:26], "little")
    kind = _FORMATS.get(tag)
    if kind is None or bits != 8 * kind.width:
        raise ContainerError(
            f"WAV format {tag} with {bits} bits is not supported",
            hint="Convert it to 16-bit PCM, A-law or µ-law.",
        )
    if not 1 <= channels <= MAX_CHANNELS or not 1 <= rate <= MAX_SAMPLE_RATE:
        raise ContainerError("a WAV file with absurd channels or sample rate")
    if block != channels * kind.width:
        raise ContainerError("a WAV file with a wrong block size")
    return kind, rate, channels
