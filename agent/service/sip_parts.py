"""Builds the parts of signalling from what is configured; `app` starts them."""

from dataclasses import dataclass
from typing import Final

from agent import __version__
from agent.call.control import CallControl
from agent.call.routing import RouteTable
from agent.common.ids import SecureRandom
from agent.service.config import Config
from agent.service.material import Material
from agent.service.peer_secrets import PeerSecrets
from agent.service.succession import Succession
from agent.signalling.config import parse_listen, parse_nameserver
from agent.signalling.guard import Guard
from agent.signalling.kept import KeptConnections
from agent.signalling.resolver import Resolver
from agent.signalling.sip.core import UserAgentCore
from agent.signalling.sip.dialog import SDP
from agent.signalling.sip.parts import MIXED
from agent.signalling.sip.timers import Timers
from agent.signalling.sip.uri import parse_uri
from agent.signalling.siprec.body import METADATA_TYPE, OLD_TYPE
from agent.signalling.siprec.recognition import SIPREC
from agent.signalling.useragent import UserAgent

EXTENSIONS: Final = ("100rel", "timer", "replaces", "norefersub")
"SIP option tags that peers may require of us."
ACCEPTS: Final = (SDP, MIXED, METADATA_TYPE, OLD_TYPE)
"Media types of the bodies of requests."
SOFTWARE: Final = f"recording-agent/{__version__}"
"What we call ourselves towards peers, and in recordings."


@dataclass(frozen=True, slots=True)
class SipParts:
    """Signalling, built and not started."""

    routes: RouteTable
    secrets: PeerSecrets
    core: UserAgentCore
    user_agent: UserAgent


def build_guard(config: Config) -> Guard:
    """Who counts what strangers send."""
    return Guard(
        rate=config.sip.stranger_rate,
        burst=int(config.sip.stranger_rate * 2),
        max_sources=10_000,
    )


def build_sip(
    config: Config,
    material: Material,
    control: CallControl,
    *,
    succession: Succession,
    kept: KeptConnections | None,
    rng: SecureRandom,
) -> SipParts:
    """The user agent with all that judges what it receives. Raises AgentError."""
    routes = RouteTable(
        config.peers,
        config.routes,
        emergency=config.recording.emergency,
        exempt=config.recording.exempt,
        identity=config.identity,
    )
    secrets = PeerSecrets(
        material.credentials, routes, config.sip, config.identity, rng
    )
    core = UserAgentCore(
        rng=rng,
        timers=Timers(t1=config.sip.t1),
        supported=EXTENSIONS,
        understood=(SIPREC,),
        accepts=ACCEPTS,
        session_expires=config.sip.session_expires,
        min_se=config.sip.min_se,
        product=SOFTWARE,
        admit=control.admit,
        authenticate=secrets.judge,
        credentials_for=secrets.credentials_for,
        max_sessions=4 * config.sip.max_calls,
        limits_of=control.limits_of,
        is_emergency=control.is_emergency,
        in_emergency=control.in_emergency,
        session_names=f"s{rng.getrandbits(32):08x}-",
    )
    user_agent = UserAgent(
        core,
        [parse_listen(entry) for entry in config.sip.listen],
        control.on_sip,
        tls=material.tls,
        resolver=Resolver(
            [parse_nameserver(entry) for entry in config.sip.nameservers], rng=rng
        ),
        certificate_names=certificate_names(config),
        limits_of=control.limits_of,
        is_emergency=control.is_emergency,
        in_emergency=control.in_emergency,
        max_connections=config.sip.max_connections,
        connection_idle=config.sip.connection_idle,
        sockets=succession.sockets,
        kept=kept,
        connections=succession.connections,
    )
    return SipParts(routes, secrets, core, user_agent)


def certificate_names(config: Config) -> dict[str, str]:
    """Under which name a peer's host shows its certificate, if not its own."""
    return {
        parse_uri(peer.uri).host.lower(): peer.certificate.lower()
        for peer in config.peers
        if peer.certificate
    }
