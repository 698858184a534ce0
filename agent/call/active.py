"""One call as it runs: events are fed to its state machine, commands are carried out.

What an event means is decided in `session`, to which those of SIP come by `sip_events`;
its commands are carried out in `performing`. What is agreed on a leg, `legs` knows;
what is sent to a target, `invitation`; what is recorded, `capture`.
"""

from collections.abc import Callable, Sequence

from agent.call import commands as do
from agent.call.answering import Answering
from agent.call.capture import Capture
from agent.call.hearing import Heard, Hearing
from agent.call.invitation import UNREACHABLE, Inviter
from agent.call.joint import CallStatus, Joint
from agent.call.leg import Leg
from agent.call.leg_status import leg_status
from agent.call.legs import Legs
from agent.call.performing import Performing
from agent.call.playing import Playing
from agent.call.recording_orders import RecordingOrders
from agent.call.release_causes import TEMPORARY_FAILURE
from agent.call.routing import Plan
from agent.call.session import CallSession
from agent.call.sip_events import SipEvents
from agent.call.state import CallState
from agent.call.transfers import Transfers
from agent.common.weakly import weakly
from agent.media.events import PlayEnded
from agent.model.call import EndCause
from agent.signalling.sip import core as sip
from agent.signalling.sip.message import Request


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
        self.log = joint.log.bind(call_id=call_id)
        self._plan = plan
        self._invite = invite
        self._caller = caller
        self._called = called
        self._answered = False
        "Whether it was told that an officer talks with somebody."
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
        self.recording = RecordingOrders(
            self._session.segments,
            joint.telling,
            self.log,
            call_id=call_id,
            now=lambda: joint.user_agent.now,
            run=weakly(self.run),
        )
        inviter = Inviter(
            joint,
            self._session,
            self._legs,
            invite,
            plan=plan,
            called=called,
            log=self.log,
            open_media=open_media,
        )
        self._performing = Performing(
            joint,
            self,
            self._session,
            self._legs,
            inviter=inviter,
            answering=self._answering,
            playing=self._playing,
            transfers=self._transfers,
            capture=self.capture,
            recording=self.recording,
            finished=finished,
        )
        self._sip_events = SipEvents(
            joint,
            self._session,
            self._legs,
            call_id=call_id,
            plan=plan,
            log=self.log,
            answering=self._answering,
            transfers=self._transfers,
            hang_up=self._performing.hang_up,
        )
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
            self._performing.perform(do.HangUp(leg=name, q850=TEMPORARY_FAILURE))
        for name in sorted(self._session.ringing - reached):
            if (leg := self._legs.get(name)) is not None and leg.session:
                self._session.target_refused(name, UNREACHABLE, now)
            else:
                self._session.target_unsent(name)
        for name in talk.talkers:
            if name not in reached:
                self._session.left(name, now, cause=EndCause.AGENT_DIED)
        if self.capture.series.lost:
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
            self._joint.stats.notices_failed += 1
        self._session.begin(names, self._now)
        self.run()

    def refuse_unrecordable(self) -> None:
        """The ledger cannot take the intent, and the route refuses such calls."""
        self._session.refuse_unrecordable()
        self.run()

    def run(self) -> None:
        """Carry out what the state machine asks; after every event."""
        self.capture.series.part()
        while (command := self._session.next_command()) is not None:
            self._performing.perform(command)
        self._tell_recording()
        self._tell_answered()
        if self._joint.keeper is not None:
            self._joint.keeper.changed(self)
        self._joint.user_agent.flush()

    def _tell_recording(self) -> None:
        conversation = self._session.conversation
        talkers = () if conversation is None else conversation.talkers
        self._legs.tell_recording(self._session.segments.recording, talkers)

    def _tell_answered(self) -> None:
        talk = self._session.conversation
        if self._answered or talk is None:
            return
        officer = next((one for one in talk.talkers if talk.is_officer(one)), None)
        if officer is not None:
            self._answered = True
            self._joint.telling.answered(self.call_id, self._legs[officer].number)

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
        if leg is not None:
            self._sip_events.take(leg, event)
            self.run()

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
            self._joint.telling.notice_played(self.call_id, proof)
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

    # -- how it stands ------------------------------------------------------------

    @property
    def status(self) -> CallStatus:
        """How it stands with the call."""
        conversation = self._session.conversation
        state = self._session.phase if conversation is None else conversation.state
        segments = self._session.segments
        span, now = segments.pause.span, self._now
        figures = self._joint.media.figures
        return CallStatus(
            call_id=self.call_id,
            route=self._plan.route.name,
            direction=self._plan.direction,
            state=state.name.lower(),
            recording=segments.recording,
            exempt=self._plan.exempt,
            paused_for=None if span is None else now - span[0],
            resumes_in=None if span is None else span[1] - now,
            recorded_for=self.capture.series.recorded_seconds,
            legs=tuple(
                leg_status(leg, figures.of(leg.media_id))
                for leg in self._legs.all()
                if leg.media_open
            ),
        )

    async def _open_media(self, leg: Leg) -> None:
        await self._legs.open_media(leg)
        self._joint.register(leg.media_id, self)
