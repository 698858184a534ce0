"""A session recording client of our own, for the demo: it stands where an SBC does.

It sends what the parties of one call say, each on a stream, and tells in metadata who
they are (RFC 7865, RFC 7866). It shares nothing with the daemon but the network.
"""

import asyncio
import base64
import os
import random
import socket
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from agent.common.tasks import TaskSet
from agent.formats.rtp.packet import RtpPacket
from agent.model.media import PCMA, Address
from agent.signalling.config import Listener
from agent.signalling.sdp import parse_sdp
from agent.signalling.sip import core as sip
from agent.signalling.sip.core import UserAgentCore
from agent.signalling.sip.timers import DEFAULT_TIMERS
from agent.signalling.sip.uri import NameAddr, parse_uri
from agent.signalling.siprec.body import DISPOSITION, METADATA_TYPE, SDP
from agent.signalling.siprec.metadata_xml import NAMESPACES
from agent.signalling.useragent import UserAgent

FRAME: Final = 160
"Octets of 20 ms of PCMA."
_SILENCE: Final = b"\xd5" * FRAME
_BOUNDARY: Final = "between-description-and-metadata"


@dataclass(slots=True, kw_only=True)
class Voice:
    """One party of the call, and the stream on which they are heard."""

    address: str
    "A sip URI."
    name: str
    speech: bytes = field(repr=False)
    "PCMA, said once when `speak` is called."
    rtp: socket.socket = field(repr=False)
    remote: tuple[str, int] = ("", 0)
    "Where the recording server has the stream."
    spoken: int | None = None
    "Frames of the speech that were said."

    def speak(self) -> None:
        """Begin with the next frame."""
        self.spoken = 0

    def frame(self) -> bytes:
        """What is heard in the next 20 ms."""
        if self.spoken is None:
            return _SILENCE
        at, self.spoken = self.spoken, self.spoken + 1
        said = self.speech[at * FRAME : (at + 1) * FRAME]
        return said + _SILENCE[len(said) :]


class RecordingClient:
    """One recording session, of these voices, from the client at `address`."""

    def __init__(self, address: Address, voices: Sequence[Voice]) -> None:
        self._address = address
        self._voices = voices
        core = UserAgentCore(
            rng=random.Random(os.urandom(8)),  # noqa: S311 - ids of a demo
            timers=DEFAULT_TIMERS,
            product="demo-client",
        )
        self._agent = UserAgent(core, [Listener("udp", address)], self._on_sip)
        self._session = ""
        self._tasks = TaskSet(self._failed)
        self.answered = asyncio.Event()
        self.ended = asyncio.Event()
        "It is over; if nothing was answered it was refused."

    async def start(self) -> None:
        """Open its port."""
        await self._agent.start()

    async def close(self) -> None:
        """Close all of its ports."""
        await self._tasks.close()
        self._agent.close()
        for voice in self._voices:
            voice.rtp.close()

    async def record(self, uri: str) -> None:
        """Ask the recording server for a session; `answered` or `ended` will tell."""
        target = parse_uri(uri)
        own = parse_uri(f"sip:sbc@{self._address}")
        agent = self._agent
        self._session = agent.core.invite(
            uri=target,
            flow=(await agent.flows_to(target))[0],
            from_=NameAddr(None, own, ()),
            to=NameAddr(None, target, ()),
            contact=own,
            headers=(("Require", "siprec"),),
            body=_body(self._description(), metadata_of(self._voices)),
            content_type=f"multipart/mixed;boundary={_BOUNDARY}",
            now=agent.now,
        )
        agent.flush()

    def hang_up(self) -> None:
        """The call is over, and the recording session with it."""
        self._agent.core.hang_up(self._session, self._agent.now)
        self._agent.flush()
        self.ended.set()

    def _on_sip(self, event: sip.Event) -> None:
        match event:
            case sip.Accepted():
                for voice, media in zip(
                    self._voices, parse_sdp(event.response.body).media, strict=True
                ):
                    voice.remote = self._address.host, media.port
                self.answered.set()
                self._tasks.spawn(self._send_audio(), name="voices")
            case sip.Refused() | sip.Ended():
                self.ended.set()
            case _:
                pass

    def _failed(self, name: str, error: BaseException) -> None:
        self.ended.set()
        raise RuntimeError(f"the recording client's task {name} failed") from error

    # -- what it says ---------------------------------------------------------

    def _description(self) -> str:
        host = self._address.host
        lines = ["v=0", f"o=sbc 1 1 IN IP4 {host}", "s=-", f"c=IN IP4 {host}", "t=0 0"]
        for label, voice in enumerate(self._voices):
            port = voice.rtp.getsockname()[1]
            lines += [
                f"m=audio {port} RTP/AVP {PCMA.payload_type}",
                f"a=label:{label}",
                "a=sendonly",
            ]
        return "\r\n".join([*lines, ""])

    async def _send_audio(self) -> None:
        """Send 20 ms frames by the loop's clock until the session is over."""
        loop = asyncio.get_running_loop()
        start, index = loop.time(), 0
        while not self.ended.is_set():
            for ssrc, voice in enumerate(self._voices, start=1):
                packet = RtpPacket(
                    payload_type=PCMA.payload_type,
                    marker=index == 0,
                    sequence_number=index & 0xFFFF,
                    timestamp=index * FRAME,
                    ssrc=ssrc,
                    payload=voice.frame(),
                )
                voice.rtp.sendto(packet.to_bytes(), voice.remote)
            index += 1
            await asyncio.sleep(max(0.0, start + index * 0.02 - loop.time()))


def metadata_of(voices: Sequence[Voice]) -> str:
    """Who is heard on which stream; labels are the places in the list. RFC 7865."""
    group, session = _uid(), _uid()
    parts = [
        f'<recording xmlns="{NAMESPACES[0]}"><datamode>complete</datamode>',
        f'<group group_id="{group}"/>',
        f'<session session_id="{session}"><group-ref>{group}</group-ref></session>',
    ]
    for label, voice in enumerate(voices):
        person, stream = _uid(), _uid()
        parts += [
            f'<participant participant_id="{person}">',
            f"<nameID aor={quoteattr(voice.address)}>",
            f"<name>{escape(voice.name)}</name></nameID></participant>",
            f'<stream stream_id="{stream}" session_id="{session}">',
            f"<label>{label}</label></stream>",
            f'<participantsessionassoc participant_id="{person}"',
            f' session_id="{session}"/>',
            f'<participantstreamassoc participant_id="{person}">',
            f"<send>{stream}</send></participantstreamassoc>",
        ]
    return "".join([*parts, "</recording>"])


def _uid() -> str:
    return base64.b64encode(uuid.uuid4().bytes).decode()


def _body(description: str, metadata: str) -> bytes:
    return (
        f"--{_BOUNDARY}\r\nContent-Type: {SDP}\r\n\r\n{description}"
        f"\r\n--{_BOUNDARY}\r\nContent-Type: {METADATA_TYPE}\r\n"
        f"Content-Disposition: {DISPOSITION}\r\n\r\n{metadata}"
        f"\r\n--{_BOUNDARY}--\r\n"
    ).encode()
