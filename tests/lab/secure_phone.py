"""A phone over TLS whose media is SRTP by the tests' own implementation."""

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from agent.cli.phone import Phone
from agent.formats.codecs.g711 import encode_alaw, encode_ulaw
from agent.model.media import Address, SrtpKeys, SrtpPolicy, SrtpSuite
from agent.signalling.config import Listener, TlsConfig
from agent.signalling.offer_answer import OfferAnswer
from agent.signalling.sip.core import UserAgentCore
from agent.signalling.sip.uri import Uri, parse_uri
from agent.signalling.tls import TlsContexts
from agent.signalling.useragent import UserAgent
from tests.fakes.srtp import BadTagError, Direction
from tests.lab.certificates import Authority
from tests.lab.daemon import Daemon
from tests.ports import free_ports

_RTCP = range(192, 224)


@dataclass(slots=True, kw_only=True)
class SecurePhone(Phone):
    """Offers one suite, if told which; keeps every key there was."""

    tls: TlsContexts
    srtp: SrtpPolicy = SrtpPolicy.REQUIRE
    suite: SrtpSuite | None = None
    keys: list[SrtpKeys] = field(default_factory=list)
    unauthentic: int = 0
    plain: int = 0
    "Packets sent or received without encryption."
    _directions: dict[tuple[SrtpSuite, bytes], Direction] = field(default_factory=dict)

    @property
    def _contact(self) -> Uri:
        return parse_uri(f"sip:{self.user}@{self.address};transport=tls")

    def _over_network(self, core: UserAgentCore) -> UserAgent:
        listener = Listener("tls", self.address)
        return UserAgent(core, [listener], self._on_sip, tls=self.tls)

    def _new_negotiation(self) -> OfferAnswer:
        negotiation = Phone._new_negotiation(self)
        return OfferAnswer(
            address=negotiation.state.stream.address,
            session_id=negotiation.state.own.session_id,
            codecs=negotiation.state.stream.codecs,
            secure=True,
            srtp=self.srtp,
        )

    def _offer(self, negotiation: OfferAnswer) -> bytes:
        offer = Phone._offer(self, negotiation)
        if self.suite is None:
            return offer
        other = rb"a=crypto:\d+ (?!" + self.suite.value.encode() + rb" )[^\r]*\r\n"
        return re.sub(other, b"", offer)

    def _in_use(self) -> SrtpKeys | None:
        keys = self.audio.srtp if self.audio is not None else None
        if keys is not None and keys not in self.keys:
            self.keys.append(keys)
        return keys

    def _direction(self, suite: SrtpSuite, key: bytes) -> Direction:
        return self._directions.setdefault((suite, key), Direction(suite, key))

    def _seal(self, packet: bytes) -> bytes:
        keys = self._in_use()
        if keys is None:
            self.plain += 1
            return packet
        return self._direction(keys.suite, keys.send).protect(packet)

    def _unseal(self, data: bytes) -> bytes:
        if self._in_use() is None:
            self.plain += 1
            return data
        if data[1] in _RTCP:
            return b""
        for keys in reversed(self.keys):
            try:
                return self._direction(keys.suite, keys.receive).unprotect(data)
            except BadTagError:
                continue
        self.unauthentic += 1
        return b""

    @property
    def connections(self) -> tuple[int, int, int]:
        """How many it has opened and accepted, and how many there are."""
        stats = self._user_agent.connections
        return stats.connected, stats.accepted, stats.open

    def secrets(self) -> Iterator[bytes]:
        """Every form in which a key of its calls could be written down."""
        for keys in self.keys:
            for key in (keys.send, keys.receive):
                yield key
                yield key[:16]
                yield base64.b64encode(key)[:20]
                yield key.hex().encode()[:32]
                yield repr(key)[2:-1].encode()


class SecureTrunk:
    """A daemon's site whose trunk speaks TLS; phones for it come from here."""

    def __init__(self, daemon: Daemon, *, srtp: str = "require") -> None:
        """Rewrites the configuration of a daemon that was not started yet."""
        self.daemon = daemon
        root = daemon.root
        authority = Authority(root / "tls")
        ours = authority.issue("127.0.0.1")
        self._files = authority.issue("trunk.test", "127.0.0.1")
        self.port, self.trunk = free_ports(2)
        text = daemon.config.read_text()
        text = text.replace(
            f'listen = ["udp:127.0.0.1:{daemon.sip}"]',
            f'listen = ["udp:127.0.0.1:{daemon.sip}", "tls:127.0.0.1:{self.port}"]',
        )
        text = text.replace(
            "[media]\n",
            f'[tls]\ncertificate = "{ours.certificate}"\nkey = "{ours.key}"\n'
            f'ca = "{ours.ca}"\nverify_client = "required"\n[media]\n',
            1,
        )
        text = text.replace(
            f'match = ["127.0.0.1:{daemon.caller}"]\n'
            f'uri = "sip:127.0.0.1:{daemon.caller}"',
            f'match = ["tls:trunk.test"]\nsrtp = "{srtp}"\n'
            f'uri = "sip:127.0.0.1:{self.trunk};transport=tls"',
        )
        daemon.config.write_text(text)

    def phone(
        self,
        user: str,
        speech: bytes,
        *,
        srtp: SrtpPolicy = SrtpPolicy.REQUIRE,
        suite: SrtpSuite | None = None,
        answer_after: float | None = None,
    ) -> SecurePhone:
        """A phone at the trunk; `speech` is 16-bit samples of 8 kHz."""
        files = self._files
        config = TlsConfig(
            certificate=str(files.certificate), key=str(files.key), ca=str(files.ca)
        )
        return SecurePhone(
            Address("127.0.0.1", self.trunk),
            free_ports(1)[0],
            user,
            answer_after=answer_after,
            speech={"PCMA": encode_alaw(speech), "PCMU": encode_ulaw(speech)},
            tls=TlsContexts(config, Path("/")),
            srtp=srtp,
            suite=suite,
        )

    def uri(self, number: str) -> str:
        """Where a phone at the trunk rings a number."""
        return f"sip:{number}@127.0.0.1:{self.port};transport=tls"
