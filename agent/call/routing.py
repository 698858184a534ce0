"""Which peer sent a call, and what is to become of it: sans-IO.

Emergency numbers and exempt numbers are looked at before any route.
"""

import itertools
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from agent.call.config import (
    Network,
    PeerConfig,
    RouteConfig,
    certificate_name,
    parse_match,
)
from agent.common.errors import AgentError
from agent.identity.numbers import IdentityConfig, normalise
from agent.model.call import CallDirection
from agent.model.media import ip_of
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.uri import Uri, parse_uri


class Step(StrEnum):
    """What must be done, in the plan's order, before two parties talk."""

    ANSWER = "answer"
    "Answer the first party."
    ANNOUNCE = "announce"
    "Play every notice to the end."
    CONNECT = "connect"
    "Ring the targets until one answers."


class NoRouteError(AgentError):
    """No route leads to the number the peer called."""

    status = 404
    hint = "Add a [[routes]] entry if the number is in use."


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to become of one call."""

    route: RouteConfig
    direction: CallDirection
    steps: tuple[Step, ...]
    rounds: tuple[tuple[str, ...], ...]
    "SIP URIs, in the order in which they are tried; those of one round together."
    exempt: bool = False
    "Never announced, recorded or refused."
    emergency: bool = False
    "Exempt, and never queued, limited or held up by anything."

    @property
    def targets(self) -> tuple[str, ...]:
        """All targets, one after the other."""
        return tuple(itertools.chain.from_iterable(self.rounds))


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where a transfer leads."""

    rounds: tuple[tuple[str, ...], ...]
    "SIP URIs, as in a plan."
    staff: bool
    "Whether who answers there is an officer."
    exempt: bool = False
    "Never announced or recorded."
    emergency: bool = False


_NUMBER: Final = re.compile(r"[-.() 0-9+*#]+")
_SEPARATORS: Final = re.compile(r"[-.() ]")
INBOUND_STEPS: Final = (Step.ANSWER, Step.ANNOUNCE, Step.CONNECT)
_OUTBOUND_STEPS = (Step.CONNECT, Step.ANSWER, Step.ANNOUNCE)
_EARLY_STEPS = (Step.ANNOUNCE, Step.CONNECT, Step.ANSWER)
_EXEMPT_STEPS = (Step.CONNECT, Step.ANSWER)


def _dialled(user: str) -> str:
    """What was dialled: the user part without parameters and visual separators.

    RFC 3966 sections 3 and 5.1.1; a user part that is no number stays as it is.
    """
    bare = user.partition(";")[0]
    return _SEPARATORS.sub("", bare) if _NUMBER.fullmatch(bare) else bare


def _home(uri: Uri) -> tuple[str, int | None, str, str]:
    """What two URIs of one peer have in common, whoever they name there."""
    transport = (uri.param("transport") or "").lower()
    return uri.host.lower(), uri.port, uri.scheme, transport


class RouteTable:
    """The configured peers and routes, ready to be asked."""

    def __init__(
        self,
        peers: Sequence[PeerConfig],
        routes: Sequence[RouteConfig],
        *,
        emergency: Sequence[str],
        exempt: Sequence[str],
        identity: IdentityConfig,
    ) -> None:
        self.is_down: Callable[[str], bool] = lambda _: False
        "Whether a peer, by its name, is known not to answer."
        self.replace(
            peers, routes, emergency=emergency, exempt=exempt, identity=identity
        )

    def replace(
        self,
        peers: Sequence[PeerConfig],
        routes: Sequence[RouteConfig],
        *,
        emergency: Sequence[str],
        exempt: Sequence[str],
        identity: IdentityConfig,
    ) -> None:
        """Go by others from now on; calls that are up keep the plan they have."""
        self._peers = {peer.name: peer for peer in peers}
        self._matches: list[tuple[Network, int | None, PeerConfig]] = [
            (*parse_match(entry), peer)
            for peer in peers
            for entry in peer.match
            if certificate_name(entry) is None
        ]
        self._certified = {
            name: peer
            for peer in reversed(peers)
            for entry in peer.match
            if (name := certificate_name(entry)) is not None
        }
        # The most particular match wins: a port before a host before a network.
        self._matches.sort(key=lambda m: (m[1] is None, -m[0].prefixlen))
        self._routes = tuple(routes)
        self._staff = tuple(
            target
            for route in routes
            if route.direction == "inbound"
            for target in (*route.to, route.overflow)
            if target and target not in self._peers
        )
        self._named = frozenset(
            _dialled(parse_uri(target).user or "")
            for route in routes
            for target in (*route.to, route.overflow)
            if target and target not in self._peers
        )
        self._homes = {_home(parse_uri(p.uri)): p for p in reversed(peers) if p.uri}
        self._hosts = {host for host, _, _, _ in self._homes}
        self._identity = identity
        self._emergency = frozenset(emergency)
        # What others write down of a call has every number in international form,
        # 112 as +358112.
        plain = [normalise(number, identity) for number in (*exempt, *emergency)]
        abroad = [
            f"{sign}{identity.country_code}{number}"
            for number in plain
            for sign in ("+", identity.international_prefix)
            if sign and number.isdecimal()
        ]
        self._exempt = frozenset((*plain, *abroad))

    def peer_of(self, flow: Flow) -> PeerConfig | None:
        """The configured peer at the other end of `flow`, if any.

        A verified certificate says more than an address; so does the domain of a
        connection that we open, which its certificate will have to show. The port of
        a connection that the peer opened says nothing.
        """
        for name in (*flow.certificate, flow.domain.lower()):
            if (peer := self._certified.get(name)) is not None:
                return peer
        remote = flow.remote
        address = ip_of(remote.host.partition("%")[0])
        for network, port, peer in self._matches:
            if address in network and (flow.inbound or port in {None, remote.port}):
                return peer
        return None

    def peer_towards(self, uri: Uri, flow: Flow) -> PeerConfig | None:
        """The configured peer that a call to `uri`, over `flow`, is for, if any.

        A route that names a peer leads to its URI: what the peer may be told, and
        whether in the clear, does not hang on where its calls come from.
        """
        return self._homes.get(_home(uri)) or self.peer_of(flow)

    def is_emergency(self, called: str) -> bool:
        """Whether a number, as dialled, is one that nothing may stand in the way of."""
        return _dialled(called) in self._emergency

    def is_exempt(self, number: str) -> bool:
        """Whether who has a number, as dialled or tagged, may never be recorded."""
        return (
            self.is_emergency(number)
            or normalise(_dialled(number), self._identity) in self._exempt
        )

    def peer_named(self, name: str) -> PeerConfig | None:
        return self._peers.get(name)

    def resumed(
        self, name: str, direction: CallDirection, *, exempt: bool, emergency: bool
    ) -> Plan | None:
        """What is left of the plan of a call two already talk in.

        None if the route of that name is no more.
        """
        route = next((route for route in self._routes if route.name == name), None)
        if route is None:
            return None
        return Plan(
            route=route,
            direction=direction,
            steps=(),
            rounds=(),
            exempt=exempt,
            emergency=emergency,
        )

    def destination(
        self, peer: PeerConfig, uri: Uri, *, is_officer: Callable[[str], bool]
    ) -> Destination:
        """Where a transfer to `uri`, which `peer` asks for, leads.

        To a target some route names, to an officer behind that peer, or where the
        peer could have rung itself. Of the URI only the number counts. Raises
        NoRouteError.
        """
        called = _dialled(uri.user or "")
        exempt = self.is_exempt(called)
        if not exempt:
            for target in self._staff:
                if parse_uri(target).user == called:
                    return Destination(rounds=((target,),), staff=True)
            if peer.uri and is_officer(called):
                target = self._target(peer.name, called)
                return Destination(rounds=((target,),), staff=True)
        plan = self.plan(peer, called, "")
        inbound = plan.direction is CallDirection.INBOUND
        return Destination(
            rounds=plan.rounds,
            staff=not exempt and (inbound or is_officer(called)),
            exempt=exempt,
            emergency=plan.emergency,
        )

    def reachable(
        self,
        uris: Iterable[Uri],
        plan: Plan,
        by: PeerConfig | None,
        *,
        is_officer: Callable[[str], bool],
    ) -> list[str]:
        """Those of `uris` that `by` may send a call of `plan` on to, in their order.

        One that is not exempt itself, and so recorded, is sent to nobody who is.

        Each leads to a configured peer: its host is that of a peer's URI, or an
        address from which a peer sends. There it is a number that some route names,
        or an officer's, unless `by` may name any. Anything else would let one peer
        make us ring whom it likes, at the agency's cost. What becomes of an emergency
        call is for whoever it is sent to to say.
        """
        anywhere = plan.emergency or (by is not None and by.redirect == "any")
        return [
            str(uri)
            for uri in uris
            if self._leads_to_peer(uri)
            and (plan.exempt or not self.is_exempt(uri.user or ""))
            and (anywhere or self._is_known(uri, is_officer))
        ]

    def _is_known(self, uri: Uri, is_officer: Callable[[str], bool]) -> bool:
        called = _dialled(uri.user or "")
        return called in self._named or is_officer(called)

    def _leads_to_peer(self, uri: Uri) -> bool:
        if uri.scheme not in {"sip", "sips"}:
            return False
        host = uri.host.lower()
        if host in self._hosts:
            return True
        try:
            address = ip_of(host)
        except ValueError:
            return False
        return any(address in network for network, _, _ in self._matches)

    def plan(self, peer: PeerConfig, called: str, caller: str) -> Plan:
        """What becomes of a call `peer` sends to number `called`.

        `called` is as dialled, `caller` as tagged. Raises NoRouteError.
        """
        called = _dialled(called)
        emergency = called in self._emergency
        exempt = emergency or not self._exempt.isdisjoint(
            (normalise(called, self._identity), normalise(caller, self._identity))
        )
        route = self._route(peer, called)
        if route is None and emergency:
            # An emergency call goes out by any way there is.
            route = next((r for r in self._routes if r.direction == "outbound"), None)
        if route is None:
            raise NoRouteError(f"peer {peer.name} has no route for the called number")
        direction = CallDirection(route.direction)
        steps: tuple[Step, ...] = _OUTBOUND_STEPS
        if exempt:
            steps = _EXEMPT_STEPS
        elif direction is CallDirection.INBOUND:
            early = route.notice_mode == "early"
            steps = _EARLY_STEPS if early else INBOUND_STEPS
        return Plan(
            route=route,
            direction=direction,
            steps=steps,
            rounds=self._rounds(route, called, emergency=emergency),
            exempt=exempt,
            emergency=emergency,
        )

    def _route(self, peer: PeerConfig, called: str) -> RouteConfig | None:
        best: RouteConfig | None = None
        for route in self._routes:
            if route.from_ != peer.name:
                continue
            if route.number == called:
                return route
            longer = best is None or len(route.number) > len(best.number)
            if (
                route.number.endswith("*")
                and called.startswith(route.number[:-1])
                and longer
            ):
                best = route
        return best

    def _rounds(
        self, route: RouteConfig, called: str, *, emergency: bool
    ) -> tuple[tuple[str, ...], ...]:
        """Who is rung together, one round after the other.

        Targets whose peer is down come last, after the overflow too: waiting for them
        would be the caller's. An emergency call takes nobody's word for that.
        """
        targets = tuple(self._target(name, called) for name in route.to)
        rounds: tuple[tuple[str, ...], ...] = (targets,)
        if route.hunt == "sequential":
            rounds = tuple((target,) for target in targets)
        if route.overflow:
            rounds = (*rounds, (self._target(route.overflow, called),))
        if emergency:
            return rounds
        down = {
            target for round_ in rounds for target in round_ if self._is_lost(target)
        }
        if not down:
            return rounds
        first = [tuple(t for t in round_ if t not in down) for round_ in rounds]
        last = [tuple(t for t in round_ if t in down) for round_ in rounds]
        return tuple(round_ for round_ in (*first, *last) if round_)

    def _is_lost(self, target: str) -> bool:
        """Whether a target is at the address of a peer that is down."""
        peer = self._homes.get(_home(parse_uri(target)))
        return peer is not None and self.is_down(peer.name)

    def _target(self, name: str, called: str) -> str:
        peer = self._peers.get(name)
        if peer is None:
            return name
        # What was dialled stands here without its escapes, and may hold anything.
        return str(parse_uri(peer.uri).with_(user=called or None))
