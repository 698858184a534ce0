"""Recording sessions of other makes, and the documents of the RFCs.

The samples of vendors are bodies of INVITEs without their headers; what stands here of
their boundaries is read off their first line.
"""

import re
from dataclasses import dataclass
from typing import Final

from agent.signalling.sip.message import Request
from agent.signalling.sip.parser import parse_message
from agent.signalling.siprec.body import RecordingBody, read_body
from agent.signalling.siprec.metadata import RecordingMetadata
from agent.signalling.siprec.metadata_xml import parse_metadata
from tests.corpora import corpus

VENDORS: Final = (
    *("acme-siprec-offer", "broadworks-offer", "broadworks-offer-2"),
    *("cisco-siprec-offer", "connectel-offer", "connectel-offer2", "connectel-offer3"),
    *("inactive-sdp-offer", "procomm-siprec-offer", "sonus-siprec-offer"),
    *("third-party-dialer",),
)
"Each body with metadata."
WITHOUT_METADATA: Final = "non-siprec-payload"
DOCUMENTS: Final = (
    *(f"rfc7865-metadata-{number:02}" for number in (2, 3)),
    *(f"rfc8068-metadata-{number:02}" for number in range(1, 15)),
)
"What the RFCs have a client send; for `document`."
SNAPSHOT_REQUESTS: Final = ("rfc7865-metadata-01", "rfc7866-metadata-01")


@dataclass(frozen=True)
class Sample:
    """The body of one INVITE as a vendor sends it."""

    name: str
    content_type: str
    raw: bytes

    @property
    def body(self) -> RecordingBody:
        return read_body(self.content_type, self.raw)

    @property
    def metadata(self) -> RecordingMetadata:
        return parse_metadata(self.body.metadata)

    def invite(
        self,
        *headers: str,
        contact: str = "<sip:src@192.0.2.1>;+sip.src",
        user_agent: str = "",
    ) -> Request:
        """It in an INVITE that is in order; `headers` are whole lines."""
        lines = [
            "INVITE sip:srs@192.0.2.9 SIP/2.0",
            "Via: SIP/2.0/TCP 192.0.2.1;branch=z9hG4bK1",
            "From: <sip:src@192.0.2.1>;tag=1",
            "To: <sip:srs@192.0.2.9>",
            "Call-ID: c",
            "CSeq: 1 INVITE",
            f"Contact: {contact}",
            "Require: siprec",
            *([f"User-Agent: {user_agent}"] if user_agent else []),
            *headers,
            f"Content-Type: {self.content_type}",
            f"Content-Length: {len(self.raw)}",
            "\r\n",
        ]
        message = parse_message("\r\n".join(lines).encode() + self.raw)
        assert isinstance(message, Request)
        return message


def sample(name: str) -> Sample:
    """One of VENDORS, or what has no metadata."""
    if name == "third-party-dialer":
        return _dialer()
    raw = (corpus("siprec/drachtio") / f"{name}.txt").read_bytes()
    boundary = re.match(rb"\s*--(\S+)", raw)
    kind = "application/sdp"
    if boundary is not None:
        kind = f"multipart/mixed;boundary={boundary[1].decode()}"
    return Sample(name, kind, raw)


def document(name: str) -> bytes:
    """One of DOCUMENTS or SNAPSHOT_REQUESTS, as XML."""
    return (corpus("siprec/ietf") / f"{name}.xml").read_bytes()


def rfc8068(number: int) -> RecordingMetadata:
    """The document of that example."""
    return parse_metadata(document(f"rfc8068-metadata-{number:02}"))


def _dialer() -> Sample:
    folder = corpus("siprec/msdocs")
    raw = b"".join(
        (
            b"--b\r\nContent-Type: application/sdp\r\n\r\n",
            (folder / "third-party-dialer-srtp-offer.sdp").read_bytes(),
            b"\r\n--b\r\nContent-Type: application/rs-metadata+xml\r\n",
            b"Content-Disposition: recording-session\r\n\r\n",
            (folder / "third-party-dialer-metadata.xml").read_bytes(),
            b"\r\n--b--\r\n",
        )
    )
    return Sample("third-party-dialer", "multipart/mixed;boundary=b", raw)
