"""Comments in files that a codec library has begun: FLAC's and Ogg Opus's.

Vorbis comments (<https://xiph.org/vorbis/doc/v-comment.html>), in FLAC without and in
Opus with a magic before them (RFC 9639 section 8.6, RFC 7845 section 5.2). The vendor
stays the one that encoded.
"""

from collections.abc import Sequence
from struct import Struct
from typing import Final

from agent.common.errors import AgentError
from agent.formats.ogg import page, split_page

_MARKER: Final = b"fLaC"
_STREAMINFO: Final = 0
_COMMENTS: Final = 4
_LAST: Final = 0x80
_BLOCK_HEADER: Final = 4
_TOTAL_AT: Final = slice(10, 18)
"In STREAMINFO: rate, channels, depth, and in the last 36 bits the number of samples."
_OPUS_MAGIC: Final = b"OpusTags"
_LENGTH: Final = Struct("<I")
MAX_COMMENTS: Final = 2000
"Twice the chapters of a recording with the most cues."


class CommentError(AgentError):
    """A file's comments are broken."""


def read_comments(data: bytes) -> list[str]:
    """The comments of a FLAC or an Ogg Opus file. Raises CommentError."""
    body = _flac_block(data) if data.startswith(_MARKER) else _opus_packet(data)
    fields = _Fields(body)
    fields.take()  # the vendor
    count = fields.number()
    if count > MAX_COMMENTS:
        raise CommentError("The file has more comments than are believed.")
    try:
        return [fields.take().decode() for _ in range(count)]
    except UnicodeDecodeError:
        raise CommentError("The file's comments are not UTF-8.") from None


def with_flac_comments(
    head: bytes, comments: Sequence[str], samples: int
) -> bytes | None:
    """A FLAC file's beginning with these comments, and its number of samples told.

    Of metadata only STREAMINFO is kept beside them. None while `head` is too short to
    hold all of it.
    """
    at = len(_MARKER)
    stream_info = vendor = b""
    last = False
    while not last:
        start = at + _BLOCK_HEADER
        if len(head) < start:
            return None
        last, kind = bool(head[at] & _LAST), head[at] & ~_LAST
        at = start + int.from_bytes(head[at + 1 : start])
        if len(head) < at:
            return None
        if kind == _STREAMINFO:
            stream_info = head[start:at]
        elif kind == _COMMENTS:
            vendor = _vendor(head[start:at])
    told = int.from_bytes(stream_info[_TOTAL_AT]) | samples
    stream_info = stream_info[:10] + told.to_bytes(8) + stream_info[18:]
    body = _comments(vendor, comments)
    blocks = _block(_STREAMINFO, stream_info) + _block(_COMMENTS | _LAST, body)
    return _MARKER + blocks + head[at:]


def with_opus_comments(head: bytes, comments: Sequence[str]) -> bytes | None:
    """An Ogg Opus file's beginning with these comments.

    Its second page holds the comments alone, and still does. None while `head` is too
    short to hold it.
    """
    first = split_page(head)
    second = None if first is None else split_page(first.rest)
    if first is None or second is None:
        return None
    vendor = _vendor(second.body.removeprefix(_OPUS_MAGIC))
    packet = _OPUS_MAGIC + _comments(vendor, comments)
    tags = page(1, 0, 0, [packet], serial=second.serial)
    return head[: len(head) - len(first.rest)] + tags + second.rest


class _Fields:
    """Reads a comment block's numbers and strings. Raises CommentError."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 0

    def number(self) -> int:
        return _LENGTH.unpack(self._next(_LENGTH.size))[0]  # type: ignore[no-any-return]

    def take(self) -> bytes:
        return self._next(self.number())

    def _next(self, size: int) -> bytes:
        found = self._body[self._at : self._at + size]
        if len(found) < size:
            raise CommentError("The file's comments are cut off.")
        self._at += size
        return found


def _flac_block(data: bytes) -> bytes:
    at, last = len(_MARKER), False
    while not last and at + _BLOCK_HEADER <= len(data):
        start = at + _BLOCK_HEADER
        last, kind = bool(data[at] & _LAST), data[at] & ~_LAST
        at = start + int.from_bytes(data[at + 1 : start])
        if kind == _COMMENTS:
            return data[start:at]
    raise CommentError("The FLAC file has no comments.")


def _opus_packet(data: bytes) -> bytes:
    first = split_page(data)
    second = None if first is None else split_page(first.rest)
    if second is None or not second.body.startswith(_OPUS_MAGIC):
        raise CommentError("The file is neither FLAC nor Ogg Opus.")
    return second.body.removeprefix(_OPUS_MAGIC)


def _vendor(comments: bytes) -> bytes:
    (length,) = _LENGTH.unpack_from(comments)
    return comments[_LENGTH.size :][:length]


def _comments(vendor: bytes, comments: Sequence[str]) -> bytes:
    fields = [_LENGTH.pack(len(vendor)), vendor, _LENGTH.pack(len(comments))]
    for comment in comments:
        text = comment.encode()
        fields += [_LENGTH.pack(len(text)), text]
    return b"".join(fields)


def _block(kind: int, body: bytes) -> bytes:
    return bytes((kind,)) + len(body).to_bytes(3) + body
