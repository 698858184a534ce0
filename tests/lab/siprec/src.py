"""A session recording client (RFC 7866), one recording session at a time.

Its signalling is its own, over UDP, TCP or TLS, and its media is real (`streams`). What
it says of itself and what it carries is up to the test: `about` and `contact` are how
the makes of clients differ.
"""

import asyncio
import itertools
import re
import secrets
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from agent.model.media import Address
from tests.lab.siprec.link import Link, opened
from tests.lab.siprec.messages import (
    MediaLine,
    Message,
    body_of,
    description,
    media_lines,
    written,
)
from tests.lab.siprec.streams import Clock, Stream
from tests.patience import PATIENCE

_RESEND = 0.5


@dataclass
class Client:
    """One; its server is at the port `remote` of 127.0.0.1."""

    address: Address
    remote: int
    transport: str = "udp"
    tls: ssl.SSLContext | None = None
    about: tuple[str, ...] = ("Require: siprec",)
    "Header lines of its INVITE that tell what it is."
    contact: str = ";+sip.src"
    "What its Contact says beside the address."
    to: str = "recorder"
    clock: Clock = field(default_factory=Clock)
    answers: list[MediaLine] = field(default_factory=list)
    "The m-lines of the last answer, or offer, of the server."
    asked: "asyncio.Queue[Message]" = field(default_factory=asyncio.Queue)
    "Requests of the server, answered already."
    _link: Link | None = None
    _responses: "asyncio.Queue[Message]" = field(default_factory=asyncio.Queue)
    _call_id: str = ""
    _from: str = ""
    _to: str = ""
    _target: str = ""
    _invited: tuple[int, str] = (0, "")
    "Sequence number and branch of the last INVITE."
    _acknowledgement: bytes = b""
    "The ACK of the last INVITE, for a 200 that comes again."
    _sequence: "itertools.count[int]" = field(default_factory=itertools.count)
    _version: int = 0

    # -- its life ---------------------------------------------------------------

    async def start(self) -> None:
        """Open its connection, and let its streams run."""
        self._link = await opened(
            self.transport, self.address, self.remote, self._heard, self.tls
        )
        self.clock.start()

    async def reconnect(self, pause: float) -> None:
        """Lose the connection; have another, from some port, after `pause` seconds."""
        assert self._link is not None, "it is not started"
        await self._link.close()
        await asyncio.sleep(pause)
        somewhere = Address(self.address.host, 0)
        self._link = await opened(
            self.transport, somewhere, self.remote, self._heard, self.tls
        )

    async def close(self) -> None:
        """Leave everything as it is, and be gone."""
        await self.clock.stop()
        if self._link is not None:
            await self._link.close()

    # -- the recording session ----------------------------------------------------

    def add(self, *streams: Stream) -> None:
        """Have streams, which the next offer offers."""
        self.clock.streams += streams

    async def record(self, metadata: bytes = b"", *headers: str) -> Message:
        """Ask for a recording session; every stream there is is offered."""
        self._forget()
        return await self.offer(metadata, *headers)

    async def record_without_offer(self, metadata: bytes) -> Message:
        """Let the server offer; the answer, with the metadata, goes by the ACK."""
        self._forget()
        answer = await self.ask("INVITE", b"", "", *self.about)
        self._take(answer)
        sections = [stream.section() for stream in self.clock.streams]
        answered = description(1, sections[: len(self.answers)])
        self._acknowledge(answer, *body_of(answered, metadata))
        return answer

    async def offer(self, metadata: bytes = b"", *headers: str) -> Message:
        """Offer the streams as they are now, in an INVITE of the session."""
        self._version += 1
        sections = [stream.section() for stream in self.clock.streams]
        offered = description(self._version, sections)
        return await self.invite(*body_of(offered, metadata), *headers)

    async def invite(self, body: bytes, kind: str, *headers: str) -> Message:
        """An INVITE with a body that somebody else wrote, acknowledged."""
        if not self._call_id:
            self._forget()
        answer = await self.ask("INVITE", body, kind, *self.about, *headers)
        if answer.status == 200:
            self._take(answer)
        self._acknowledge(answer)
        return answer

    async def update(self, metadata: bytes, *headers: str) -> Message:
        """Tell what has changed, without an offer."""
        return await self.ask("UPDATE", *body_of(b"", metadata), *headers)

    async def bye(self, metadata: bytes = b"") -> Message:
        """End the recording session."""
        for stream in self.clock.streams:
            stream.remote = 0
        return await self.ask("BYE", *body_of(b"", metadata))

    async def ask(self, method: str, body: bytes, kind: str, *headers: str) -> Message:
        """Send a request, and wait for its final response."""
        number = next(self._sequence)
        branch = f"z9hG4bK{secrets.token_hex(8)}"
        request = self._request(method, number, branch, body, kind, *headers)
        self._send(request)
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    answer = await asyncio.wait_for(self._responses.get(), _RESEND)
                except TimeoutError:
                    if self.transport == "udp":
                        self._send(request)
                    continue
                cseq = f"{number} {method}"
                if answer.status >= 200 and answer["CSeq"] == cseq:
                    break
        if method == "INVITE":
            self._remember(answer, number, branch)
        return answer

    def _forget(self) -> None:
        """Begin another dialog."""
        self._call_id, self._from = secrets.token_hex(12), secrets.token_hex(6)
        self._to, self._target = "", self._uri(self.to, self._server)
        self._sequence = itertools.count(1)
        self._acknowledgement = b""

    def _remember(self, answer: Message, number: int, branch: str) -> None:
        self._invited = (number, branch)
        if answer.status < 300:
            self._to = answer["To"]
            found = re.search(r"<(.*?)>", answer["Contact"])
            assert found is not None, "a 200 without a Contact"
            self._target = found[1]

    def _take(self, answer: Message) -> None:
        self.answers = media_lines(answer.body)
        for stream, line in zip(self.clock.streams, self.answers, strict=False):
            stream.answered(line, self.clock.frame)

    def _acknowledge(self, answer: Message, body: bytes = b"", kind: str = "") -> None:
        number, branch = self._invited
        if answer.status < 300:
            branch = f"z9hG4bK{secrets.token_hex(8)}"
        self._acknowledgement = self._request(
            "ACK", number, branch, body, kind, to="" if self._to else answer["To"]
        )
        self._send(self._acknowledgement)

    # -- messages -------------------------------------------------------------------

    def _uri(self, user: str, at: Address) -> str:
        return f"sip:{user}@{at};transport={self.transport}"

    @property
    def _server(self) -> Address:
        return Address("127.0.0.1", self.remote)

    def _request(
        self,
        method: str,
        number: int,
        branch: str,
        body: bytes,
        kind: str,
        *headers: str,
        to: str = "",
    ) -> bytes:
        at = self.address
        lines = [
            f"Via: SIP/2.0/{self.transport.upper()} {at};branch={branch}",
            f"From: <sip:src@{at}>;tag={self._from}",
            f"To: {to or self._to or f'<sip:{self.to}@{self._server}>'}",
            f"Call-ID: {self._call_id}",
            f"CSeq: {number} {method}",
            f"Contact: <{self._uri('src', at)}>{self.contact}",
            "Max-Forwards: 70",
            *headers,
        ]
        if body:
            lines.append(f"Content-Type: {kind}")
            if kind.startswith("application/rs-metadata"):
                lines.append("Content-Disposition: recording-session")
        return written(f"{method} {self._target} SIP/2.0", lines, body)

    def _send(self, message: bytes) -> None:
        assert self._link is not None, "it is not started"
        self._link.send(message)

    def _heard(self, message: Message) -> None:
        if not message.status:
            self._answer(message)
        elif message["CSeq"].endswith("INVITE") and self._is_again(message):
            self._send(self._acknowledgement)
        else:
            self._responses.put_nowait(message)

    def _is_again(self, message: Message) -> bool:
        """Whether this is a 200 that was acknowledged already."""
        number = message["CSeq"].split()[0].encode()
        ours = b"\r\nCSeq: " + number + b" ACK\r\n"
        return message.status == 200 and ours in self._acknowledgement

    def _answer(self, request: Message) -> None:
        if request.method == "ACK":
            return
        names = ("Via", "From", "To", "Call-ID", "CSeq")
        lines = [f"{n}: {v}" for n in names for v in request.all(n)]
        lines.append(f"Contact: <{self._uri('src', self.address)}>{self.contact}")
        self._send(written("SIP/2.0 200 OK", lines, b""))
        self.asked.put_nowait(request)


@asynccontextmanager
async def clients(*all_of: Client) -> AsyncIterator[Sequence[Client]]:
    """Some of them, started; closed at the end."""
    started: list[Client] = []
    try:
        for one in all_of:
            await one.start()
            started.append(one)
        yield started
    finally:
        for one in started:
            await one.close()
        # A transport lets its port go in the loop's next turn.
        await asyncio.sleep(0.01)
