"""Who knows whom by which password, as it is configured now: what the core asks."""

import random

from agent.call.authentication import PhoneAuthentication, phone_authentication
from agent.call.routing import RouteTable
from agent.identity.numbers import IdentityConfig
from agent.service.credentials import Credentials
from agent.signalling.config import SipConfig
from agent.signalling.sip.authorization import ClientCredentials
from agent.signalling.sip.core import Beginning
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.inspection import Refusal
from agent.signalling.sip.message import Request


class PeerSecrets:
    """Judges telephones, and tells our own passwords, for the peer behind a flow."""

    def __init__(
        self,
        credentials: Credentials,
        routes: RouteTable,
        config: SipConfig,
        identity: IdentityConfig,
        rng: random.Random,
    ) -> None:
        self._routes = routes
        self._config = config
        self._identity = identity
        self._rng = rng
        self._phones: PhoneAuthentication | None = None
        self.replace(credentials)

    def replace(self, credentials: Credentials) -> None:
        """Go by others from now on."""
        self._ours = credentials.ours
        if self._phones is not None:
            self._phones.replace_users(credentials.users)
        else:
            self._phones = phone_authentication(
                credentials.users,
                self._routes,
                self._config,
                self._identity,
                self._rng,
            )

    def credentials_for(self, flow: Flow) -> ClientCredentials | None:
        """What the peer behind a flow knows us by; None: by nothing."""
        if not self._ours:
            return None
        peer = self._routes.peer_of(flow)
        return None if peer is None else self._ours.get(peer.name)

    def judge(
        self, request: Request, flow: Flow, beginning: Beginning | None, now: float
    ) -> Refusal | None:
        """How to refuse a new request, if it must be."""
        if self._phones is None:
            return None
        return self._phones.judge(request, flow, beginning, now)

    def proven_number(self, request: Request, flow: Flow) -> str | None:
        """The first number of who sent an INVITE that `judge` has let in."""
        if self._phones is None:
            return None
        return self._phones.proven_number(request, flow)
