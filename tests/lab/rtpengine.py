"""rtpengine: the media of a proxy's calls, forked to whoever subscribes to it.

Its control protocol is dictionaries in bencode over UDP, each after a cookie that the
answer repeats.
"""

import asyncio
import contextlib
import re
import secrets
import socket
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.lab.peers import RTPENGINE
from tests.lab.process import running
from tests.ports import free_ports, span

_PATIENCE: Final = 2.0
_MEDIA_PORTS: Final = 100
KAMAILIO_MODULE: Final = """\
loadmodule "rtpengine.so"
modparam("rtpengine", "rtpengine_sock", "udp:127.0.0.1:{port}")
onreply_route[MEDIA] {{
  if (has_body("application/sdp")) rtpengine_manage("replace-origin ICE=remove");
}}
"""
"For a Kamailio: where rtpengine is."
KAMAILIO_CHECKS: Final = """\
  if (is_method("INVITE")) {
    rtpengine_manage("replace-origin ICE=remove");
    t_on_reply("MEDIA");
  }
  if (is_method("BYE|CANCEL")) rtpengine_delete();
"""
"For the same Kamailio: each call's media go by rtpengine."


@dataclass(frozen=True)
class Fork:
    """A subscription to both directions of a call."""

    call_id: str
    tag: str
    "Of the subscriber, as rtpengine names it."
    offer: bytes
    labels: tuple[str, ...]
    "Of the caller's stream, then of the callee's."

    @property
    def whole_call(self) -> dict[str, object]:
        """Both directions of the call, as commands name them."""
        return {"call-id": self.call_id, "flags": ["all"]}

    def again(self, version: int, direction: str) -> bytes:
        """The offer as its next version, its streams with another direction."""
        offer = re.sub(rb"(?m)^(o=\S+ \S+ )\d+", rb"\g<1>%d" % version, self.offer)
        return re.sub(rb"(?m)^a=sendonly\r", b"a=%s\r" % direction.encode(), offer)


class RtpEngine:
    """One rtpengine, by its control protocol."""

    def __init__(self, port: int) -> None:
        self.port = port

    async def fork(self, *, profile: str = "RTP/AVP") -> Fork:
        """Subscribe to the one call there is, with labels as SIPREC has them."""
        [call_id] = (await self.ask("list"))["calls"]
        keys = {
            "call-id": call_id,
            "flags": ["all", "siprec"],
            "transport-protocol": profile,
        }
        said = await self.ask("subscribe request", keys)
        # The caller's tag is the first: theirs was the offer.
        labels = tuple(one["medias"][0]["label"] for one in said["tag-medias"])
        return Fork(call_id, said["to-tag"], said["sdp"].encode(), labels)

    async def answered(self, fork: Fork, answer: bytes) -> None:
        """Tell what the subscriber takes, and where."""
        keys = {"call-id": fork.call_id, "to-tag": fork.tag, "sdp": answer}
        await self.ask("subscribe answer", keys)

    async def ask(
        self, command: str, keys: Mapping[str, object] | None = None
    ) -> dict[str, Any]:
        """Have it do something; fails the test if it will not."""
        cookie = secrets.token_hex(6).encode()
        request = cookie + b" " + bencode({"command": command, **(keys or {})})
        answer = await asyncio.to_thread(_exchanged, request, self.port)
        said, _ = bdecode(answer, len(cookie) + 1)
        assert isinstance(said, dict)
        assert said["result"] in ("ok", "pong"), f"rtpengine: {said}"
        return said


@contextlib.asynccontextmanager
async def rtpengine(root: Path) -> AsyncIterator[RtpEngine]:
    """One, in userspace, on 127.0.0.1."""
    [port] = free_ports(1)
    media = span(_MEDIA_PORTS)
    folder = root / f"rtpengine-{port}"
    folder.mkdir()
    command = [
        *RTPENGINE.command,
        *("--config-file=none", "--table=-1", "--foreground", "--log-stderr"),
        *("--log-level=5", "--interface=127.0.0.1", f"--listen-ng=127.0.0.1:{port}"),
        *(f"--port-min={media + 2}", f"--port-max={media + _MEDIA_PORTS - 1}"),
        *("--num-threads=1", "--delete-delay=0"),
    ]
    with running("rtpengine", folder, command) as process:
        await process.ready(lambda: _answers(port))
        yield RtpEngine(port)


def bencode(value: object) -> bytes:
    """A value in bencode; texts are UTF-8."""
    match value:
        case int():
            return b"i%de" % value
        case str():
            return bencode(value.encode())
        case bytes():
            return b"%d:%s" % (len(value), value)
        case list():
            return b"l" + b"".join(map(bencode, value)) + b"e"
        case dict():
            items = [bencode(part) for pair in value.items() for part in pair]
            return b"d" + b"".join(items) + b"e"
    raise TypeError(type(value))


def bdecode(data: bytes, at: int = 0) -> tuple[Any, int]:
    """The value that begins there, and where it ends."""
    kind = data[at : at + 1]
    if kind == b"i":
        end = data.index(b"e", at)
        return int(data[at + 1 : end]), end + 1
    if kind in (b"l", b"d"):
        found, at = [], at + 1
        while data[at : at + 1] != b"e":
            value, at = bdecode(data, at)
            found.append(value)
        pairs = zip(found[::2], found[1::2], strict=True) if kind == b"d" else ()
        return (dict(pairs) if kind == b"d" else found), at + 1
    colon = data.index(b":", at)
    end = colon + 1 + int(data[at:colon])
    return data[colon + 1 : end].decode(), end


def _answers(port: int) -> bool:
    try:
        return bool(_exchanged(b"0 d7:command4:pinge", port, 0.1))
    except OSError:
        return False


def _exchanged(request: bytes, port: int, seconds: float = _PATIENCE) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        control.settimeout(seconds)
        control.connect(("127.0.0.1", port))
        control.send(request)
        return control.recv(65_535)
