"""What the peers of one call say in SIP, and what that is for the call's session.

What is agreed on a leg, `legs` finds out; who is on it, `identities`; what transfers
are to be, `transfers`.
"""

from collections.abc import Callable

from structlog.typing import FilteringBoundLogger

from agent.call.answering import Answering
from agent.call.commands import HangUp
from agent.call.identities import Identities
from agent.call.joint import Joint
from agent.call.leg import Leg
from agent.call.leg_names import FIRST
from agent.call.legs import Legs
from agent.call.release_causes import INCOMPATIBLE_DESTINATION
from agent.call.routing import Plan
from agent.call.session import CallSession
from agent.call.transfers import Transfers
from agent.model.call import CallDirection, EndCause
from agent.signalling import b2bua
from agent.signalling.offer_answer import NotAcceptableError
from agent.signalling.sip import core as sip
from agent.signalling.sip.authorization import CHALLENGING
from agent.signalling.sip.message import Request, Response


class SipEvents:
    """The events of one call's SIP sessions."""

    def __init__(
        self,
        joint: Joint,
        session: CallSession,
        legs: Legs,
        *,
        call_id: str,
        plan: Plan,
        log: FilteringBoundLogger,
        answering: Answering,
        transfers: Transfers,
        hang_up: Callable[[HangUp], None],
    ) -> None:
        self._joint = joint
        self._session = session
        self._legs = legs
        self._plan = plan
        self._answering = answering
        self._transfers = transfers
        self._hang_up = hang_up
        self._identities = Identities(joint, call_id=call_id, plan=plan)
        self._log = log

    def take(self, leg: Leg, event: sip.Event) -> None:
        """One event of the session of `leg`."""
        now = self._now
        match event:
            case sip.Cancelled():
                leg.gone = True
                self._session.left(leg.name, now)
            case sip.Progressed():
                early = self._answering.hears(leg, event.response.body)
                self._session.target_ringing(leg.name, now, early_media=early)
            case sip.Accepted():
                self._accepted(leg, event.response)
            case sip.Refused():
                if event.status in CHALLENGING:
                    self._log.error("credentials_refused", leg=leg.name)
                leg.gone = True
                self._legs.close_media(leg)
                self._refused(leg, event)
            case sip.Acknowledged():
                if not self._legs.acknowledged(leg, event.request.body):
                    self._session.stop(now)
                elif leg.name == FIRST:
                    self._session.acknowledged(now)
            case sip.ProvisionalAcknowledged():
                self._answering.provisional_acknowledged()
            case sip.OfferReceived():
                leg.learn_abilities(event.request)
                self._legs.offered(leg, event.body, self._other(leg))
                self._transfers.resumed(leg)
                self._identify(leg, event.request)
            case sip.OfferAnswered():
                self._legs.offer_answered(leg, event.response.body)
                self._identify(leg, event.response)
            case sip.RefreshAnswered():
                self._legs.refreshed(leg, event.response.body)
                self._identify(leg, event.response)
            case sip.TargetRefreshed():
                self._identify(leg, event.request)
            case sip.OfferRefused():
                self._legs.offer_refused(leg)
            case sip.ReferReceived():
                self._transfers.referred(leg, event)
            case sip.Ended():
                leg.gone = True
                cause = None if event.reason == "bye" else EndCause.SIGNALLING_TIMEOUT
                self._session.left(leg.name, now, cause=cause)
            case _:
                pass

    def _refused(self, leg: Leg, event: sip.Refused) -> None:
        if event.response is not None and 300 <= event.status < 400:
            asked = b2bua.redirections(event.response)
            targets = self._joint.routes.reachable(
                asked, self._plan, leg.peer, is_officer=self._joint.is_officer
            )
            self._log.info(
                "redirected", leg=leg.name, asked=len(asked), followed=len(targets)
            )
            self._session.target_redirected(leg.name, targets, self._now)
            return
        status, _ = b2bua.map_failure(event.status)
        self._session.target_refused(leg.name, status, self._now)

    def _accepted(self, leg: Leg, response: Response) -> None:
        if not self._session.rings(leg.name):
            return  # another was faster: it has its BYE already
        leg.learn_abilities(response)
        try:
            self._legs.answered(leg, response.body)
        except NotAcceptableError as error:
            self._log.warning("answer_unusable", leg=leg.name, reason=str(error))
            self._hang_up(HangUp(leg=leg.name, q850=INCOMPATIBLE_DESTINATION))
            self._session.target_refused(leg.name, 488, self._now)
            return
        if self._session.conversation is not None:
            self._log.info("transfer_answered", leg=leg.name)
        else:
            inbound = self._plan.direction is CallDirection.INBOUND
            self._log.info("officer_answered" if inbound else "customer_answered")
            self._answering.headers = b2bua.pass_response_headers(
                response,
                from_trusted=leg.trusted,
                to_trusted=self._legs.first.trusted,
            )
        officer = self._identities.answered(leg, response)
        self._session.target_answered(leg.name, self._now, officer=officer)

    def _identify(self, leg: Leg, message: Request | Response) -> None:
        """See whether somebody else is at an officer's end of the call now."""
        talk = self._session.conversation
        inbound = self._plan.direction is CallDirection.INBOUND
        customer = FIRST if inbound else self._session.partner
        if talk is None or leg.name == customer:
            return
        officer = self._identities.changed(leg, message)
        if officer is not None:
            talk.identified(leg.name, self._now, officer=officer)

    def _other(self, leg: Leg) -> Leg | None:
        """Whom a leg talks with, if it does."""
        talk = self._session.conversation
        return None if talk is None else self._legs.get(talk.other(leg.name))

    @property
    def _now(self) -> float:
        return self._joint.user_agent.now
