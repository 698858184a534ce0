"""A call that needs nothing of us but signalling: exempt, with no media worker up.

The session descriptions pass unchanged, so the parties' audio goes from one to the
other directly. It is how an emergency call gets through when all else is broken. Keys
that came over TLS go on over TLS, or stay behind where the call can do without.
"""

from collections.abc import Callable, Sequence
from typing import Final

from agent.call import commands as do
from agent.call.joint import CallStatus, Joint
from agent.call.leg import Leg
from agent.call.routing import Plan
from agent.call.state import DirectCallState
from agent.common.errors import AgentError
from agent.common.ids import new_id
from agent.model.call import CallDirection, EndCause, Outcome
from agent.model.recording import RecordState
from agent.signalling import b2bua
from agent.signalling.key_lines import has_keys, without_keys
from agent.signalling.sip import core as sip
from agent.signalling.sip.contact import asks_for_sips, contact_of
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.message import Request
from agent.signalling.sip.uri import NameAddr, Uri, parse_uri

_UNREACHED: Final = frozenset({408, 503})
"Refusals after which a target may be reached another way."


class PassthroughCall:
    """Two SIP sessions joined end to end, descriptions untouched but for keys."""

    def __init__(
        self,
        joint: Joint,
        *,
        call_id: str,
        plan: Plan,
        invite: Request,
        first: Leg,
        finished: Callable[["PassthroughCall", do.Close], None],
    ) -> None:
        self._joint = joint
        self._plan = plan
        self._invite = invite
        self._first = first
        self._second: Leg | None = None
        self._sessions = [first.session]
        self._targets = list(plan.targets)
        self._ways: list[tuple[Uri, Sequence[Flow]]] = []
        "To the present target, each for an INVITE of its own."
        self._finished = finished
        self._answered = False
        self._awaits_answer = False
        self._early = b""
        "The last description that came before the target's answer."
        self._said: dict[str, bytes] = {}
        "The last description that each leg's peer gave of itself."
        self._over = False
        self._deadline: float | None = None
        self.call_id = call_id
        self.log = joint.log.bind(call_id=call_id)

    @property
    def state(self) -> DirectCallState | None:
        """All of it once two talk, for `restore`; None before and after."""
        if not self._answered or self._over or self._second is None:
            return None
        return DirectCallState(
            call_id=self.call_id,
            route=self._plan.route.name,
            direction=self._plan.direction,
            emergency=self._plan.emergency,
            invite=self._invite.to_bytes(),
            first=self._first.state,
            second=self._second.state,
            awaits_answer=self._awaits_answer,
        )

    def restore(self, state: DirectCallState, second: Leg) -> None:
        """Go on where the process before stood."""
        self._second = second
        self._sessions.append(second.session)
        self._answered = True
        self._awaits_answer = state.awaits_answer

    def caught_up(self) -> None:
        """Signalling is there again: see what came to an end meanwhile."""
        core = self._joint.user_agent.core
        legs = [leg for leg in (self._first, self._second) if leg is not None]
        if any(core.invite_of(leg.session) is None for leg in legs):
            self.stop()

    def begin(self) -> None:
        """Ring the first target."""
        self.log.warning("call_begun", exempt=True, media="direct")
        self._joint.spawn(self._ring_next(480), name=f"direct-{self.call_id}")

    async def _ring_next(self, last_status: int) -> None:
        joint = self._joint
        while (self._ways or self._targets) and not self._over:
            if not self._ways:
                uri = parse_uri(self._targets.pop(0))
                try:
                    flows = await joint.user_agent.flows_to(uri)
                except AgentError as error:
                    self.log.warning("target_unreachable", reason=str(error))
                    continue
                if self._is_over():
                    return
                self._ways = [(uri, way) for way in self._fit_for_keys(flows)]
            self._ring(*self._ways.pop(0))
            return
        if not self._over:
            joint.user_agent.core.refuse(
                self._first.session, joint.user_agent.now, status=last_status
            )
            self._end(EndCause.ERROR, last_status)
            joint.user_agent.flush()

    def _fit_for_keys(self, flows: Sequence[Flow]) -> list[Sequence[Flow]]:
        """`flows` by what one INVITE may say on them: first those its keys may take."""
        if self._first.flow.transport != "tls" or not has_keys(self._invite.body):
            return [flows]
        secure = [flow for flow in flows if flow.transport == "tls"]
        clear = [flow for flow in flows if flow.transport != "tls"]
        return [way for way in (secure, clear) if way]

    def _ring(self, uri: Uri, way: Sequence[Flow]) -> None:
        joint, first = self._joint, self._first
        flow, *others = way
        peer = joint.routes.peer_of(flow)
        leg = Leg(name="b", session="", flow=flow, peer=peer, media_id=new_id())
        leg.session = joint.user_agent.core.invite(
            uri=uri,
            flow=flow,
            from_=NameAddr(None, self._invite.from_.uri, ()),
            to=NameAddr(None, uri, ()),
            contact=contact_of(flow, secure=uri.scheme == "sips"),
            body=self._passed(self._invite.body, first, leg, offer=True),
            headers=b2bua.pass_headers(
                self._invite, from_trusted=first.trusted, to_trusted=leg.trusted
            ),
            max_forwards=b2bua.next_max_forwards(self._invite),
            # An offer of the target must wait for its 2xx: the caller's answer
            # comes in the ACK.
            reliable=bool(self._invite.body),
            alternatives=others,
            now=joint.user_agent.now,
        )
        self._early = b""
        self._second = leg
        self._sessions.append(leg.session)
        joint.register(leg.session, self)
        # An emergency call waits for its target as long as the caller does.
        if not self._plan.emergency:
            self._deadline = joint.user_agent.now + self._plan.route.ring_timeout
        joint.user_agent.flush()

    def _passed(self, body: bytes, source: Leg, to: Leg, *, offer: bool) -> bytes:
        """What becomes of a description on its way from one leg to the other.

        Keys that only the two ends of a TLS connection knew are not told to everyone,
        unless the call would fail without: then it goes on, and that is said.
        """
        self._said[source.name] = body or self._said.get(source.name, b"")
        if (
            source.flow.transport != "tls"
            or to.flow.transport == "tls"
            or not has_keys(body)
        ):
            return body
        bare = without_keys(body) if offer else None
        if bare is None:
            self.log.warning("keys_in_the_clear", towards=to.name)
            return body
        self.log.warning("keys_left_out", towards=to.name)
        return bare

    def _is_over(self) -> bool:
        """Whether the caller left while we waited."""
        return self._over

    def on_sip(self, event: sip.Event) -> None:
        """One event of either session, passed to the other."""
        core, now = self._joint.user_agent.core, self._joint.user_agent.now
        first, second = self._first, self._second
        from_first = event.session == first.session
        if second is None or event.session not in {first.session, second.session}:
            if from_first and isinstance(event, sip.Cancelled | sip.Ended):
                self._end(EndCause.CALLER_HANGUP, None)
            return
        this, other = (first, second) if from_first else (second, first)
        late = not self._invite.body
        match event:
            case sip.Progressed():
                body = self._passed(event.response.body, second, first, offer=late)
                self._early = body or self._early
                core.ring(first.session, now, status=event.response.status, body=body)
            case sip.Accepted():
                self._answered = True
                officer = first if self._plan.direction == "outbound" else second
                self._joint.telling.answered(self.call_id, officer.number)
                self._awaits_answer = late
                self._deadline = None
                body = self._passed(event.response.body, second, first, offer=late)
                core.accept(
                    first.session,
                    now,
                    contact=contact_of(first.flow, secure=asks_for_sips(self._invite)),
                    # A target whose provisional response was acknowledged need
                    # not say again what stood in it.
                    body=body or self._early,
                )
            case sip.Acknowledged() if self._awaits_answer:
                # The target made the offer, and this is the caller's answer.
                self._awaits_answer = False
                body = self._passed(event.request.body, first, second, offer=False)
                core.acknowledge(second.session, now, body=body)
            case sip.Refused():
                status, _ = b2bua.map_failure(event.status)
                self._second = None
                self._deadline = None
                if event.status not in _UNREACHED:
                    self._ways.clear()
                self._joint.spawn(
                    self._ring_next(status), name=f"direct-{self.call_id}"
                )
            case sip.OfferReceived():
                if event.body is None:
                    core.refuse_offer(event.session, now, status=488)
                else:
                    body = self._passed(event.body, this, other, offer=True)
                    core.reoffer(other.session, now, body=body)
            case sip.OfferAnswered():
                body = self._passed(event.response.body, this, other, offer=False)
                core.accept_offer(other.session, now, body=body)
            case sip.RefreshAnswered():
                # What was offered is the other's; what it is answered with may be new.
                body = event.response.body
                if body and body != self._said.get(this.name):
                    body = self._passed(body, this, other, offer=True)
                    core.reoffer(other.session, now, body=body)
            case sip.OfferRefused():
                core.refuse_offer(other.session, now, status=event.status)
            case sip.Cancelled() | sip.Ended():
                core.hang_up(other.session, now, headers=())
                self._end(self._cause_of(event, from_first=from_first), None)
            case _:
                pass
        if self._joint.keeper is not None:
            self._joint.keeper.changed(self)
        self._joint.user_agent.flush()

    def _cause_of(self, event: sip.Event, *, from_first: bool) -> EndCause:
        if isinstance(event, sip.Ended) and event.reason != "bye":
            return EndCause.SIGNALLING_TIMEOUT
        if from_first:
            return EndCause.CALLER_HANGUP
        outbound = self._plan.direction is CallDirection.OUTBOUND
        return EndCause.CUSTOMER_HANGUP if outbound else EndCause.OFFICER_HANGUP

    def get_timer(self) -> float | None:
        """When the target has rung long enough."""
        return self._deadline

    def handle_timer(self, now: float) -> None:
        """Try the next target."""
        if self._deadline is not None and now >= self._deadline:
            self._deadline = None
            self._ways.clear()
            if self._second is not None:
                self._joint.user_agent.core.hang_up(self._second.session, now)
                self._second = None
            self._joint.spawn(self._ring_next(480), name=f"direct-{self.call_id}")

    def refuse_unrecordable(self) -> None:
        """Exempt calls are never refused for want of a recording."""
        self.begin()

    def stop(self) -> None:
        """Clear both sessions."""
        core, now = self._joint.user_agent.core, self._joint.user_agent.now
        for leg in (self._first, self._second):
            if leg is not None and leg.session:
                core.hang_up(leg.session, now, headers=())
        self._end(EndCause.AGENT_STOPPED, None)
        self._joint.user_agent.flush()

    def _end(self, cause: EndCause, status: int | None) -> None:
        if not self._over:
            self._over = True
            self._deadline = None
            self._finished(
                self,
                do.Close(outcome=Outcome.EXEMPT, cause=cause, sip_status=status),
            )

    @property
    def recording(self) -> None:
        """None: nothing that is said comes by here."""
        return None

    @property
    def transfers(self) -> None:
        """None: its parties' media goes past us."""
        return None

    @property
    def status(self) -> CallStatus:
        """How it stands with it."""
        return CallStatus(
            call_id=self.call_id,
            route=self._plan.route.name,
            direction=self._plan.direction,
            state="direct",
            recording=RecordState.OFF,
            exempt=True,
            paused_for=None,
            resumes_in=None,
        )

    @property
    def names(self) -> list[str]:
        """Its sessions, also those with targets that did not answer."""
        return self._sessions

    @property
    def peer_name(self) -> str:
        """The peer that sent the call."""
        return self._first.peer.name if self._first.peer is not None else ""
