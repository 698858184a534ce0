"""One line in a copy's metadata: whose copy it is, and what it was made for.

WAV: a `LIST INFO` chunk with `ICMT` (Multimedia Programming Interface 1.0); FLAC and
Opus: a `COMMENT` field. Players show it; the audio is what it was.
"""

from struct import Struct
from typing import Final

from agent.common.errors import AgentError
from agent.formats.audio_format import AudioFormat
from agent.formats.comments import (
    CommentError,
    read_comments,
    with_flac_comments,
    with_opus_comments,
)
from agent.formats.container import read_wav

MAX_LINE: Final = 500
"Characters: it shares an Ogg page with a recording's chapters."
_FIELD: Final = "COMMENT="
_SIZE: Final = Struct("<I")


class WatermarkError(AgentError):
    """The line cannot stand in a file's metadata."""


def watermark(data: bytes, format: AudioFormat, line: str) -> bytes:  # noqa: A002
    """The file with `line` in its metadata, beside what stood there.

    Raises WatermarkError if the line is too long or not printable, ContainerError or
    CommentError if the file is broken.
    """
    if not line.isprintable() or not 0 < len(line) <= MAX_LINE:
        raise WatermarkError("A watermark is one line of at most 500 characters.")
    if format.law is not None:
        return _in_wav(data, line.encode())
    comments = [*read_comments(data), _FIELD + line]
    if format is AudioFormat.OPUS:
        marked = with_opus_comments(data, comments)
    else:
        marked = with_flac_comments(data, comments, samples=0)
    if marked is None:
        raise CommentError("The file ends before its audio begins.")
    return marked


def _in_wav(data: bytes, line: bytes) -> bytes:
    read_wav(data)
    text = line + b"\0"
    info = b"INFO" + b"ICMT" + _SIZE.pack(len(text)) + text + bytes(len(text) % 2)
    whole = data + bytes(len(data) % 2) + b"LIST" + _SIZE.pack(len(info)) + info
    return whole[:4] + _SIZE.pack(len(whole) - 8) + whole[8:]
