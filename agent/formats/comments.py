"""Comments in files that a codec library has begun: FLAC's and Ogg Opus's.

Vorbis comments (<https://xiph.org/vorbis/doc/v-comment.html>), in FLAC without and in
Opus with a magic before them (RFC 9639 section 8.6, RFC 7845 section 5.2). The vendor
stays the one that encoded.
"""

from collections.abc import Sequence
from struct import Struct
from typing import Final

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
