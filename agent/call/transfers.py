"""Transfers asked for by a party: blind, attended, and a phone that takes a call over.

The agent carries them out itself and passes no REFER on, so that the recording goes
on: RFC 3515, RFC 3891, RFC 5589.
"""

import weakref
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from agent.call.conversation import Conversation
from agent.call.conversation_states import State
from agent.call.invitation import contact
from agent.call.joint import Joint
from agent.call.leg import Leg
from agent.call.legs import Legs
from agent.call.routing import NoRouteError
from agent.call.session import CallSession
from agent.common.errors import AgentError
from agent.signalling.offer_answer import NotAcceptableError
from agent.signalling.sip import core as sip
from agent.signalling.sip.contact import asks_for_sips
from agent.signalling.sip.replaces import Replaces

if TYPE_CHECKING:
    from agent.call.active import ActiveCall

FORBIDDEN = 403
NO_ROUTE = 404
NO_SUCH_DIALOG = 481
NOT_ACCEPTABLE = 488
PENDING = 491
NO_MEDIA = 503
"SIP statuses of what is refused."
MAX_NEWCOMERS: Final = 100
"Transfers and takeovers of one call: each adds a leg, and a phone could go on."


class Transfers:
    """The transfers of one call: at most one at a time."""

    def __init__(
        self,
        joint: Joint,
        call: "ActiveCall",
        session: CallSession,
        legs: Legs,
        open_media: Callable[[Leg], Awaitable[None]],
    ) -> None:
        self._joint = joint
        self._whole = weakref.ref(call)
        self._session = session
        self._legs = legs
        self._open_media = open_media
        self._key = ""
        "The REFER that is being carried out."
        self._newcomers = 0
        self._log = joint.log.bind(call_id=call.call_id)

    @property
    def _call(self) -> "ActiveCall":
        call = self._whole()
        if call is None:
            raise ReferenceError("the call is gone")
        return call

    @property
    def state(self) -> tuple[str, int]:
        """The REFER under way, and how many came into the call: for `restore`."""
        return self._key, self._newcomers

    def restore(self, key: str, newcomers: int) -> None:
        """Go on where another one stood."""
        self._key = key
        self._newcomers = newcomers

    # -- REFER ------------------------------------------------------------------

    def referred(self, leg: Leg, event: sip.ReferReceived) -> None:
        """A party wants the other one transferred."""
        refusal = self._try(leg, event)
        if refusal:
            self._log.warning("transfer_refused", leg=leg.name, sip_status=refusal)
            self._joint.user_agent.core.refuse_refer(
                leg.session, event.key, self._now, status=refusal
            )

    def _try(self, leg: Leg, event: sip.ReferReceived) -> int:
        """Begin a transfer, or say why not."""
        talk = self._session.conversation
        if talk is None or talk.state is not State.TALKING:
            return PENDING
        may = leg.peer is not None and leg.peer.may_transfer
        if leg.name not in talk.talkers or not (talk.is_officer(leg.name) or may):
            return FORBIDDEN
        uri = event.refer_to.uri
        if uri.param("method") not in {None, "INVITE"}:
            return FORBIDDEN
        if self._newcomers >= MAX_NEWCOMERS:
            return FORBIDDEN
        if event.replaces is not None:
            return self._attended(talk, leg, event, event.replaces)
        return self._blind(talk, leg, event)

    def _blind(
        self,
        talk: Conversation,
        leg: Leg,
        event: sip.ReferReceived,
        first: Callable[[], None] = lambda: None,
    ) -> int:
        """Ring whom the REFER names; `first` is done before, if it is allowed."""
        uri = event.refer_to.uri
        if leg.peer is None:
            return FORBIDDEN
        try:
            destination = self._joint.routes.destination(
                leg.peer, uri, is_officer=self._joint.is_officer
            )
        except NoRouteError as error:
            self._log.warning("no_route", peer=leg.peer.name, reason=str(error))
            return NO_ROUTE
        self._newcomers += 1
        self._key = event.key
        self._joint.user_agent.core.accept_refer(leg.session, event.key, self._now)
        self._log.info("transfer_begun", leg=leg.name, attended=False)
        first()
        talk.transfer(leg.name, destination, self._now, held=holds(leg))
        return 0

    def notify(self, leg: Leg, status: int) -> None:
        """Tell the transferor how far it is."""
        self._joint.user_agent.core.notify_refer(
            leg.session, self._key, self._now, status=status
        )
        if status >= 200:
            self._log.info("transfer_ended", leg=leg.name, sip_status=status)

    def resumed(self, leg: Leg) -> None:
        """A party's own offer has been answered: does it take the other back?"""
        talk = self._session.conversation
        if talk is not None and not holds(leg):
            talk.taken_back(leg.name, self._now)

    # -- attended: two calls become one -------------------------------------------

    def _attended(
        self,
        talk: Conversation,
        leg: Leg,
        event: sip.ReferReceived,
        replaces: Replaces,
    ) -> int:
        core = self._joint.user_agent.core
        session = core.session_of(replaces) or core.unanswered(replaces)
        named = self._joint.call_of(session) if session is not None else None
        if session is None or named is None or named is self._call:
            return NO_SUCH_DIALOG
        there = named.transfers
        if there is None:
            return FORBIDDEN  # passed through: we have none of its media
        second = there.talker(session)
        if second is None:
            return self._semi_attended(talk, leg, event, there, session)
        if second.peer is not leg.peer:
            # Whoever transfers must be at one end of both calls.
            return FORBIDDEN
        core.accept_refer(leg.session, event.key, self._now)
        core.notify_refer(leg.session, event.key, self._now, status=200)
        self._log.info("transfer_begun", leg=leg.name, attended=True)
        mine, theirs = talk.other(leg.name), there.other(second)
        if self._stays(mine, theirs, there):
            self._join(leg, there, theirs)
        else:
            there.join_with(second, self, mine)
        return 0

    def _semi_attended(
        self,
        talk: Conversation,
        leg: Leg,
        event: sip.ReferReceived,
        there: "Transfers",
        session: str,
    ) -> int:
        """The target still rings for the transferor: have it ring for the other party.

        The target's leg is not taken over but rung anew: what it was offered, and who
        it was told is calling, was meant for the transferor.
        """
        waiting = there.waiting(session)
        if waiting is None:
            return PENDING
        if waiting.peer is not leg.peer:
            return FORBIDDEN
        return self._blind(talk, leg, event, lambda: there.give_up(waiting))

    def give_up(self, leg: Leg) -> None:
        """End this call, in which nobody has answered `leg` yet."""

        def part() -> None:
            self._joint.user_agent.core.hang_up(leg.session, self._now)
            leg.gone = True
            self._session.left(leg.name, self._now)
            self._call.run()

        self._joint.guard(self._call, part)

    def _stays(self, mine: str, theirs: str, there: "Transfers") -> bool:
        """Whether this call goes on, or the other: that of the party outside."""
        return not self.is_officer(mine) or there.is_officer(theirs)

    def join_with(self, leaving: Leg, other: "Transfers", coming: str) -> None:
        """Let this call go on with a party of another, whose call ends."""
        self._joint.guard(self._call, lambda: self._join(leaving, other, coming))

    def _join(self, leaving: Leg, other: "Transfers", coming: str) -> None:
        talk = self._session.conversation
        if talk is None:
            return
        officer, announced = other.is_officer(coming), other.has_heard(coming)
        leg = other.let_go(coming)
        leg.name = self._session.new_name()
        self._legs.add(leg)
        self._joint.media.move_leg(leg.media_id, self._call.call_id)
        for name in (leg.session, leg.media_id):
            self._joint.register(name, self._call)
        talk.replaced(
            leaving.name,
            leg.name,
            self._now,
            officer=officer,
            announced=announced,
            exempt=other.exempt,
        )
        self._call.run()

    def let_go(self, name: str) -> Leg:
        """Give a leg to another call; this one ends."""
        leg = self._legs[name]

        def part() -> None:
            if self._session.conversation is not None:
                self._session.conversation.surrendered(name, self._now)
            self._legs.release(leg)
            self._call.run()

        self._joint.guard(self._call, part)
        return leg

    # -- INVITE with Replaces -----------------------------------------------------

    def taken_over(self, event: sip.InviteReceived, newcomer: Leg) -> None:
        """A phone wants the place of one of this call's legs (RFC 3891)."""
        former = self._legs.of_session(event.replaces or "")
        refusal = self._may_take_over(former, newcomer)
        if former is None or refusal:
            self._log.warning("takeover_refused", sip_status=refusal)
            self._refuse(newcomer, refusal)
            return
        self._newcomers += 1
        newcomer.name = self._session.new_name()
        self._legs.add(newcomer)
        self._joint.register(newcomer.session, self._call)
        self._joint.spawn(
            self._take_over(event, former, newcomer),
            name=f"takeover-{self._call.call_id}",
        )

    def _may_take_over(self, former: Leg | None, newcomer: Leg) -> int:
        if former is None or newcomer.peer is None:
            return NO_SUCH_DIALOG
        if former.peer is not newcomer.peer and not newcomer.peer.may_transfer:
            return FORBIDDEN
        if self._newcomers >= MAX_NEWCOMERS:
            return FORBIDDEN
        if self._joint.routes.is_exempt(newcomer.number) and not self.exempt:
            return FORBIDDEN  # this call is recorded, and it may not be
        if self._session.rings(former.name):
            return 0
        if self.talker(former.session) is None:
            return PENDING
        return 0 if self.is_officer(former.name) else FORBIDDEN

    async def _take_over(
        self, event: sip.InviteReceived, former: Leg, newcomer: Leg
    ) -> None:
        try:
            await self._open_media(newcomer)
            facing = self._call.facing(former)
            self._legs.describe(newcomer, event.request.body, facing)
        except NotAcceptableError as error:
            self._log.warning("offer_unusable", reason=str(error))
            self._refuse(newcomer, NOT_ACCEPTABLE)
            return
        except AgentError as error:
            self._log.warning("media_refused", reason=str(error))
            self._refuse(newcomer, NO_MEDIA)
            return
        rings = self._session.rings(former.name)
        if newcomer.gone or not (rings or self.talker(former.session)):
            self._refuse(newcomer, NO_SUCH_DIALOG)
            return
        self._joint.user_agent.core.accept(
            newcomer.session,
            self._now,
            contact=contact(newcomer, secure=asks_for_sips(event.request)),
            body=newcomer.local_description,
        )
        self._log.info("call_taken_over", leg=former.name, ringing=rings)
        talk = self._session.conversation
        if rings:
            self._session.picked_up(former.name, newcomer.name, self._now)
        elif talk is not None:
            talk.replaced(
                former.name,
                newcomer.name,
                self._now,
                officer=True,
                announced=False,
            )
        self._call.run()

    def _refuse(self, newcomer: Leg, status: int) -> None:
        if not newcomer.gone:
            self._joint.user_agent.core.refuse(
                newcomer.session, self._now, status=status
            )
        newcomer.gone = True
        self._legs.close_media(newcomer)
        self._joint.user_agent.flush()

    # -- who is who -------------------------------------------------------------

    def talker(self, session: str) -> Leg | None:
        """The leg of a SIP session, if it is one of two that talk undisturbed."""
        talk = self._session.conversation
        leg = self._legs.of_session(session)
        if talk is None or leg is None or talk.state is not State.TALKING:
            return None
        return leg if leg.name in talk.talkers else None

    def waiting(self, session: str) -> Leg | None:
        """The leg of a SIP session, if targets ring for it and none has answered."""
        leg = self._legs.first
        return leg if self._session.hunts and leg.session == session else None

    def other(self, leg: Leg) -> str:
        """The leg that talks with `leg`."""
        talk = self._session.conversation
        return talk.other(leg.name) if talk is not None else ""

    @property
    def exempt(self) -> bool:
        """Whether this call may never be recorded."""
        return self._session.exempt

    def is_officer(self, name: str) -> bool:
        """Whether an officer is on a leg, whatever its part in this call."""
        talk = self._session.conversation
        played = talk is not None and talk.is_officer(name)
        return played or self._joint.is_officer(self._legs[name].number)

    def has_heard(self, name: str) -> bool:
        """Whether a leg has heard the notice."""
        talk = self._session.conversation
        return talk is not None and talk.has_heard(name)

    @property
    def _now(self) -> float:
        return self._joint.user_agent.now


def holds(leg: Leg) -> bool:
    """Whether a leg's peer has the other party on hold."""
    return not leg.asked.sends
