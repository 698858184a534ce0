"""SIP messages, multipart bodies and SDP as a session recording client writes them.

Nothing here is the agent's: a mistake of its parser is not made twice.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

METADATA = "application/rs-metadata+xml"
SDP = "application/sdp"
BOUNDARY = "between-two-parts"


@dataclass(frozen=True)
class Message:
    """A request or a response, taken apart."""

    start: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def status(self) -> int:
        """Of a response; 0 of a request."""
        return int(self.start.split()[1]) if self.start.startswith("SIP/2.0 ") else 0

    @property
    def method(self) -> str:
        """Of a request, or of what a response answers."""
        return self["CSeq"].split()[1]

    def __getitem__(self, name: str) -> str:
        """The first header of a name; empty where there is none."""
        return next(iter(self.all(name)), "")

    def all(self, name: str) -> list[str]:
        """Every header of a name."""
        return [v for n, v in self.headers if n.lower() == name.lower()]


def parsed(data: bytes) -> Message:
    """One whole message."""
    head, _, body = data.partition(b"\r\n\r\n")
    start, *lines = head.decode().split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return Message(start, tuple((n.strip(), v.strip()) for n, _, v in pairs), body)


def written(start: str, headers: Iterable[str], body: bytes) -> bytes:
    """A message as it goes over the wire."""
    lines = [start, *headers, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


def body_of(description: bytes, metadata: bytes) -> tuple[bytes, str]:
    """A body of what there is, and its type: one part alone needs no multipart."""
    if not metadata:
        return description, SDP if description else ""
    if not description:
        return metadata, METADATA
    return multipart((SDP, description), (METADATA, metadata))


def multipart(*parts: tuple[str, bytes]) -> tuple[bytes, str]:
    """A body of several parts, of their types, and its own type."""
    written = b""
    for kind, content in parts:
        disposition = (
            "session;handling=required" if kind == SDP else "recording-session"
        )
        head = f"--{BOUNDARY}\r\nContent-Type: {kind}\r\nContent-Disposition: "
        written += f"{head}{disposition}\r\n\r\n".encode() + content + b"\r\n"
    return (
        written + f"--{BOUNDARY}--\r\n".encode(),
        f"multipart/mixed;boundary={BOUNDARY}",
    )


@dataclass(frozen=True)
class MediaLine:
    """One m-line of an answer."""

    port: int
    protocol: str
    formats: tuple[str, ...]
    label: str
    direction: str
    crypto: str
    "The line's key, without its name; empty of a line in the clear."


def media_lines(description: bytes) -> list[MediaLine]:
    """Every m-line of a description, in order."""
    found = []
    for section in re.split(r"(?m)^m=", description.decode())[1:]:
        kind = section.split("\r\n", 1)[0].split()
        directions = re.findall(
            r"(?m)^a=(sendrecv|sendonly|recvonly|inactive)\r", section
        )
        found.append(
            MediaLine(
                int(kind[1]),
                kind[2],
                tuple(kind[3:]),
                _attribute(section, "label"),
                directions[0] if directions else "sendrecv",
                _attribute(section, "crypto"),
            )
        )
    return found


def _attribute(section: str, name: str) -> str:
    match = re.search(rf"(?m)^a={name}:(.*?)\r", section)
    return match[1] if match else ""


def description(version: int, sections: Sequence[str]) -> bytes:
    """An offer of m-lines that were written already."""
    lines = (
        "v=0",
        f"o=SRC 2890844526 {version} IN IP4 127.0.0.1",
        "s=-",
        "c=IN IP4 127.0.0.1",
        "t=0 0",
        *sections,
    )
    return "".join(f"{line}\r\n" for line in lines).encode()
