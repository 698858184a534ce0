"""One recording session as it runs: events go to its machine, commands are carried out.

What an event means is decided in `recording_session`; what is known of the call that is
recorded, in `knowledge`. What is agreed on its streams, `streams` knows, and `capture`
what is recorded of them. Ports are bound and tapped before our 200 leaves: a client may
send as soon as it has sent its INVITE.
"""

from collections.abc import Callable, Coroutine

from agent.call import commands as do
from agent.call.hearing import Heard, Hearing
from agent.call.joint import CallStatus, Joint
from agent.call.leg import Leg
from agent.call.recording_orders import RecordingOrders
from agent.call.siprec import commands as rec
from agent.call.siprec.capture import SessionCapture
from agent.call.siprec.config import SiprecConfig
from agent.call.siprec.doubts import Doubts
from agent.call.siprec.knowledge import Knowledge
from agent.call.siprec.offers import Offers
from agent.call.siprec.reading import Reading
from agent.call.siprec.recording_session import Phase, RecordingSession
from agent.call.siprec.situation import Situation
from agent.call.siprec.state import RecordingCallState
from agent.call.siprec.streams import Stream, Streams
from agent.common.clock import monotonic_ns
from agent.common.weakly import weakly
from agent.model.call import EndCause
from agent.signalling import b2bua
from agent.signalling.sip import core as sip
from agent.signalling.sip.message import Message, Request
from agent.signalling.siprec.body import METADATA_TYPE, snapshot_request
from agent.signalling.siprec.recognition import Recognition, recognise


def is_recorded_beside(invite: Request, rules: SiprecConfig) -> bool:
    """Whether an INVITE of a peer with these rules says that it is to be recorded."""
    said = recognise(invite)
    legacy = rules.recognise == "legacy" and said is Recognition.LEGACY
    return said is Recognition.STRICT or legacy


class SessionCall:
    """One recording session, from its INVITE to its one outcome."""

    def __init__(
        self,
        joint: Joint,
        *,
        call_id: str,
        rules: SiprecConfig,
        knowledge: Knowledge,
        invite: Request,
        first: Leg,
        finished: Callable[["SessionCall", do.Close], None],
    ) -> None:
        """`first` is who sent `invite`; `knowledge` has read what came with it."""
        self._joint = joint
        self.call_id = call_id
        self.log = joint.log.bind(call_id=call_id)
        self._rules = rules
        self._invite = invite
        self._knowledge = knowledge
        self._reading = Reading(
            knowledge,
            joint.sources.budget_of(rules.from_),
            now=lambda: joint.user_agent.now,
        )
        self._finished = finished
        self._first = first
        self._told_answered = False
        self._waits_since_ns: int | None = None
        "Of CLOCK_MONOTONIC: what comes since then waits until somebody is named."
        self._situation: Situation | None = None
        if first.peer is None:
            raise ValueError("a recording session comes from a configured peer")
        self._streams = Streams(joint, rules, first.peer, call_id=call_id)
        self._session = RecordingSession(
            on_recording_failure=rules.on_recording_failure,
            on_notice_failure=rules.on_notice_failure,
            on_late_exemption=rules.on_late_exemption,
            max_segment=joint.max_segment,
            max_pause=rules.max_pause,
        )
        self._doubts = Doubts(self.log, joint.stats.sessions, peer=rules.from_)
        self.capture = SessionCapture(
            joint, knowledge, self._streams.__getitem__, call_id=call_id
        )
        self.recording = RecordingOrders(
            self._session.segments,
            joint.telling,
            self.log,
            call_id=call_id,
            now=lambda: joint.user_agent.now,
            run=weakly(self.run),
        )
        self._offers = Offers(
            joint,
            self._session,
            self._streams,
            invite=invite,
            first=first,
            rules=rules,
            log=self.log,
            situated=weakly(self._situated),
            look=weakly(self._look),
            settle=weakly(self._settle),
            spawn=weakly(self._spawn),
            register=weakly(self._register),
        )
        self._hearing: Hearing[Stream] = Hearing(
            self._streams, self.capture, self.log, lambda: joint.user_agent.now
        )

        if (said := recognise(invite)) is not Recognition.STRICT:
            knowledge.tolerate((f"recognised-{said}",))
        self._take_metadata(invite)
        self.parties = self._reading.situation(()).parties
        "As they stand in the INVITE."

    # -- for the process after this one ----------------------------------------

    @property
    def state(self) -> RecordingCallState | None:
        """All of it while it is up, for `restore`; None before and after."""
        machine = self._session.state
        if machine is None:
            return None
        return RecordingCallState(
            call_id=self.call_id,
            rules=self._rules.name,
            leg=self._first.state,
            invite=self._invite.to_bytes(),
            machine=machine,
            streams=self._streams.state,
            knowledge=self._knowledge.state,
            capture=self.capture.state,
            told_answered=self._told_answered,
            waits_since_ns=self._waits_since_ns,
            awaits_answer=self._offers.awaits_answer,
            quiet=self._hearing.quiet,
        )

    def restore(self, state: RecordingCallState) -> None:
        """Go on where the process before stood."""
        self._told_answered = state.told_answered
        self._waits_since_ns = state.waits_since_ns
        self._offers.awaits_answer = state.awaits_answer
        self._streams.restore(state.streams)
        self._knowledge.restore(state.knowledge)
        self._hearing.restore(state.quiet)
        self.capture.restore(state.capture)
        self._session.restore(state.machine)

    def caught_up(self) -> None:
        """Signalling and media are there again: see what came to an end meanwhile."""
        if self._joint.user_agent.core.invite_of(self._first.session) is None:
            self._session.left(EndCause.AGENT_DIED)
        if self.capture.series.lost:
            self.log.error("segment_lost")
            self._session.segment_lost(self._now)
        self._session.handle_timer(self._now)
        self._look()
        self.run()

    # -- life ------------------------------------------------------------------

    def begin(self) -> None:
        """The intent is durable: answer it."""
        parties = self.parties
        self.log.info(
            "call_begun",
            route=self._rules.name,
            direction=parties.direction,
            exempt=parties.exempt,
            caller=self._joint.mask(parties.caller),
            called=self._joint.mask(parties.service),
        )
        self._session.begin(can_record=self._joint.recorder.can_record())
        self.run()

    def refuse_unrecordable(self) -> None:
        """The ledger cannot take the intent, and its rules refuse it then."""
        self._session.refuse_unrecordable()
        self.run()

    def run(self) -> None:
        """Carry out what the state machine asks; after every event."""
        self._settle()
        self._streams.release()
        for media_id in self._streams.forget(self.capture.legs):
            self._joint.unregister(media_id)
        if self._joint.keeper is not None:
            self._joint.keeper.changed(self)
        self._joint.user_agent.flush()

    def get_timer(self) -> float | None:
        """The next deadline of this session."""
        return self._session.get_timer()

    def handle_timer(self, now: float) -> None:
        """Act on the deadline."""
        self._session.handle_timer(now)
        self.run()

    def stop(self) -> None:
        """Clear it: the agent is stopping."""
        self._session.stop()
        self.run()

    @property
    def transfers(self) -> None:
        """None: its parties are elsewhere."""
        return None

    @property
    def names(self) -> list[str]:
        """Ids of its SIP session and its media legs."""
        return [self._first.session, *(one.media_id for one in self._streams.all())]

    @property
    def peer_name(self) -> str:
        """The client that sent it."""
        return self._rules.from_

    @property
    def _now(self) -> float:
        return self._joint.user_agent.now

    # -- what the client says --------------------------------------------------

    def on_sip(self, event: sip.Event) -> None:
        """One event of its SIP session."""
        now = self._now
        match event:
            case sip.Acknowledged():
                self._take_metadata(event.request)
                if self._offers.awaits_answer:
                    self._offers.take_answer(event.request.body)
                self._look()
                self._session.acknowledged(now)
            case sip.OfferReceived():
                self._take_metadata(event.request)
                if self._reading.forbids(self._streams.views):
                    # Not only once the offer has its ports and its answer.
                    self._look()
                self._offers.offered(event.body)
            case sip.RefreshAnswered():
                self._take_metadata(event.response)
                if event.response.body:
                    self._offers.take_answer(event.response.body)
                self._look()
            case sip.TargetRefreshed():
                self._take_metadata(event.request)
                self._look()
            case sip.Cancelled():
                self._session.left(EndCause.CALLER_HANGUP)
            case sip.Ended():
                if event.request is not None:
                    self._take_metadata(event.request)
                if self._session.phase is not Phase.OFFERED and self._exempt_before:
                    self._look()
                hung_up = event.reason in {sip.EndReason.BYE, sip.EndReason.LOCAL}
                self._session.left(
                    EndCause.SESSION_ENDED if hung_up else EndCause.SIGNALLING_TIMEOUT
                )
            case sip.ReferReceived():
                core = self._joint.user_agent.core
                core.refuse_refer(event.session, event.key, now, status=603)
            case sip.InformAnswered() if event.status >= 300:
                self.log.warning("snapshot_refused", status=event.status)
            case _:
                pass
        self.run()

    def _take_metadata(self, message: Message) -> None:
        """Take what a message tells of the call; evidence even if it is wrong."""
        if (document := self._reading.take(message)) is not None:
            self.capture.document(document)
            self._doubts.flawed(document.flaws)

    @property
    def _exempt_before(self) -> bool:
        """Whether what is said, or was, may never be recorded."""
        return self._knowledge.situation(self._streams.views).exempt_before

    def _look(self, *, codecs_changed: bool = False) -> None:
        """See what is to be recorded by now."""
        if codecs_changed:
            self.capture.codecs_changed()
        situation = self._situated()
        self._session.update(situation, self._now)

    def _situated(self) -> Situation:
        views = self._streams.views
        self._knowledge.tolerate(self._streams.negotiation.flaws)
        situation = self._situation = self._reading.situation(views)
        names = {one.name for one in views}
        silent = situation.inactive(names) | situation.on_hold(names)
        for one in views:
            self._streams[one.name].gone = one.name in silent
        return situation

    def _tell_answered(self) -> None:
        situation = self._situation
        if situation is None or situation.awaits_officer:
            return
        talk = situation.going_on and bool(situation.streams)
        if talk and not self._told_answered:
            self._told_answered = True
            officer = next(iter(situation.parties.officers), "")
            self._joint.telling.answered(self.call_id, officer)

    # -- what the media workers say --------------------------------------------

    def on_heard(self, event: Heard) -> None:
        """Whether, and how, a stream is heard."""
        if self._hearing.take(event):
            self._session.media_timeout()
            self.run()

    def on_recording_failed(self, reason: str, *, kept: bool) -> None:
        """The recorder cannot go on; the rules decide."""
        self._session.recording_failed(reason, kept=kept)
        self.run()

    # -- how it stands ---------------------------------------------------------

    @property
    def status(self) -> CallStatus:
        """How it stands with it."""
        segments = self._session.segments
        span, now = segments.pause.span, self._now
        parties = None if self._situation is None else self._situation.parties
        return CallStatus(
            call_id=self.call_id,
            route=self._rules.name,
            direction="undecided" if parties is None else parties.direction,
            state=self._session.phase.name.lower(),
            recording=segments.recording,
            exempt=parties is not None and parties.exempt,
            paused_for=None if span is None else now - span[0],
            resumes_in=None if span is None else span[1] - now,
            recorded_for=self.capture.series.recorded_seconds,
            legs=self._streams.statuses(),
        )

    # -- commands --------------------------------------------------------------

    def _settle(self) -> None:
        self.capture.series.part()
        waits = self._session.awaits_metadata
        if not waits:
            self._tell_answered()
        while (command := self._session.next_command()) is not None:
            self._carry_out(command)
        if not waits:
            self._waits_since_ns = None
            # What is not recorded is not to be heard later either.
            self._streams.listen()
        elif self._waits_since_ns is None:
            self._waits_since_ns = self._offers.offered_ns or monotonic_ns()

    def _carry_out(self, command: rec.Command) -> None:
        match command:
            case rec.Answer():
                self._spawn(self._offers.answer(), "answer")
            case do.Refuse():
                self._offers.refuse(command)
            case rec.OpenSegment():
                since_ns = self._waits_since_ns or self._offers.offered_ns
                self.capture.open(command, since_ns=since_ns)
                parties = command.situation.parties
                self._doubts.recorded(parties, self._knowledge.notice)
            case rec.AddStream():
                self.capture.add(command)
            case rec.Silence():
                self.capture.silence(command)
            case do.CloseRecording():
                self.capture.close(command.cause, discard=command.discard)
            case do.CountMissing():
                self.capture.series.count_missing(on=command.on)
            case do.PauseRecording():
                self.capture.pause(command)
                self.recording.tell(command)
            case do.ResumeRecording():
                self.capture.resume(command)
                self.recording.tell(command)
            case do.Alarm():
                self.log.error("going_on_unrecorded", reason=command.reason)
            case rec.Withhold():
                self._doubts.withheld(command.reason)
            case rec.Wait():
                self.capture.series.broken()
                self._doubts.waits()
            case rec.AskSnapshot():
                self._ask_snapshot()
            case rec.HangUp():
                reason = b2bua.reason_header(command.q850)
                agent = self._joint.user_agent
                agent.core.hang_up(self._first.session, agent.now, headers=(reason,))
            case do.Close():
                self._streams.close()
                self._finished(self, command)

    def _ask_snapshot(self) -> None:
        self.log.info("snapshot_requested")
        self._joint.user_agent.core.inform(
            self._first.session,
            self._now,
            body=snapshot_request("metadata incomplete"),
            content_type=METADATA_TYPE,
            headers=(("Content-Disposition", "recording-session"),),
        )

    def _register(self, media_id: str) -> None:
        self._joint.register(media_id, self)

    def _spawn(self, work: Coroutine[object, object, None], name: str) -> None:
        """Do what takes its time, and then what the state machine makes of it."""

        async def then_run() -> None:
            await work
            self.run()

        self._joint.spawn(then_run(), name=f"{name}-{self.call_id}")
