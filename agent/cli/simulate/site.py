"""Which route a test call takes, and where its two telephones stand."""

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from agent.call.config import RouteConfig, certificate_name, parse_match
from agent.common.errors import AgentError
from agent.media.sound import Sound
from agent.model.media import PCMA, PCMU, Address, Codec
from agent.service.config import Config
from agent.signalling.config import parse_listen
from agent.signalling.sip.uri import parse_uri

_G711: Final = {"PCMA": PCMA, "PCMU": PCMU}


class SimulationError(AgentError):
    """No test call can be placed."""


@dataclass(frozen=True, slots=True)
class Site:
    """One call that is to be placed."""

    route: RouteConfig
    agent: Address
    "Where the daemon listens."
    caller: Address
    officer: Address
    officer_user: str
    codec: Codec
    "The only one both telephones have."
    notices: tuple[Sound, ...]
    "In the order in which they are played."


def site_of(config: Config, sounds: Mapping[str, Sound], name: str) -> Site:
    """The site of the route `name`; empty: of the only one for tests.

    Raises SimulationError, and says what the configuration lacks.
    """
    route = _route(config, name)
    [peer] = [peer for peer in config.peers if peer.name == route.from_]
    agent = next(
        (
            one.address
            for one in map(parse_listen, config.sip.listen)
            if one.transport == "udp"
        ),
        None,
    )
    if agent is None:
        raise SimulationError(
            "the daemon does not listen over UDP.", hint="Add udp: to sip.listen."
        )
    codec = next((_G711[name] for name in route.codecs if name in _G711), None)
    if codec is None:
        raise SimulationError(
            f"the route {route.name} has wide-band codecs only.",
            hint="Add PCMA to its codecs: the telephones of a test call have no other.",
        )
    target = parse_uri(route.to[0]) if route.to[0].startswith("sip:") else None
    if target is None or target.user is None:
        raise SimulationError(
            f"the first target of the route {route.name} is no sip:USER@ADDRESS:PORT.",
            hint='Set to = ["sip:simulate@127.0.0.1:5067"].',
        )
    return Site(
        route=route,
        agent=agent,
        caller=_caller(route, peer.match),
        officer=Address(target.host, target.port or 5060),
        officer_user=target.user,
        codec=codec,
        notices=tuple(sounds[name] for name in route.notice),
    )


def _route(config: Config, name: str) -> RouteConfig:
    tests = [route for route in config.routes if route.test]
    if name:
        tests = [route for route in tests if route.name == name]
    if len(tests) != 1:
        which = f"called {name!r}" if name else "with test = true"
        raise SimulationError(
            f"there are {len(tests)} routes {which} in the configuration, not one.",
            hint="Add the peer and the route for tests as README says (or name one with"
            " --route), and restart the daemon.",
        )
    if tests[0].direction != "inbound" or tests[0].number.endswith("*"):
        raise SimulationError(
            f"the route {tests[0].name} is not inbound, or has no whole number.",
            hint='Set direction = "inbound", and a number that nobody dials.',
        )
    return tests[0]


def _caller(route: RouteConfig, match: tuple[str, ...]) -> Address:
    for entry in match:
        if certificate_name(entry) is not None:
            continue
        network, port = parse_match(entry)
        if network.num_addresses == 1 and port is not None:
            return Address(str(network.network_address), port)
    raise SimulationError(
        f"the peer {route.from_} matches no address with a port.",
        hint='Set match = ["127.0.0.1:5066"], which the caller of a test call has.',
    )


def free_port(address: str) -> int:
    """An even UDP port that nobody uses now. Raises SimulationError."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    for _ in range(64):
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind((address, 0))
            except OSError as error:
                raise SimulationError(
                    f"{address} is no address of this host: {error.strerror}.",
                    hint="Run it on the daemon's host, and name an address of it.",
                ) from error
            port = int(probe.getsockname()[1])
        if port % 2 == 0:
            return port
    raise SimulationError("no even UDP port is free.")
