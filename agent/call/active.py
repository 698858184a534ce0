"""One call as it runs: the state machine's commands carried out, events fed to it.

What an event means is decided in `session`; what is agreed on a leg, in `legs`; what
is sent to a target, in `invitation`; what is recorded, in `capture`; what a header
says, in `signalling.b2bua`.
"""

from collections.abc import Callable, Coroutine, Sequence

from agent.call import commands as do
from agent.call.answering import Answering
from agent.call.capture import Capture
from agent.call.hearing import Heard, Hearing
from agent.call.identities import Identities
from agent.call.invitation import Inviter
from agent.call.joint import CallStatus, Joint
from agent.call.leg import Leg
from agent.call.leg_names import FIRST
from agent.call.legs import Legs
from agent.call.playing import Playing
from agent.call.routing import Plan
from agent.call.session import CallSession
from agent.call.state import CallState
from agent.call.transfers import Transfers
from agent.common.errors import AgentError
from agent.common.weakly import weakly
from agent.identity.tags import officer_number
from agent.media.pool import PlayEnded
from agent.model.call import CallDirection, EndCause
from agent.signalling import b2bua
from agent.signalling.offer_answer import NotAcceptableError
from agent.signalling.sip import core as sip
from agent.signalling.sip.authorization import CHALLENGING
from agent.signalling.sip.message import Request, Response
from agent.signalling.sip.uri import parse_uri


class ActiveCall:
    """One call, from its INVITE to its one outcome."""

    def __init__(
        self,
        joint: Joint,
        *,
        call_id: str,
        plan: Plan,
        invite: Request,
        first: Leg,
        caller: str,
        called: str,
        finished: Callable[["ActiveCall", do.Close], None],
    ) -> None:
        self._joint = joint
        self.call_id = call_id
        self._plan = plan
        self._invite = invite
        self._caller = caller
        self._called = called
        self._finished = finished
        self._session = CallSession(
            plan,
            can_record=plan.exempt or joint.recorder.can_record(),
            max_segment=joint.max_segment,
        )
        self._legs = Legs(
            joint,
            call_id=call_id,
            plan=plan,
            invite=invite,
            first=first,
            on_agreed=weakly(self._agreed),
            on_apart=weakly(self._apart),
        )
        open_media = weakly(self._open_media)
        self._inviter = Inviter(joint, self._legs, invite, open_media)
        self._identities = Identities(joint, call_id=call_id, plan=plan)
        self._playing = Playing(joint, self._legs)
        self._transfers = Transfers(joint, self, self._session, self._legs, open_media)
        self._answering = Answering(
            joint,
            self._session,
            self._legs,
            invite,
            call_id=call_id,
            open_media=open_media,
        )
        self.capture = Capture(joint, call_id=call_id, plan=plan, called=called)
        self.log = joint.log.bind(call_id=call_id)
        self._hearing = Hearing(
            self._legs, self.capture, self.log, lambda: joint.user_agent.now
        )

    # -- for the process after this one -------------------------------------------

    @property
    def state(self) -> CallState | None:
        """All of it once two talk, for `restore`; None before and after."""
        session = self._session.state
        if session is None:
            return None
        legs, pair = self._legs.state
        referral, newcomers = self._transfers.state
        return CallState(
            call_id=self.call_id,
            route=self._plan.route.name,
            direction=self._plan.direction,
            exempt=self._plan.exempt,
            emergency=self._plan.emergency,
            caller=self._caller,
            called=self._called,
            invite=self._invite.to_bytes(),
            legs=legs,
            pair=pair,
            session=session,
            capture=self.capture.state,
            playing=self._playing.state,
            referral=referral,
            newcomers=newcomers,
            quiet=self._hearing.quiet,
        )

    def restore(self, state: CallState, legs: Sequence[Leg]) -> None:
        """Go on where the process before stood; `legs` are those of `state`."""
        self._legs.restore(legs, state.pair)
        self._session.restore(state.session)
        self._playing.restore(state.playing)
        self._transfers.restore(state.referral, state.newcomers)
        self._hearing.restore(state.quiet)
        self.capture.restore(state.capture, self._legs)

    def caught_up(self) -> None:
        """Signalling and media are there again: see what came to an end meanwhile."""
        now, core = self._now, self._joint.user_agent.core
        talk = self._session.conversation
        if talk is None:
            return
        reached = self._legs.reached(core)
        for name in sorted(reached.difference(talk.talkers, self._session.ringing)):
            # It was about to come in, and nobody does that any more.
            self._perform(do.HangUp(leg=name, q850=_TEMPORARY))
        for name in sorted(self._session.ringing - reached):
            self._session.target_refused(name, _UNREACHABLE, now)
        for name in talk.talkers:
            if name not in reached:
                self._session.left(name, now, cause=EndCause.AGENT_DIED)
        if self.capture.lost:
            self.log.error("segment_lost")
            talk.segment_lost(now)
        self._session.handle_timer(now)
        self.run()

    # -- life ---------------------------------------------------------------------

    def begin(self) -> None:
        """The intent is durable: go on with the plan."""
        self.log.info(
            "call_begun",
            route=self._plan.route.name,
            direction=self._plan.direction,
            exempt=self._plan.exempt,
            caller=self._joint.mask(self._caller),
            called=self._joint.mask(self._called),
        )
        names = tuple(
            self._joint.notices[path].name
            for path in self._plan.route.notice
            if path in self._joint.notices
        )
        if len(names) < len(self._plan.route.notice):
            names = ()  # one notice of several is missing: none counts as played
        self._session.begin(names, self._now)
        self.run()

    def refuse_unrecordable(self) -> None:
        """The ledger cannot take the intent, and the route refuses such calls."""
        self._session.refuse_unrecordable()
        self.run()

    def run(self) -> None:
        """Carry out what the state machine asks; after every event."""
        while (command := self._session.next_command()) is not None:
            self._perform(command)
        self._tell_recording()
        if self._joint.keeper is not None:
            self._joint.keeper.changed(self)
        # The worker first: a peer may send as soon as it hears of us.
        self._joint.media.flush()
        self._joint.user_agent.flush()

    def _tell_recording(self) -> None:
        conversation = self._session.conversation
        talkers = () if conversation is None else conversation.talkers
        self._legs.tell_recording(self._session.recording, talkers)

    def get_timer(self) -> float | None:
        """The next deadline of this call."""
        return self._session.get_timer()

    def handle_timer(self, now: float) -> None:
        """Act on the deadline."""
        self._session.handle_timer(now)
        self.run()

    def stop(self) -> None:
        """Clear the call: the agent is stopping."""
        self._session.stop(self._now)
        self.run()

    @property
    def transfers(self) -> Transfers:
        """What hands its parties on."""
        return self._transfers

    @property
    def names(self) -> list[str]:
        """Ids of the SIP sessions and media legs whose events belong to this call."""
        legs = self._legs.all()
        return [n for leg in legs for n in (leg.session, leg.media_id) if n]

    @property
    def peer_name(self) -> str:
        """The peer that sent the call."""
        peer = self._legs.first.peer
        return peer.name if peer is not None else ""

    @property
    def _now(self) -> float:
        return self._joint.user_agent.now

    @property
    def _partner(self) -> Leg | None:
        return self._legs.get(self._session.partner)

    def _other(self, leg: Leg) -> Leg | None:
        """Whom a leg talks with, if it does."""
        talk = self._session.conversation
        return None if talk is None else self._legs.get(talk.other(leg.name))

    def facing(self, former: Leg | None = None) -> Leg:
        """Whom a new leg will talk with: one that is rung, or in place of `former`."""
        talk = self._session.conversation
        if talk is None:
            return self._legs.first
        if former is None or talk.rings(former.name):
            return self._legs[talk.waiting]
        return self._legs[talk.other(former.name)]

    # -- what the user agent says -------------------------------------------------

    def on_sip(self, event: sip.Event) -> None:
        """One event of one of this call's SIP sessions."""
        leg = self._legs.of_session(event.session)
        if leg is None:
            return
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
                    self.log.error("credentials_refused", leg=leg.name)
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
        self.run()

    def _refused(self, leg: Leg, event: sip.Refused) -> None:
        if event.response is not None and 300 <= event.status < 400:
            asked = b2bua.redirections(event.response)
            targets = self._joint.routes.reachable(
                asked, self._plan, leg.peer, is_officer=self._joint.is_officer
            )
            self.log.info(
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
            self.log.warning("answer_unusable", leg=leg.name, reason=str(error))
            self._perform(do.HangUp(leg=leg.name, q850=_INCOMPATIBLE))
            self._session.target_refused(leg.name, 488, self._now)
            return
        if self._session.conversation is not None:
            self.log.info("transfer_answered", leg=leg.name)
        else:
            inbound = self._plan.direction is CallDirection.INBOUND
            self.log.info("officer_answered" if inbound else "customer_answered")
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

    def _apart(self) -> None:
        """No codec is common to the two who talk, and both were asked for one."""
        self.log.error("codecs_apart")
        self._session.stop(self._now)

    def _agreed(self, leg: Leg, codecs_changed: bool) -> None:  # noqa: FBT001 - a callback
        self.capture.agreed(codecs_changed=codecs_changed)

    # -- what the media workers say -----------------------------------------------

    def on_play_ended(self, event: PlayEnded) -> None:
        """A sound has been sent, or broken off."""
        failed, proof = self._playing.ended(event)
        if failed:
            self._session.notice_failed(self._now)
        elif proof is not None:
            self.log.info("notice_played", notice=proof.language, sent_ms=proof.sent_ms)
            self._session.notice_played(proof, self._now)
        self.run()

    def on_heard(self, event: Heard) -> None:
        """Whether, and how, a leg is heard."""
        if self._hearing.take(event):
            self._session.media_timeout(self._now)
            self.run()

    def on_keys_spent(self, media_id: str) -> None:
        """A leg's SRTP key may not be used on; its peer must be told another."""
        self._legs.renew_key(media_id)
        self.run()

    def on_recording_failed(self, reason: str, *, kept: bool) -> None:
        """The recorder cannot go on; the route's policy decides."""
        self._session.recording_failed(reason, self._now, kept=kept)
        self.run()

    # -- what operators say -------------------------------------------------------

    def pause(self, *, by: str, reason: str, seconds: float | None) -> None:
        """Record nothing for a while; again: for longer. Raises PauseError."""
        self._session.pause(by=by, reason=reason, seconds=seconds, now=self._now)
        self.run()

    def resume(self, *, by: str, reason: str) -> None:
        """Record again. Raises PauseError."""
        self._session.resume(by=by, reason=reason)
        self.run()

    @property
    def status(self) -> CallStatus:
        """How it stands with the call."""
        conversation = self._session.conversation
        state = self._session.phase if conversation is None else conversation.state
        span, now = self._session.pause_span, self._now
        return CallStatus(
            call_id=self.call_id,
            route=self._plan.route.name,
            direction=self._plan.direction,
            state=state.name.lower(),
            recording=self._session.recording,
            exempt=self._plan.exempt,
            paused_for=None if span is None else now - span[0],
            resumes_in=None if span is None else span[1] - now,
        )

    # -- commands -----------------------------------------------------------------

    def _perform(self, command: do.Command) -> None:
        match command:
            case do.Refuse():
                self._answering.refuse(command)
            case do.Ring():
                self._answering.ring(command)
            case do.OpenEarly():
                self._spawn(self._answering.open_early(), "early")
            case do.Answer():
                self._spawn(self._answering.answer(self._partner), "answer")
            case do.Invite():
                self._spawn(self._ring_target(command, self.facing()), "invite")
            case do.HangUp():
                self._hang_up(command)
            case do.Play():
                if command.loop:
                    for name in command.legs:
                        self._legs.let_hear(self._legs[name])
                self._playing.play(command)
            case do.Bridge():
                a, b = self._legs[command.a], self._legs[command.b]
                self._joint.media.bridge(a.media_id, b.media_id)
                self._legs.joined(a, b)
            case do.Notify():
                self._transfers.notify(self._legs[command.leg], command.status)
            case do.OpenRecording():
                self.capture.open(
                    command, self._legs[command.customer], self._legs[command.officer]
                )
            case do.CloseRecording():
                self.capture.close(command.cause)
            case do.PauseRecording():
                self.capture.pause(command)
            case do.ResumeRecording():
                self.capture.resume(command)
            case do.Alarm():
                self.log.error("going_on_unrecorded", reason=command.reason)
            case do.Close():
                for leg in self._legs.all():
                    self._legs.close_media(leg)
                self._finished(self, command)

    def _spawn(self, work: Coroutine[object, object, None], name: str) -> None:
        """Do what takes its time, and then what the state machine makes of it."""

        async def then_run() -> None:
            await work
            self.run()

        self._joint.spawn(then_run(), name=f"{name}-{self.call_id}")

    async def _open_media(self, leg: Leg) -> None:
        await self._legs.open_media(leg)
        self._joint.register(leg.media_id, self)

    async def _ring_target(self, command: do.Invite, facing: Leg) -> None:
        try:
            leg = await self._inviter.invite(
                command.leg,
                command.target,
                number=self._number(command.target),
                facing=facing,
                wanted=lambda: self._session.rings(command.leg),
            )
        except (AgentError, ValueError) as error:
            self.log.warning("target_unreachable", leg=command.leg, reason=str(error))
            self._session.target_refused(command.leg, _UNREACHABLE, self._now)
        else:
            self._joint.register(leg.session, self)

    def _number(self, target: str) -> str:
        """The number of who is rung: as dialled where that leads to a target."""
        outbound = self._plan.direction is CallDirection.OUTBOUND
        if outbound and self._session.conversation is None:
            return self._called
        return officer_number(parse_uri(target))

    def _hang_up(self, command: do.HangUp) -> None:
        leg = self._legs.get(command.leg)
        if leg is None:
            return
        if not leg.gone and leg.session:
            self._joint.user_agent.core.hang_up(
                leg.session, self._now, headers=(b2bua.reason_header(command.q850),)
            )
        leg.gone = True
        self._legs.close_media(leg)


_INCOMPATIBLE = 88
"Q.850: incompatible destination."
_TEMPORARY = 41
"Q.850: temporary failure."
_UNREACHABLE = 502
"For a caller it is one like any other network that fails."
