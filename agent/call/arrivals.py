"""What becomes of a new INVITE: a call, a party in one, or a refusal."""

from collections.abc import Callable

import structlog

from agent.call import commands as do
from agent.call.active import ActiveCall
from agent.call.calls import Calls
from agent.call.codecs import for_first
from agent.call.config import PeerConfig
from agent.call.joint import Joint, RunningCall
from agent.call.leg import Leg
from agent.call.leg_names import FIRST
from agent.call.passthrough import PassthroughCall
from agent.call.routing import NoRouteError, Plan
from agent.call.siprec.config import SiprecConfig
from agent.call.siprec.knowledge import Knowledge
from agent.call.siprec.session_call import SessionCall, is_recorded_beside
from agent.common.clock import utc_ns
from agent.common.errors import AgentError
from agent.common.ids import new_id
from agent.identity.tags import caller_tag
from agent.model.recording import WITHHELD
from agent.recording.ledger import CallIntent, Ledger
from agent.signalling import b2bua
from agent.signalling.sip import core as sip
from agent.signalling.sip.message import Request
from agent.signalling.siprec.recognition import SIPREC, Recognition, recognise


class Arrivals:
    """Takes new calls into `calls`; `finished` hears of each when it is over."""

    def __init__(
        self,
        joint: Joint,
        calls: Calls,
        ledger: Ledger,
        *,
        max_calls: int,
        finished: Callable[[RunningCall, do.Close], None],
    ) -> None:
        self._joint = joint
        self._calls = calls
        self._ledger = ledger
        self._max_calls = max_calls
        self._finished = finished
        self._log = structlog.get_logger()
        self.draining = False
        "Whether only emergency calls are taken any more."

    def take(self, event: sip.InviteReceived) -> None:
        """Take a new call; if our own code fails, it is refused and no other hurt."""
        try:
            self._invited(event)
        except Exception as error:  # noqa: BLE001 - reported, and the call is refused
            self._log.critical("invite_failed", exc_info=error)
            user_agent = self._joint.user_agent
            user_agent.core.refuse(event.session, user_agent.now, status=500)

    def _invited(self, event: sip.InviteReceived) -> None:
        core, now = self._joint.user_agent.core, self._joint.user_agent.now
        request = event.request
        peer = self._joint.routes.peer_of(event.flow)
        if peer is None:  # admitted, then removed from the table
            core.refuse(event.session, now, status=403)
            return
        if b2bua.is_loop(request, self._calls.sent):
            self._log.warning("loop_refused", peer=peer.name)
            core.refuse(event.session, now, status=482)
            return
        rules = self._joint.sources.of_peer(peer.name)
        if rules is not None and is_recorded_beside(request, rules):
            self._record_beside(event, peer, rules)
            return
        if SIPREC in request.require:
            self._tell_not_beside(peer, rules)
            unsupported = ("Unsupported", SIPREC)
            core.refuse(event.session, now, status=420, headers=(unsupported,))
            return
        called = request.uri.user or ""
        tag = caller_tag(request, trusted=peer.trusted, config=self._joint.identity)
        number = tag.number
        if number == WITHHELD:
            # From those who are called, not from the recording: an officer it is.
            number = self._joint.proven_number(request, event.flow) or number
        if event.replaces is not None:
            self._taken_over(event, peer, number)
            return
        try:
            plan = self._joint.routes.plan(peer, called, number)
            b2bua.next_max_forwards(request)
        except NoRouteError as error:
            if rules is not None and rules.recognise == "legacy":
                # It says in no way what it is, and is no call that we could carry.
                self._record_beside(event, peer, rules)
                return
            if recognise(request) is not Recognition.NONE:
                self._tell_not_beside(peer, rules)
            else:
                self._log.warning("no_route", peer=peer.name, reason=str(error))
            core.refuse(event.session, now, status=404)
            return
        except b2bua.TooManyHopsError:
            core.refuse(event.session, now, status=483)
            return
        if not plan.emergency and self._refused_as_full(event, peer):
            return
        self._begin(event, peer, plan, number, called)

    def _tell_not_beside(self, peer: PeerConfig, rules: SiprecConfig | None) -> None:
        """Say why a peer's INVITE that speaks of recording begins no recording."""
        reason = "the peer has no [[siprec]] entry"
        if rules is not None:
            reason = 'not as RFC 7866 demands, and recognise is "strict"'
        self._log.warning("recording_session_refused", peer=peer.name, reason=reason)

    def _taken_over(
        self, event: sip.InviteReceived, peer: PeerConfig, number: str
    ) -> None:
        """An INVITE for a place in a call there is already."""
        call = self._calls.of_name(event.replaces or "")
        if call is None or call.transfers is None:
            core, now = self._joint.user_agent.core, self._joint.user_agent.now
            core.refuse(event.session, now, status=481)
            return
        transfers, leg = call.transfers, _incoming("", event, peer, number)
        self._joint.guard(call, lambda: transfers.taken_over(event, leg))

    def _refused_as_full(
        self, event: sip.InviteReceived, peer: PeerConfig, elsewhere: str = ""
    ) -> bool:
        """Refuse one call too many; `elsewhere`: the URI of who may take it."""
        full = self._full(peer)
        if full:
            self._log.warning("call_limit", peer=peer.name, reason=full)
            status, header = 503, ("Retry-After", "10")
            if elsewhere:
                status, header = 302, ("Contact", f"<{elsewhere}>")
            agent = self._joint.user_agent
            agent.core.refuse(
                event.session, agent.now, status=status, headers=(header,)
            )
        return bool(full)

    def _full(self, peer: PeerConfig) -> str:
        if self.draining:
            return "draining"
        if len(self._calls) >= self._max_calls:
            return "the host's limit"
        if peer.max_calls and self._calls.of_peer(peer.name) >= peer.max_calls:
            return "the peer's limit"
        return ""

    def _can_relay(self, plan: Plan, first: Leg, invite: Request) -> bool:
        """Whether a call can have both its legs relayed, in what its party offers."""
        stats = self._joint.media.stats
        if not stats.workers_up or stats.ports_free < 2:
            return False
        codecs = for_first(plan.route.codecs, None)
        return not invite.body or first.can_answer(invite.body, codecs)

    def _begin(
        self,
        event: sip.InviteReceived,
        peer: PeerConfig,
        plan: Plan,
        caller: str,
        called: str,
    ) -> None:
        call_id = new_id()
        first = _incoming(FIRST, event, peer, caller)
        call: RunningCall
        if plan.exempt and not self._can_relay(plan, first, event.request):
            call = PassthroughCall(
                self._joint,
                call_id=call_id,
                plan=plan,
                invite=event.request,
                first=first,
                finished=self._finished,
            )
        else:
            call = ActiveCall(
                self._joint,
                call_id=call_id,
                plan=plan,
                invite=event.request,
                first=first,
                caller=caller,
                called=called,
                finished=self._finished,
            )
        must = not plan.exempt and plan.route.on_recording_failure == "refuse"
        self._calls.begin(call, event.session, event.request, emergency=plan.emergency)
        intent = CallIntent(
            call_id=call_id,
            sip_call_id=event.request.call_id,
            route=plan.route.name,
            direction=plan.direction,
            begun_utc_ns=utc_ns(),
            caller=self._joint.telling.number(call_id, "caller", caller),
            called=self._joint.telling.number(call_id, "called", called),
        )
        self._joint.spawn(
            self._begin_with_intent(
                call, intent, emergency=plan.emergency, must_record=must
            ),
            name=f"begin-{call_id}",
        )

    def _record_beside(
        self, event: sip.InviteReceived, peer: PeerConfig, rules: SiprecConfig
    ) -> None:
        """Record a call that goes on elsewhere."""
        if self._refused_as_full(event, peer, rules.redirect):
            return
        joint, call_id = self._joint, new_id()
        knowledge = Knowledge(
            event.request,
            rules,
            is_officer=joint.is_officer,
            is_exempt=joint.routes.is_exempt,
            identity=joint.identity,
        )
        call = SessionCall(
            joint,
            call_id=call_id,
            rules=rules,
            knowledge=knowledge,
            invite=event.request,
            first=_incoming(FIRST, event, peer, ""),
            finished=self._finished,
        )
        parties = call.parties
        self._calls.begin(call, event.session, event.request, emergency=False)
        intent = CallIntent(
            call_id=call_id,
            sip_call_id=event.request.call_id,
            route=rules.name,
            direction=parties.direction,
            begun_utc_ns=utc_ns(),
            caller=joint.telling.number(call_id, "caller", parties.caller),
            called=joint.telling.number(call_id, "called", parties.service),
        )
        must = rules.on_recording_failure == "refuse"
        joint.spawn(
            self._begin_with_intent(call, intent, emergency=False, must_record=must),
            name=f"begin-{call_id}",
        )

    async def _begin_with_intent(
        self,
        call: RunningCall,
        intent: CallIntent,
        *,
        emergency: bool,
        must_record: bool,
    ) -> None:
        """Write the intent before the call is answered; never hold up an emergency."""
        if emergency:
            self._joint.guard(call, call.begin)
        try:
            await self._ledger.begin(intent)
        except AgentError as error:
            self._log.critical(
                "ledger_unwritable", call_id=call.call_id, reason=str(error)
            )
            if must_record:
                self._joint.guard(call, call.refuse_unrecordable)
                return
        if not emergency:
            self._joint.guard(call, call.begin)


def _incoming(
    name: str, event: sip.InviteReceived, peer: PeerConfig, number: str
) -> Leg:
    """The leg of a party that rings us."""
    leg = Leg(
        name=name,
        session=event.session,
        flow=event.flow,
        peer=peer,
        media_id=new_id(),
        number=number,
        from_user=event.request.from_.uri.user or "",
    )
    leg.learn_abilities(event.request)
    return leg
