"""A stream of octets cut into SIP messages and keep-alives.

RFC 3261 sections 7.5 and 18.3, RFC 5626 section 3.5.1. How the octets were cut into
segments makes no difference to what comes out.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from agent.signalling.sip.parser import MAX_MESSAGE

MAX_HEAD: Final = 32 * 1024
"Octets of start line and headers: half of a message, and twice any seen."
TLS_HANDSHAKE: Final = 0x16
"The first octet of a ClientHello (RFC 8446 section 5.1)."

_LENGTH = re.compile(
    rb"\r\n(?:Content-Length|l)[ \t]*+:((?:[^\r]|\r\n[ \t]|\r(?!\n))*)", re.IGNORECASE
)
_DIGITS = re.compile(rb"[0-9]{1,10}")


class Fault(StrEnum):
    """Why nothing more can be read from a stream."""

    TLS = "tls on a plain port"
    NOT_SIP = "not sip"
    HEAD_TOO_LONG = "headers do not end"
    NO_LENGTH = "no content-length"
    BAD_LENGTH = "unreadable content-length"
    TOO_LARGE = "message too large"


@dataclass(frozen=True, slots=True)
class Complete:
    """One whole message, start line to last octet of the body."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Ping:
    """A double CRLF, which wants a single one back."""


@dataclass(frozen=True, slots=True)
class Pong:
    """A single CRLF: the answer to a ping of ours, or the first half of one."""


@dataclass(frozen=True, slots=True)
class Broken:
    """The stream cannot be cut any further and must be closed.

    `head` is the headers of the message that broke it, if they came whole: enough
    for an answer before the end.
    """

    fault: Fault
    head: bytes = b""


Frame = Complete | Ping | Pong | Broken


class Deframer:
    """Cuts one stream. Holds no more than one unfinished message."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0
        "Where in the buffer the end of the headers may still begin."
        self._length: int | None = None
        "Octets of the message whose headers have come, in all."
        self._crlf = False
        "An odd number of CRLFs has come since the last message."
        self._broken = False

    @property
    def unfinished(self) -> bool:
        """Whether a message has begun and not ended."""
        return bool(self._buffer)

    @property
    def unread(self) -> bytes:
        """What has come of a message, or keep-alive, that is not whole."""
        return (b"\r\n" if self._crlf else b"") + bytes(self._buffer)

    def receive(self, data: bytes) -> list[Frame]:
        """Take what came; nothing follows a Broken."""
        if self._broken:
            return []
        self._buffer += data
        frames: list[Frame] = []
        while (frame := self._next()) is not None:
            frames.append(frame)
            if isinstance(frame, Broken):
                self._broken = True
                self._buffer.clear()
                break
        return frames

    def _next(self) -> Frame | None:
        buffer = self._buffer
        if self._length is None:
            if buffer.startswith(b"\r\n"):
                del buffer[:2]
                self._crlf = not self._crlf
                return Pong() if self._crlf else Ping()
            if not buffer or buffer == b"\r":
                return None
            broken = self._read_head()
            if broken is not None or self._length is None:
                return broken
        if len(buffer) < self._length:
            return None
        data = bytes(buffer[: self._length])
        del buffer[: self._length]
        self._length, self._searched, self._crlf = None, 0, False
        return Complete(data)

    def _read_head(self) -> Broken | None:
        """Find where the message ends, once its headers are there."""
        buffer = self._buffer
        if not 0x21 <= buffer[0] <= 0x7E:
            tls = buffer[0] == TLS_HANDSHAKE
            return Broken(Fault.TLS if tls else Fault.NOT_SIP)
        end = buffer.find(b"\r\n\r\n", self._searched, MAX_HEAD)
        if end < 0:
            self._searched = max(0, len(buffer) - 3)
            too_long = len(buffer) >= MAX_HEAD
            return Broken(Fault.HEAD_TOO_LONG) if too_long else None
        head = bytes(buffer[: end + 4])
        values = {match[1].strip() for match in _LENGTH.finditer(head)}
        if not values:
            return Broken(Fault.NO_LENGTH, head)
        value = values.pop()
        if values or _DIGITS.fullmatch(value) is None:
            return Broken(Fault.BAD_LENGTH, head)
        length = len(head) + int(value)
        if length > MAX_MESSAGE:
            return Broken(Fault.TOO_LARGE, head)
        self._length = length
        return None
