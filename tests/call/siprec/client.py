"""A session recording client of a site: SIP word for word, and no media.

What it sends is written out, because clients of the field differ in just that.
"""

import itertools
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from agent.model.media import Address
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.message import Message, Request, Response, response_to
from agent.signalling.sip.parser import parse_message
from tests.call.party import AGENT, until
from tests.call.switch import Switch

STRICT = ("Require: siprec",)
CLIENT = Address("192.0.2.30", 5060)

BOTH = ("sendonly", "sendonly")
NAMESPACE = "urn:ietf:params:xml:ns:recording:1"


def sdp(*directions: str, labels: Sequence[str] = (), version: int = 1) -> bytes:
    """Streams of these directions; an empty one is refused, and has port 0."""
    lines = [
        "v=0",
        f"o=- 1 {version} IN IP4 {CLIENT.host}",
        "s=-",
        f"c=IN IP4 {CLIENT.host}",
        "t=0 0",
    ]
    for index, direction in enumerate(directions):
        label = labels[index] if labels else str(96 + index)
        port = 20000 + 2 * index if direction else 0
        lines += [
            f"m=audio {port} RTP/AVP 8",
            f"a=label:{label}",
            f"a={direction or 'inactive'}",
        ]
    return "\r\n".join([*lines, ""]).encode()


class Document:
    """Metadata with these participants: number to the label on which it is heard."""

    def __init__(
        self,
        speakers: dict[str, str],
        *,
        hears: Sequence[str] = (),
        group: str = "group",
        mode: str = "complete",
        stopped: bool = False,
        left: Sequence[str] = (),
        extra: str = "",
    ) -> None:
        stop = "<stop-time>2026-11-30T10:00:00Z</stop-time>" if stopped else ""
        parts = [
            f'<recording xmlns="{NAMESPACE}"><datamode>{mode}</datamode>',
            f'<group group_id="{group}"/>',
            '<session session_id="call"><sipSessionID>aa;remote=bb</sipSessionID>'
            f"<group-ref>{group}</group-ref>{stop}</session>",
        ]
        for number, label in speakers.items():
            gone = "<disassociate-time>2026-11-30T10:00:00Z</disassociate-time>"
            send = f"<send>stream-{label}</send>" if label else ""
            parts += [
                f'<participant participant_id="{number}">'
                f'<nameID aor="sip:{number}@example.com"/></participant>',
                f'<participantsessionassoc participant_id="{number}"'
                f' session_id="call">{gone if number in left else ""}'
                "</participantsessionassoc>",
                f'<participantstreamassoc participant_id="{number}">{send}'
                "</participantstreamassoc>",
            ]
            if label:
                parts.append(
                    f'<stream stream_id="stream-{label}" session_id="call">'
                    f"<label>{label}</label></stream>"
                )
        self.xml = "".join([*parts, extra, "</recording>"]).encode()


class Client:
    """One recording session at a time."""

    def __init__(self, switch: Switch, address: Address = CLIENT) -> None:
        self.address = address
        self._switch = switch
        self._streams = SimpleNamespace()
        self._transports: dict[Address, Any] = {}
        self._branches = itertools.count(1)
        self._cseq = itertools.count(1)
        self.requests: list[Request] = []
        self.responses: list[Response] = []
        self.call_id = "none"
        self.remote_tag = ""
        self._invite = b""
        self.answers = 200
        "Our requests with this."
        self.acknowledges: bytes | None = b""
        "What its next ACK carries; None: it sends none."
        switch.plug(self, address)  # type: ignore[arg-type]

    # -- what it sends ---------------------------------------------------------

    def record(
        self,
        offer: bytes = b"",
        metadata: bytes = b"",
        *,
        headers: Sequence[str] = STRICT,
        features: str = ";+sip.src",
    ) -> None:
        """Begin a recording session."""
        self.call_id = f"rs-{next(self._branches)}"
        self.remote_tag = ""
        self.send("INVITE", offer, metadata, headers=headers, features=features)

    def send(
        self,
        method: str,
        offer: bytes = b"",
        metadata: bytes = b"",
        *,
        headers: Sequence[str] = (),
        features: str = ";+sip.src",
    ) -> None:
        """Send a request in its dialog, or the first one of it."""
        kind, body = _body(offer, metadata)
        cseq = next(self._cseq)
        self._send(method, cseq, kind, body, headers=headers, features=features)

    def cancel(self) -> None:
        """Give its INVITE up."""
        self._switch.send(
            self._invite.replace(b"INVITE sip:", b"CANCEL sip:", 1)
            .replace(b" INVITE\r\n", b" CANCEL\r\n", 1)
            .partition(b"Content-Type")[0]
            + b"Content-Length: 0\r\n\r\n",
            self._switch.flow(self.address, AGENT),
        )

    def hang_up(self, metadata: bytes = b"") -> None:
        self.send("BYE", b"", metadata)

    def _send(
        self,
        method: str,
        cseq: int,
        kind: str,
        body: bytes,
        *,
        headers: Sequence[str] = (),
        features: str = ";+sip.src",
    ) -> None:
        tag = f";tag={self.remote_tag}" if self.remote_tag else ""
        lines = [
            f"{method} sip:recorder@{AGENT} SIP/2.0",
            f"Via: SIP/2.0/UDP {self.address};branch=z9hG4bK{next(self._branches)}",
            "Max-Forwards: 70",
            f"From: <sip:client@{self.address}>;tag=client",
            f"To: <sip:recorder@{AGENT}>{tag}",
            f"Call-ID: {self.call_id}",
            f"CSeq: {cseq} {method}",
            f"Contact: <sip:client@{self.address}>{features}",
            *headers,
        ]
        if body:
            lines.append(f"Content-Type: {kind}")
        lines += [f"Content-Length: {len(body)}", "", ""]
        data = "\r\n".join(lines).encode() + body
        if method == "INVITE":
            self._invite = data
        self._switch.send(data, self._switch.flow(self.address, AGENT))

    # -- what it hears ---------------------------------------------------------

    def _received(self, data: bytes, flow: Flow) -> None:
        message = parse_message(data)
        if isinstance(message, Request):
            self.requests.append(message)
            if message.method != "ACK":
                answer = response_to(message, self.answers)
                self._switch.send(answer.to_bytes(), flow)
            return
        assert isinstance(message, Response)
        if message.status >= 200:
            self.responses.append(message)
            if message.cseq.method == "INVITE":
                self._acknowledge(message)

    def _acknowledge(self, response: Response) -> None:
        self.remote_tag = response.to.param("tag") or ""
        if self.acknowledges is not None:
            body, self.acknowledges = self.acknowledges, b""
            self._send("ACK", response.cseq.number, "application/sdp", body)

    async def answered(self, count: int = 1) -> Response:
        """Wait for the `count`th final response."""
        await until(lambda: len(self.responses) >= count, f"response {count}")
        return self.responses[count - 1]

    async def asked(self, method: str, count: int = 1) -> Request:
        """Wait for the `count`th request of a method."""

        def found() -> list[Request]:
            return [one for one in self.requests if one.method == method]

        await until(lambda: len(found()) >= count, method)
        return found()[count - 1]


def _body(offer: bytes, metadata: bytes) -> tuple[str, bytes]:
    if not metadata:
        return "application/sdp", offer
    if not offer:
        return "application/rs-metadata+xml", metadata
    parts = [
        b"--edge",
        b"Content-Type: application/sdp",
        b"",
        offer,
        b"--edge",
        b"Content-Type: application/rs-metadata+xml",
        b"Content-Disposition: recording-session",
        b"",
        metadata,
        b"--edge--",
        b"",
    ]
    return "multipart/mixed;boundary=edge", b"\r\n".join(parts)


def directions(answer: Message) -> list[str]:
    """Of each m-line of an answer: its direction, or `refused`."""
    found = []
    for section in answer.body.decode().split("\r\nm=")[1:]:
        port = section.split()[1]
        lines = section.splitlines()
        known = [x[2:] for x in lines if x in {"a=recvonly", "a=inactive"}]
        found.append("refused" if port == "0" else known[0])
    return found
