"""Bodies of several parts, RFC 2046 section 5.1, as they are sent in the field."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

MIXED: Final = "multipart/mixed"
MAX_PARTS: Final = 32
"An emergency call has four or five; the rest is not looked at."


class Tolerated(StrEnum):
    """What was not as the RFCs demand, or as we would have it, and was taken."""

    BARE_LINE_FEED = "bare-line-feed"
    "Lines that end without a carriage return (RFC 2046 section 4.1.1)."
    NO_CLOSING_BOUNDARY = "no-closing-boundary"
    HEADER_WITHOUT_BLANK = "header-without-blank"
    "`Content-Type:x`, over which parsers have stumbled."
    PART_LENGTH = "part-length"
    "A Content-Length in a part: it has no meaning there, and is often wrong."
    METADATA_TYPE = "metadata-type"
    "Metadata as `application/rs-metadata`, before RFC 9806 settled it."
    UNKNOWN_TYPE = "unknown-type"
    "Metadata of another type, known by its disposition."
    NO_DISPOSITION = "no-disposition"
    "Metadata that is not said to be of the recording session (RFC 7866 section 9)."
    SEVERAL = "several"
    "More than one description or metadata; the first of each was taken."


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a body."""

    kind: str
    "Its media type in lower case, without parameters; empty where it has none."
    disposition: str
    "Likewise."
    body: bytes


_BOUNDARY: Final = re.compile(
    r';\s*boundary\s*=\s*(?:"([^"]{1,70})"|([^\s;"]{1,70}))', re.IGNORECASE
)
_BLANK: Final = re.compile(rb"\r?\n[ \t]*\r?\n")
_TYPE: Final = re.compile(rb"(?im)^content-type[ \t]*:\s*([^;\r\n]+)")
_DISPOSITION: Final = re.compile(rb"(?im)^content-disposition[ \t]*:\s*([^;\r\n]+)")
_WITHOUT_BLANK: Final = re.compile(rb"(?im)^content-[a-z-]+:[^ \t\r\n]")
_LENGTH: Final = re.compile(rb"(?im)^content-length[ \t]*:")
_LINE_FEED: Final = re.compile(rb"(?<!\r)\n")


def split_parts(
    content_type: str, body: bytes
) -> tuple[tuple[Part, ...], tuple[Tolerated, ...]]:
    """The parts of a `multipart/mixed` body in their order, each without line end.

    None where the boundary is not named or does not occur.
    """
    found = _BOUNDARY.search(content_type)
    if found is None:
        return (), ()
    name = re.escape((found[1] or found[2]).encode())
    # A delimiter stands at the beginning of a line, and the line break before it
    # belongs to it (RFC 2046 section 5.1.1).
    delimiter = re.compile(rb"(?:\r?\n|\A)--" + name + rb"(?:(--)|(?=[ \t\r\n]|\Z))")
    parts: list[Part] = []
    tolerated: dict[Tolerated, None] = {}
    start: int | None = None
    for match in delimiter.finditer(body):
        if start is not None:
            parts.append(_part(body[start : match.start()], tolerated))
        start = match.end()
        if match[1] is not None or len(parts) == MAX_PARTS:
            break  # what follows the closing delimiter is nothing
    else:
        if start is not None:
            tolerated[Tolerated.NO_CLOSING_BOUNDARY] = None
            last = body[start:].removesuffix(b"\n").removesuffix(b"\r")
            parts.append(_part(last, tolerated))
    return tuple(parts), tuple(tolerated)


def _part(text: bytes, tolerated: dict[Tolerated, None]) -> Part:
    # The line that begins here is the delimiter's: nothing but white space.
    blank = _BLANK.search(text)
    head, body = (
        (text, b"") if blank is None else (text[: blank.start()], text[blank.end() :])
    )
    if _LINE_FEED.search(head):
        tolerated[Tolerated.BARE_LINE_FEED] = None
    if _WITHOUT_BLANK.search(head):
        tolerated[Tolerated.HEADER_WITHOUT_BLANK] = None
    if _LENGTH.search(head):
        tolerated[Tolerated.PART_LENGTH] = None
    return Part(_value(_TYPE, head), _value(_DISPOSITION, head), body)


def _value(header: re.Pattern[bytes], head: bytes) -> str:
    found = header.search(head)
    return "" if found is None else found[1].decode("latin-1").strip().lower()
