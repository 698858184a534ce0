"""Telephones that must prove who they are: what is asked of whom, and when not.

RFC 3261 section 22. An emergency call is never asked anything, and goes through
whatever it says: its caller may be at any telephone.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import structlog

from agent.call.routing import RouteTable
from agent.identity.numbers import IdentityConfig, normalise
from agent.identity.tags import claimed_numbers
from agent.signalling.config import SipConfig
from agent.signalling.guard import Guard, network_of
from agent.signalling.sip.authentication import (
    Authenticator,
    User,
    Users,
    credentials_in,
)
from agent.signalling.sip.core import DROP, Beginning
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.inspection import Refusal
from agent.signalling.sip.lockout import Lockout
from agent.signalling.sip.message import Request
from agent.signalling.sip.nonces import Nonces

GUARDED: Final = frozenset({"INVITE", "UPDATE", "REFER"})
"""Requests in a dialog that could turn a call, or its audio, to somebody else.

So could a PRACK, but only with a description in it (RFC 3262 section 5).
BYE is not among them: a telephone that does not understand the challenge would leave
the recording of a call running that is over.
"""
SOURCE_FACTOR: Final = 5
"A source may fail that many times as often as a user: telephones share addresses."
ANY: Final = "*"
"In the numbers of a user: it may call as anybody."


@dataclass(slots=True)
class PhoneStats:
    """Counters since the start, beside those of the authenticator."""

    emergencies: int = 0
    "Emergency calls that nobody was asked for a password for."
    impostors: int = 0
    "Requests of a proven user in another one's name."
    silenced: int = 0
    "Refusals that were not sent, because the source had too many."


class PhoneAuthentication:
    """Judges requests of the peers that have users; of others it has no opinion."""

    def __init__(
        self,
        *,
        users: Mapping[str, Users],
        authenticator: Authenticator,
        routes: RouteTable,
        guard: Guard,
        identity: IdentityConfig,
    ) -> None:
        """`users` are by the name of their peer; `guard` limits our refusals."""
        self.stats = PhoneStats()
        self._users = users
        self._authenticator = authenticator
        self._routes = routes
        self._guard = guard
        self._identity = identity
        self._log = structlog.get_logger()

    def replace_users(self, users: Mapping[str, Users]) -> None:
        """Go by others from now on; who is locked out stays so."""
        self._users = users

    @property
    def authenticator(self) -> Authenticator:
        return self._authenticator

    def judge(
        self, request: Request, flow: Flow, beginning: Beginning | None, now: float
    ) -> Refusal | None:
        """How to refuse a new request, if it must be; for the core to ask.

        `beginning` is that of the dialog that it is in, if it is in one: it is asked
        what the peer is asked that the dialog is with, wherever it comes from.
        """
        peer = self._routes.peer_of(flow if beginning is None else beginning.flow)
        users = None if peer is None else self._users.get(peer.name)
        if peer is None or users is None or self._is_free(request, flow, beginning):
            return None
        authenticator = self._authenticator
        failures, lockouts = authenticator.stats.failed, authenticator.lockouts
        source = network_of(flow.remote.host)
        verdict = authenticator.judge(request, users, source, now)
        if isinstance(verdict, User):
            if self._is_own(request, verdict, in_dialog=beginning is not None):
                return None
            self.stats.impostors += 1
            self._log.warning("identity_refused", peer=peer.name)
            verdict = Refusal(403)
        elif authenticator.stats.failed > failures:
            self._log.warning(
                "password_refused", peer=peer.name, source=str(flow.remote)
            )
        if authenticator.lockouts > lockouts:
            self._log.error("locked_out", peer=peer.name, source=str(flow.remote))
        if not self._guard.allow(flow.remote.host, now):
            self.stats.silenced += 1
            return Refusal(DROP)
        return verdict

    def proven_number(self, request: Request, flow: Flow) -> str | None:
        """The first number of who sent an INVITE that `judge` has let in.

        None where it was not asked, or may call as anybody.
        """
        peer = self._routes.peer_of(flow)
        users = None if peer is None else self._users.get(peer.name)
        if users is None or self._is_emergency(request, request):
            return None
        credentials = credentials_in(request, users)
        user = None if credentials is None else users.get(credentials.username)
        if user is None or ANY in user.numbers:
            return None
        return normalise(user.numbers[0], self._identity)

    def _is_free(
        self, request: Request, flow: Flow, beginning: Beginning | None
    ) -> bool:
        """Whether nothing is asked for this request."""
        first = request if beginning is None else beginning.invite
        if self._is_emergency(request, first):
            self.stats.emergencies += beginning is None
            return True
        if beginning is None:
            return False
        # In a dialog that began over TLS the connection vouches for its sender:
        # nobody else could read what the dialog is called.
        secure = flow.transport == beginning.flow.transport == "tls"
        described = request.method == "PRACK" and request.body
        return secure or not (request.method in GUARDED or described)

    def _is_emergency(self, request: Request, first: Request) -> bool:
        """Whether `request` belongs to an emergency call, which `first` began."""
        return (
            first.method == "INVITE"
            and self._routes.is_emergency(first.uri.user or "")
            # Neither may be had by dialling 112 first.
            and request.method != "REFER"
            and "Replaces" not in request.headers
        )

    def _is_own(self, request: Request, user: User, *, in_dialog: bool) -> bool:
        """Whether the numbers that a request claims are its sender's own."""
        if ANY in user.numbers:
            return True
        own = {normalise(number, self._identity) for number in user.numbers}
        # The From of a dialog is whatever began it.
        claimed = claimed_numbers(
            request, config=self._identity, with_from=not in_dialog
        )
        return own.issuperset(claimed)


def phone_authentication(
    users: Mapping[str, Users],
    routes: RouteTable,
    config: SipConfig,
    identity: IdentityConfig,
    rng: random.Random,
) -> PhoneAuthentication | None:
    """What `config` makes of it; None if no peer has users."""
    if not users:
        return None
    return PhoneAuthentication(
        users=users,
        authenticator=Authenticator(
            nonces=Nonces(key=rng.randbytes(32), rng=rng),
            users=Lockout(limit=config.lockout_failures),
            sources=Lockout(limit=SOURCE_FACTOR * config.lockout_failures),
        ),
        routes=routes,
        guard=Guard(
            rate=config.challenge_rate,
            burst=int(config.challenge_rate * 2),
            max_sources=10_000,
        ),
        identity=identity,
    )
