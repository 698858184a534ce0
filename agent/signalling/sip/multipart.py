"""The session description in a body of several parts: RFC 2046, RFC 5621.

Emergency calls carry the caller's location beside it. A part we do not know is passed
over even where its handling is required (RFC 5621 section 5.3 would have us answer
415): a call is worth more than a part that nobody here reads.
"""

import re
from typing import Final, TypeVar

from agent.signalling.sip.dialog import SDP
from agent.signalling.sip.message import Request, Response

MessageT = TypeVar("MessageT", Request, Response)

MIXED: Final = "multipart/mixed"
MAX_PARTS: Final = 32
"An emergency call has four or five; the rest is not looked at."

_BOUNDARY: Final = re.compile(
    r';\s*boundary\s*=\s*(?:"([^"]{1,70})"|([^\s;"]{1,70}))', re.IGNORECASE
)
_BLANK: Final = re.compile(rb"\r?\n\r?\n")
_TYPE: Final = re.compile(rb"(?im)^content-type\s*:\s*([^\s;]+)")


def with_description_only(message: MessageT) -> MessageT:
    """`message` itself, or a copy whose one part is its session description.

    One of several parts without a description comes back without a body: if it is an
    INVITE, it asks for our offer.
    """
    if message.content_type != MIXED:
        return message
    single = message.copy()
    single.body = _description(message)
    single.headers.remove("Content-Type")
    if single.body:
        single.headers.set("Content-Type", SDP)
    return single


def _description(message: Request | Response) -> bytes:
    boundary = _BOUNDARY.search(message.headers.get("Content-Type") or "")
    if boundary is None:
        return b""
    delimiter = b"--" + (boundary[1] or boundary[2]).encode()
    # A delimiter stands at the beginning of a line, and the line break before it
    # belongs to it (RFC 2046 section 5.1.1).
    parts = (b"\n" + message.body).split(b"\n" + delimiter, MAX_PARTS)
    for part in parts[1:]:
        if part.startswith(b"--"):
            break  # the closing delimiter: what follows is nothing
        head, body = _split(part)
        kind = _TYPE.search(head)
        if kind is not None and kind[1].decode("latin-1").lower() == SDP:
            return body.removesuffix(b"\r") + b"\r\n"
    return b""


def _split(part: bytes) -> tuple[bytes, bytes]:
    blank = _BLANK.search(part)
    if blank is None:
        return part, b""
    return part[: blank.start()], part[blank.end() :]
