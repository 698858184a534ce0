"""Desk phones over any transport, which tell what they hear, and can be waited for."""

import asyncio
import functools
from collections.abc import Callable
from typing import Any

from agent.signalling.config import Listener
from agent.signalling.sip import core as sip
from agent.signalling.sip.core import UserAgentCore
from agent.signalling.sip.reliability import RELIABLE
from agent.signalling.sip.uri import Uri, parse_uri
from agent.signalling.tls import TlsContexts
from agent.signalling.useragent import UserAgent
from tests.lab.transfers import DeskPhone


class StreamPhone(DeskPhone):
    """Its media is RTP, whatever its signalling goes by."""

    transport: str
    tls: TlsContexts | None = None
    reliable: bool = False
    "Whether it rings so that a PRACK must come."
    on_ringing: Callable[[], None] | None = None
    outcomes: "asyncio.Queue[sip.OfferAnswered | sip.OfferRefused]"
    "Of its own offers."

    async def start(self) -> None:
        self.outcomes = asyncio.Queue()
        await super().start()

    @property
    def _contact(self) -> Uri:
        uri = f"sip:{self.user}@{self.address};transport={self.transport}"
        return parse_uri(uri)

    def _over_network(self, core: UserAgentCore) -> UserAgent:
        if self.reliable:
            user: Any = core._user
            user.extensions |= {RELIABLE}
            core.ring = functools.partial(core.ring, reliable=True)  # type: ignore[method-assign]
        listener = Listener(self.transport, self.address)
        return UserAgent(core, [listener], self._on_sip, tls=self.tls)

    def _on_sip(self, event: sip.Event) -> None:
        super()._on_sip(event)
        if isinstance(event, sip.OfferAnswered | sip.OfferRefused):
            assert self._negotiation is not None
            if isinstance(event, sip.OfferAnswered):
                self.audio = self._negotiation.receive_answer(event.response.body)
            else:
                self._negotiation.cancel_offer()
            self.outcomes.put_nowait(event)
        elif isinstance(event, sip.InviteReceived) and self.on_ringing is not None:
            self.on_ringing()

    def reoffer(self) -> None:
        """Offer the media that there is once more, by a re-INVITE."""
        agent = self._user_agent
        assert self._negotiation is not None
        agent.core.reoffer(self._session, agent.now, body=self._negotiation.offer())
        agent.flush()
