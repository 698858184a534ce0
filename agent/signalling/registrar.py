"""The shell around registrations: one task for each peer that wants us to register.

Logs `registered` and `registration_failed` with the peer's name, never with ours.
"""

import asyncio
import random
from dataclasses import dataclass, field
from typing import Final

import structlog

from agent.signalling.sip.contact import contact_of
from agent.signalling.sip.core import RequestAnswered
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.registration import Registration, RegistrationStats, Result
from agent.signalling.sip.uri import Uri
from agent.signalling.transport import TransportError
from agent.signalling.useragent import UserAgent

FAREWELL_SECONDS: Final = 2.0
"How long the end of the daemon waits for a registrar."

_UNREACHABLE: Final = frozenset({408, 503})


@dataclass(frozen=True, slots=True)
class Account:
    """What one peer's registrar knows us by."""

    peer: str
    registrar: Uri
    aor: Uri = field(repr=False)
    expires: int
    "Seconds that are asked for."
    features: tuple[str, ...] = ()
    "Feature tags of our contact (RFC 3840)."


class Registrar:
    """Keeps one account registered."""

    def __init__(
        self, user_agent: UserAgent, account: Account, rng: random.Random
    ) -> None:
        self._user_agent = user_agent
        self._account = account
        self._registration = Registration(
            registrar=account.registrar,
            aor=account.aor,
            expires=account.expires,
            features=account.features,
            call_id=f"{rng.getrandbits(128):032x}",
            tag=f"{rng.getrandbits(64):016x}",
            rng=rng,
        )
        self._log = structlog.get_logger().bind(peer=account.peer)

    @property
    def peer(self) -> str:
        return self._account.peer

    @property
    def stats(self) -> RegistrationStats:
        return self._registration.stats

    @property
    def registered(self) -> bool:
        """Whether the registrar knows where to find us."""
        return self._registration.is_registered(self._user_agent.now)

    async def run(self) -> None:
        """Register, and renew it for ever."""
        while True:
            wait = self._registration.get_timer() - self._user_agent.now
            await asyncio.sleep(max(0.0, wait))
            await self._register()

    async def stop(self) -> None:
        """Take the registration back, if the registrar still listens."""
        if not self.registered:
            return
        try:
            async with asyncio.timeout(FAREWELL_SECONDS):
                flow = (await self._flows())[0]
                await self._user_agent.ask(self._registration.farewell(), flow)
        except (TimeoutError, TransportError):
            # It expires by itself.
            self._log.warning("registration_not_taken_back")

    async def _flows(self) -> list[Flow]:
        """The ways to the registrar, the best first. Raises TransportError."""
        return await self._user_agent.flows_to(self._account.registrar)

    async def _register(self) -> None:
        registration = self._registration
        try:
            answer = await self._ask()
        except TransportError as error:
            registration.failed(self._user_agent.now)
            self._log.warning("registration_failed", reason=str(error))
            return
        before = self.registered
        result = registration.answered(
            answer.request, answer.status, answer.response, self._user_agent.now
        )
        if result is Result.FAILED:
            self._log.warning("registration_failed", sip_status=answer.status)
        elif result is Result.REGISTERED and not before:
            self._log.info("registered")

    async def _ask(self) -> RequestAnswered:
        """Send the next request the best way that works (RFC 3263 section 4.3)."""
        first, *others = await self._flows()
        answer = await self._ask_over(first)
        for flow in others:
            if answer.status not in _UNREACHABLE:
                break
            answer = await self._ask_over(flow)
        return answer

    async def _ask_over(self, flow: Flow) -> RequestAnswered:
        aor = self._account.aor
        contact = contact_of(flow, aor.user, secure=aor.scheme == "sips")
        request = self._registration.next_request(contact)
        return await self._user_agent.ask(request, flow)
