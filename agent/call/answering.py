"""What the party that rang is told: ringing, early media, an answer, a refusal."""

from collections.abc import Awaitable, Callable

from agent.call import commands as do
from agent.call.early_media import EarlyMedia, early_media
from agent.call.invitation import contact
from agent.call.joint import Joint
from agent.call.leg import Leg
from agent.call.legs import Legs
from agent.call.session import CallSession
from agent.common.errors import AgentError
from agent.signalling.offer_answer import NotAcceptableError
from agent.signalling.sip.contact import asks_for_sips
from agent.signalling.sip.message import Request


class Answering:
    """The first leg of one call, whose INVITE is `invite`."""

    def __init__(
        self,
        joint: Joint,
        session: CallSession,
        legs: Legs,
        invite: Request,
        *,
        call_id: str,
        open_media: Callable[[Leg], Awaitable[None]],
    ) -> None:
        self._joint = joint
        self._session = session
        self._legs = legs
        self._invite = invite
        self._open_media = open_media
        self._log = joint.log.bind(call_id=call_id)
        self._refusal_headers: list[tuple[str, str]] = []
        self._awaits_prack = False
        self.headers: list[tuple[str, str]] = []
        "What of the target's 2xx goes into ours, if the target answers first."

    def refuse(self, command: do.Refuse) -> None:
        """Say that nothing will come of the call."""
        headers = [("Retry-After", "30")] if command.status == 503 else []
        headers += self._refusal_headers
        self._joint.user_agent.core.refuse(
            self._legs.first.session,
            self._now,
            status=command.status,
            reason=command.reason,
            headers=headers,
        )
        self._legs.first.gone = True

    def ring(self, command: do.Ring) -> None:
        """Say that a target rings, and let it be heard if it sends audio already."""
        core, first = self._joint.user_agent.core, self._legs.first
        if command.heard:
            heard = self._legs[command.heard]
            self._joint.media.bridge(first.media_id, heard.media_id)
            body = first.local_description
            core.ring(first.session, self._now, status=183, body=body)
        else:
            core.ring(first.session, self._now, status=180)

    def hears(self, leg: Leg, body: bytes) -> bool:
        """Let it hear a target that sends audio before it answers; False: it cannot."""
        first = self._legs.first
        if not self._session.rings_alone(leg.name):
            return False
        if first.audio is not None:
            return True  # it is heard already, whatever this response says
        if not body:
            return False
        try:
            self._legs.answered(leg, body)
            self._legs.describe_first(leg)
        except NotAcceptableError as error:
            self._log.warning("early_media_unusable", leg=leg.name, reason=str(error))
            return False
        return first.audio is not None

    async def open_early(self) -> None:
        """Let the first party hear us before the answer, if its path has that."""
        first = self._legs.first
        policy = first.peer.early_media if first.peer is not None else "never"
        possible = early_media(self._invite, policy)
        if possible is EarlyMedia.NONE:
            self._log.info("early_media_unavailable")
            self._session.early_unavailable(self._now)
            return
        if not await self._opened() or not self._described(None) or first.gone:
            return
        self._awaits_prack = possible is EarlyMedia.RELIABLE
        self._joint.user_agent.core.ring(
            first.session,
            self._now,
            status=183,
            body=first.local_description,
            reliable=self._awaits_prack,
        )
        if not self._awaits_prack:
            self._session.early_opened(self._now)

    def provisional_acknowledged(self) -> None:
        """The first party has our 183: what is sent from now on is heard."""
        if self._awaits_prack:
            self._awaits_prack = False
            self._session.early_opened(self._now)

    @property
    def has_media(self) -> bool:
        """Whether it has its ports already."""
        return self._legs.first.media_open

    def answer(self, partner: Leg | None) -> None:
        """Answer it; with the description of the early media, if there was any.

        It has media. `partner` is the leg that has answered before, if one has.
        """
        first = self._legs.first
        if self._described(partner) and not first.gone:
            self._joint.user_agent.core.accept(
                first.session,
                self._now,
                contact=contact(first, secure=asks_for_sips(self._invite)),
                body=first.local_description,
                headers=self.headers,
            )

    async def open_and_answer(self, partner: Leg | None) -> None:
        """Give it media first."""
        if await self._opened():
            self.answer(partner)

    async def _opened(self) -> bool:
        """Have media; False if the call cannot be."""
        try:
            if not self.has_media:
                await self._open_media(self._legs.first)
        except AgentError as error:
            self._log.warning("media_refused", reason=str(error))
            self._session.unacceptable(503, "No Media Available")
            return False
        return True

    def _described(self, partner: Leg | None) -> bool:
        """Have a description; False if the call cannot be."""
        try:
            if not self._legs.first.local_description:
                self._legs.describe_first(partner)
        except NotAcceptableError as error:
            self._log.warning("offer_unusable", reason=str(error))
            self._refusal_headers = [error.warning(self._joint.host)]
            self._session.unacceptable(488, "Not Acceptable Here")
            return False
        return True

    @property
    def _now(self) -> float:
        return self._joint.user_agent.now
