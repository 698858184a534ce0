"""The bodies of a recording session's messages: RFC 7866 section 9.

A message carries a session description, metadata, or both as the parts of
`multipart/mixed`. Here they are told apart, in whatever order and however they are
labelled; what was not in order is named, for the record.
"""

from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

from agent.signalling.sip.parts import MIXED, Part, Tolerated, split_parts

__all__ = [
    "METADATA_TYPE",
    "OLD_TYPE",
    "RecordingBody",
    "Tolerated",
    "read_body",
    "snapshot_request",
]

SDP: Final = "application/sdp"
METADATA_TYPE: Final = "application/rs-metadata+xml"
"The media type that RFC 9806 settled, and the only one we send."
DISPOSITION: Final = "recording-session"
OLD_TYPE: Final = "application/rs-metadata"
"That of RFC 7866 section 9: read as the other, and told to be."


@dataclass(frozen=True, slots=True)
class RecordingBody:
    """What a body held."""

    description: bytes
    "SDP; empty if there was none."
    metadata: bytes
    "XML as it came; empty if there was none."
    tolerated: tuple[Tolerated, ...] = ()

    def __repr__(self) -> str:
        return (
            f"RecordingBody({len(self.description)} octets of SDP,"
            f" {len(self.metadata)} of metadata)"
        )


def read_body(content_type: str, body: bytes) -> RecordingBody:
    """Find description and metadata in a body. Raises nothing.

    `content_type` is the header with its parameters. A body of another type than
    these has neither.
    """
    kind = content_type.partition(";")[0].strip(" \t").lower()
    if kind == MIXED:
        return _of_parts(*split_parts(content_type, body))
    if kind == SDP:
        return RecordingBody(body, b"")
    if is_metadata_type(kind):
        old = (Tolerated.METADATA_TYPE,) if kind == OLD_TYPE else ()
        return RecordingBody(b"", body, old)
    return RecordingBody(b"", b"")


def is_metadata_type(kind: str | None) -> bool:
    """Whether a media type, in lower case and without parameters, is of metadata."""
    return kind in (METADATA_TYPE, OLD_TYPE)


def snapshot_request(reason: str) -> bytes:
    """The body that asks the peer for complete metadata; RFC 7866 section 9.2."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\r\n'
        '<requestsnapshot xmlns="urn:ietf:params:xml:ns:recording:1">\r\n'
        f'  <requestreason xml:lang="en">{escape(reason)}</requestreason>\r\n'
        "</requestsnapshot>\r\n"
    ).encode()


def _of_parts(
    parts: tuple[Part, ...], tolerated: tuple[Tolerated, ...]
) -> RecordingBody:
    faults = dict.fromkeys(tolerated)
    descriptions = [part for part in parts if part.kind == SDP]
    metadata = [part for part in parts if is_metadata_type(part.kind)]
    if not metadata:
        metadata = [
            part
            for part in parts
            if part.disposition == DISPOSITION and part.kind != SDP
        ]
        if metadata:
            faults[Tolerated.UNKNOWN_TYPE] = None
    if len(descriptions) > 1 or len(metadata) > 1:
        faults[Tolerated.SEVERAL] = None
    for part in metadata[:1]:
        if part.kind == OLD_TYPE:
            faults[Tolerated.METADATA_TYPE] = None
        if part.disposition != DISPOSITION:
            faults[Tolerated.NO_DISPOSITION] = None
    # The last line of a description ends as all do; a delimiter has taken it away.
    description = b"".join(part.body + b"\r\n" for part in descriptions[:1])
    return RecordingBody(
        description, b"".join(part.body for part in metadata[:1]), tuple(faults)
    )
