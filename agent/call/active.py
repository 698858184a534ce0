"""One call as it runs: the state machine's commands carried out, events fed to it.

It joins one CallSession with the user agent, the media pool and the recorder; what an
event means is decided in `session`, what a header says in `signalling.b2bua`.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from agent.call import commands as do
from agent.call.leg import Leg
from agent.call.recorder import OpenSegment, Recorder, new_group
from agent.call.routing import Plan, RouteTable
from agent.call.session import FIRST, CallSession, Phase
from agent.common.clock import monotonic_ns, utc_ns
from agent.common.errors import AgentError
from agent.common.ids import new_id
from agent.formats.age import AgeError, Recipient, parse_recipient
from agent.identity.directory import Directory
from agent.identity.numbers import IdentityConfig
from agent.identity.tags import officer_number
from agent.media.pool import MediaPool, PlayEnded
from agent.media.sounds import Sound
from agent.model.call import CallDirection, EndCause, Outcome
from agent.model.media import CODECS, Address, Codec, NegotiatedAudio
from agent.model.recording import NoticeEvidence, Officer, SegmentBegin
from agent.signalling import b2bua
from agent.signalling.offer_answer import NotAcceptableError
from agent.signalling.sip import core as sip
from agent.signalling.sip.message import Request
from agent.signalling.sip.uri import NameAddr, Uri, parse_uri
from agent.signalling.transport import TransportError
from agent.signalling.useragent import UserAgent

AGENT_STRING: Final = "recording-agent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Joint:
    """What every call uses of the rest of the agent."""

    user_agent: UserAgent
    media: MediaPool
    recorder: Recorder
    routes: RouteTable
    directory: Callable[[], Directory]
    notices: dict[str, Sound]
    "Configured notice path to the sound the workers know."
    identity: IdentityConfig
    mask: Callable[[str], str]
    host: str
    software: str
    rng: random.Random
    max_segment: float
    spawn: Callable[..., None]
    "Runs a coroutine in the background, under `name=`."
    register: Callable[[str, "ActiveCall"], None]
    "Makes a session's or a media leg's events reach its call."


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
        self._plan = plan
        self._invite = invite
        self._caller = caller
        self._called = called
        self._finished = finished
        self._legs: dict[str, Leg] = {FIRST: first}
        self._session = CallSession(
            plan,
            can_record=plan.exempt or joint.recorder.can_record(),
            max_segment=joint.max_segment,
        )
        self._playing: dict[int, tuple[str, do.Play]] = {}
        self._unplayed: set[str] = set()
        self._segment: OpenSegment | None = None
        self._held = False
        self._group = new_group()
        self._officer_answered = False
        self._quiet: set[str] = set()
        self.call_id = call_id
        self.segments: list[OpenSegment] = []
        self.log = structlog.get_logger().bind(call_id=call_id)

    # -- life -----------------------------------------------------------------

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

    def run(self) -> None:
        """Carry out what the state machine asks; after every event."""
        while (command := self._session.next_command()) is not None:
            self._perform(command)
        self._joint.user_agent.flush()

    def get_timer(self) -> float | None:
        """The next deadline of this call."""
        return self._session.get_timer()

    def handle_timer(self, now: float) -> None:
        self._session.handle_timer(now)
        self.run()

    def stop(self) -> None:
        """Clear the call: the agent is stopping."""
        self._session.stop(self._now)
        self.run()

    def refuse_unrecordable(self) -> None:
        """The ledger cannot take the intent, and the route refuses such calls."""
        self._session.refuse_unrecordable()
        self.run()

    @property
    def peer_name(self) -> str:
        """The peer that sent the call."""
        peer = self._legs[FIRST].peer
        return peer.name if peer is not None else ""

    @property
    def talking(self) -> bool:
        """Whether two parties are connected."""
        return self._session.phase is Phase.TALKING

    @property
    def _now(self) -> float:
        return self._joint.user_agent.now

    # -- what the user agent says ---------------------------------------------

    def on_sip(self, event: sip.Event) -> None:
        """One event of one of this call's SIP sessions."""
        leg = self._leg_of(event.session)
        if leg is None:
            return
        now = self._now
        match event:
            case sip.Cancelled():
                leg.gone = True
                self._session.left(leg.name, now)
            case sip.Progressed():
                early = self._early_media(leg, event.response.body)
                self._session.target_ringing(leg.name, now, early_media=early)
            case sip.Accepted():
                self._accepted(leg, event.response.body, now)
            case sip.Refused():
                leg.gone = True
                self._close_media(leg)
                status, _ = b2bua.map_failure(event.status)
                self._session.target_refused(leg.name, status, now)
            case sip.Acknowledged():
                self._acknowledged(leg, event.request.body, now)
            case sip.OfferReceived():
                self._offered(leg, event.body)
            case sip.OfferAnswered():
                self._offer_answered(leg, event.response.body)
            case sip.OfferRefused():
                if leg.negotiation is not None:
                    leg.negotiation.cancel_offer()
            case sip.Ended():
                leg.gone = True
                cause = None if event.reason == "bye" else EndCause.SIGNALLING_TIMEOUT
                self._session.left(leg.name, now, cause=cause)
            case _:
                pass
        self.run()

    def _accepted(self, leg: Leg, body: bytes, now: float) -> None:
        try:
            if leg.negotiation is None:
                raise NotAcceptableError("the leg has no media")
            if leg.negotiation.pending or body:
                self._configure(leg, leg.negotiation.receive_answer(body))
        except NotAcceptableError as error:
            self.log.warning("answer_unusable", leg=leg.name, reason=str(error))
            self._perform(do.HangUp(leg=leg.name, q850=65))
            self._session.target_refused(leg.name, 488, now)
            return
        if not self._plan.exempt and leg.name == self._session.partner:
            self._log_answer(leg)
        self._session.target_answered(leg.name, now)

    def _log_answer(self, leg: Leg) -> None:
        inbound = self._plan.direction is CallDirection.INBOUND
        self.log.info("officer_answered" if inbound else "customer_answered")
        if leg.audio is not None:
            self.log.debug("negotiated", leg=leg.name, codec=leg.audio.codec.name)

    def _acknowledged(self, leg: Leg, body: bytes, now: float) -> None:
        if leg.awaits_answer and leg.negotiation is not None:
            leg.awaits_answer = False
            try:
                self._configure(leg, leg.negotiation.receive_answer(body))
            except NotAcceptableError as error:
                self.log.warning("answer_unusable", leg=leg.name, reason=str(error))
                if leg.audio is None:
                    self._session.stop(now)
                    return
        if leg.name == FIRST:
            self._session.acknowledged(now)

    def _early_media(self, leg: Leg, body: bytes) -> bool:
        """Let the first party hear a target that sends audio before it answers."""
        if not body or leg.negotiation is None or self._first_answered:
            return False
        try:
            self._configure(leg, leg.negotiation.receive_answer(body))
            if not self._legs[FIRST].local_description:
                self._answer_first_offer()
        except (NotAcceptableError, AgentError) as error:
            self.log.warning("early_media_unusable", leg=leg.name, reason=str(error))
            return False
        return True

    @property
    def _first_answered(self) -> bool:
        return self._session.phase not in {Phase.OFFERED, Phase.CONNECTING} or (
            self._plan.direction is CallDirection.INBOUND and not self._plan.exempt
        )

    # -- re-negotiation -------------------------------------------------------

    def _offered(self, leg: Leg, body: bytes | None) -> None:
        """A party wants its session changed: hold, resume, another address."""
        core, now = self._joint.user_agent.core, self._now
        if leg.negotiation is None:
            core.refuse_offer(leg.session, now, status=488)
            return
        try:
            if body is None:
                leg.awaits_answer = True
                core.accept_offer(leg.session, now, body=leg.negotiation.offer())
                return
            answer, audio = leg.negotiation.answer(body)
        except NotAcceptableError as error:
            self.log.warning("offer_unusable", leg=leg.name, reason=str(error))
            core.refuse_offer(leg.session, now, status=488)
            return
        core.accept_offer(leg.session, now, body=answer)
        before = leg.local_description
        leg.local_description = answer
        self._configure(leg, audio)
        if answer != before:
            self._pass_direction_on(leg, audio)

    def _offer_answered(self, leg: Leg, body: bytes) -> None:
        if leg.negotiation is None or not leg.negotiation.pending:
            return
        try:
            self._configure(leg, leg.negotiation.receive_answer(body))
        except NotAcceptableError as error:
            # RFC 6141: a failed re-INVITE leaves the session as it was.
            leg.negotiation.cancel_offer()
            self.log.warning("answer_unusable", leg=leg.name, reason=str(error))

    def _pass_direction_on(self, leg: Leg, audio: NegotiatedAudio) -> None:
        """A hold or resume by one party is offered to the other."""
        other = self._other(leg)
        if not self.talking or other is None or other.negotiation is None:
            return
        wanted = audio.direction.reversed
        if (
            other.audio is None
            or other.audio.direction is wanted
            or other.negotiation.pending
        ):
            return
        body = other.negotiation.offer(direction=wanted)
        self._joint.user_agent.core.reoffer(other.session, self._now, body=body)

    def _configure(self, leg: Leg, audio: NegotiatedAudio) -> None:
        """Tell the worker what is agreed, and the journal what it means."""
        if not leg.media_open:
            return
        self._joint.media.configure(leg.media_id, audio, latch=leg.latch)
        changed = leg.note_codecs(audio)
        if self._segment is None:
            return
        if changed:
            self._joint.recorder.note_codecs(self._segment, self._codec_table())
        self._update_hold()

    def _update_hold(self) -> None:
        """While a party is held nothing is journalled, and the timeline says so."""
        if self._segment is None:
            return
        held = any(
            leg.audio is not None
            and not (leg.audio.direction.sends and leg.audio.direction.receives)
            for leg in (self._legs[FIRST], self._partner)
            if leg is not None
        )
        if held != self._held:
            self._held = held
            self._joint.recorder.hold(
                self._segment, self._recorded_legs(), on=held, reason="hold"
            )
            self.log.info("held" if held else "resumed")

    # -- what the media workers say -------------------------------------------

    def on_play_ended(self, event: PlayEnded) -> None:
        """A sound has been sent, or broken off."""
        entry = self._playing.pop(event.token, None)
        if entry is None:
            return
        leg_name, play = entry
        if not play.notice:
            return
        if not event.completed:
            self._session.notice_failed(self._now)
            self.run()
            return
        self._unplayed.discard(leg_name)
        if leg_name == self._session.customer:
            self._evidence = self._evidence_of(play.sound, event)
        if not self._unplayed:
            self.log.info(
                "notice_played", notice=play.sound, sent_ms=event.sent_ms
            )
            self._session.notice_played(self._evidence, self._now)
        self.run()

    def _evidence_of(self, name: str, event: PlayEnded) -> NoticeEvidence:
        sound = next(s for s in self._joint.notices.values() if s.name == name)
        to_utc = utc_ns() - monotonic_ns()
        return NoticeEvidence(
            sha256=sound.sha256,
            language=sound.language,
            duration_ms=sound.duration_ms,
            sent_ms=event.sent_ms,
            packets=event.frames,
            started_at=event.started_ns + to_utc,
            ended_at=event.ended_ns + to_utc,
        )

    def on_media_quiet(self, media_id: str, *, quiet: bool) -> None:
        """One leg has been silent for the configured time, or is heard again."""
        self._quiet.add(media_id) if quiet else self._quiet.discard(media_id)
        pair = {leg.media_id for leg in self._legs.values() if not leg.gone}
        if self.talking and not self._held and pair <= self._quiet:
            self._session.media_timeout(self._now)
            self.run()

    def on_recording_failed(self, reason: str, *, kept: bool) -> None:
        """The recorder cannot go on; the route's policy decides."""
        self._session.recording_failed(reason, self._now, kept=kept)
        self.run()

    def on_media_lost(self) -> None:
        """No worker takes this call's legs over: nobody hears anybody."""
        self._session.media_timeout(self._now)
        self.run()

    # -- commands -------------------------------------------------------------

    def _perform(self, command: do.Command) -> None:
        core, now = self._joint.user_agent.core, self._now
        first = self._legs[FIRST]
        match command:
            case do.Refuse():
                headers = (("Retry-After", "30"),) if command.status == 503 else ()
                core.refuse(
                    first.session,
                    now,
                    status=command.status,
                    reason=command.reason,
                    headers=headers,
                )
                first.gone = True
            case do.Ring():
                self._ring(first, now, early_media=command.early_media)
            case do.Answer():
                self._joint.spawn(self._answer(), name=f"answer-{self.call_id}")
            case do.Invite():
                self._joint.spawn(
                    self._ring_target(command), name=f"invite-{self.call_id}"
                )
            case do.HangUp():
                self._hang_up(command)
            case do.Play():
                self._play(command)
            case do.Bridge():
                self._joint.media.bridge(
                    self._legs[command.a].media_id, self._legs[command.b].media_id
                )
            case do.OpenRecording():
                self._open_recording(command)
            case do.CloseRecording():
                if self._segment is not None:
                    self._joint.recorder.close(self._segment, command.cause)
                    self._segment = None
            case do.Alarm():
                self.log.error("going_on_unrecorded", reason=command.reason)
            case do.Close():
                self._close(command)

    def _ring(self, first: Leg, now: float, *, early_media: bool) -> None:
        core = self._joint.user_agent.core
        partner = self._partner
        if early_media and first.local_description and partner is not None:
            self._joint.media.bridge(first.media_id, partner.media_id)
            core.ring(first.session, now, status=183, body=first.local_description)
        else:
            core.ring(first.session, now, status=180)

    async def _open_media(self, leg: Leg) -> Address:
        address = leg.peer.media_address if leg.peer is not None else ""
        local = await self._joint.media.open_leg(
            self.call_id, leg.media_id, address=address or None
        )
        leg.media_open = True
        if leg.gone:
            self._close_media(leg)
        self._joint.register(leg.media_id, self)
        return local

    async def _answer(self) -> None:
        """Answer the first party, with the first of the route's codecs it offers."""
        first = self._legs[FIRST]
        try:
            if not first.local_description:
                if not first.media_open:
                    await self._open_media(first)
                self._answer_first_offer()
        except NotAcceptableError as error:
            self._session.unacceptable(488, "Not Acceptable Here")
            self.log.warning("offer_unusable", reason=str(error))
        except AgentError as error:
            self._session.unacceptable(503, "No Media Available")
            self.log.error("media_refused", reason=str(error))
        else:
            if not first.gone:
                self._joint.user_agent.core.accept(
                    first.session,
                    self._now,
                    contact=self._contact(first),
                    body=first.local_description,
                )
        self.run()

    def _answer_first_offer(self) -> None:
        first = self._legs[FIRST]
        if first.local is None:
            raise NotAcceptableError("the leg has no media")
        negotiation = first.begin_negotiation(
            first.local, self._joint.rng.getrandbits(31), self._codecs_for_first()
        )
        if self._invite.body:
            first.local_description, audio = negotiation.answer(self._invite.body)
            self._configure(first, audio)
        else:
            first.awaits_answer = True
            first.local_description = negotiation.offer()

    def _codecs_for_first(self) -> list[Codec]:
        """What the target chose goes first, so that no law need be converted."""
        codecs = [CODECS[name] for name in self._plan.route.codecs]
        partner = self._partner
        if partner is not None and partner.audio is not None:
            chosen = partner.audio.codec.name
            codecs.sort(key=lambda codec: codec.name != chosen)
        return codecs

    def _codecs_for_target(self) -> list[Codec]:
        codecs = [CODECS[name] for name in self._plan.route.codecs]
        first = self._legs[FIRST].audio
        if first is not None:
            codecs.sort(key=lambda codec: codec.name != first.codec.name)
        # The other law after it: converting between the two is a table lookup.
        codecs += [codec for codec in CODECS.values() if codec not in codecs]
        return codecs

    async def _ring_target(self, command: do.Invite) -> None:
        try:
            leg = await self._invite_target(command)
        except (AgentError, ValueError) as error:
            self.log.warning("target_unreachable", leg=command.leg, reason=str(error))
            self._session.target_refused(command.leg, 480, self._now)
        else:
            if self._session.partner != command.leg or self._session.outcome:
                self._hang_up(do.HangUp(leg=leg.name, q850=16))
        self.run()

    async def _invite_target(self, command: do.Invite) -> Leg:
        joint, first = self._joint, self._legs[FIRST]
        uri = parse_uri(command.target)
        flow = await joint.user_agent.flow_to(uri)
        leg = Leg(
            name=command.leg,
            session="",
            flow=flow,
            peer=joint.routes.peer_at(flow.remote),
            media_id=new_id(),
        )
        self._legs[leg.name] = leg
        local = await self._open_media(leg)
        if first.local is None and self._session.outcome is None:
            # Both legs must be ready before either party can be let talk.
            first.local = await self._open_media(first)
        negotiation = leg.begin_negotiation(
            local, joint.rng.getrandbits(31), self._codecs_for_target()
        )
        if self._session.outcome is not None or self._session.partner != leg.name:
            leg.gone = True
            self._close_media(leg)
            raise TransportError("the call ended meanwhile.")
        leg.session = joint.user_agent.core.invite(
            uri=uri,
            flow=flow,
            from_=self._from_towards(leg),
            to=NameAddr(None, uri, ()),
            contact=self._contact(leg),
            body=negotiation.offer(),
            headers=b2bua.pass_headers(
                self._invite, from_trusted=first.trusted, to_trusted=leg.trusted
            ),
            max_forwards=b2bua.next_max_forwards(self._invite),
            now=self._now,
        )
        joint.register(leg.session, self)
        return leg

    def _from_towards(self, leg: Leg) -> NameAddr:
        """The first party's From, at our address, without its tag."""
        original = self._invite.from_
        uri = original.uri
        if uri.user is None or uri.host == "anonymous.invalid":
            return b2bua.anonymous_from()
        ours = self._contact(leg)
        return NameAddr(
            original.display, Uri("sip", uri.user, ours.host, ours.port, ()), ()
        )

    def _contact(self, leg: Leg) -> Uri:
        return parse_uri(f"sip:{leg.flow.local}")

    def _hang_up(self, command: do.HangUp) -> None:
        leg = self._legs.get(command.leg)
        if leg is None:
            return
        if not leg.gone and leg.session:
            self._joint.user_agent.core.hang_up(
                leg.session,
                self._now,
                headers=(b2bua.reason_header(command.q850),),
            )
        leg.gone = True
        self._close_media(leg)

    def _play(self, command: do.Play) -> None:
        self._unplayed = set(command.legs) if command.notice else set()
        for name in command.legs:
            token = self._joint.media.play(
                self._legs[name].media_id, (command.sound,), loop=command.loop
            )
            self._playing[token] = (name, command)

    def _open_recording(self, command: do.OpenRecording) -> None:
        officer, recipient = self._officer(command.officer)
        begin = SegmentBegin(
            recording_id=new_id(),
            group=self._group,
            segment=command.segment,
            direction=self._plan.direction,
            caller=self._outside_number,
            service=self._service_number,
            officers=(officer,),
            notices=command.notices,
            started_at=utc_ns(),
            started_monotonic_ns=monotonic_ns(),
            codecs=self._codec_table(),
            agent=self._joint.software,
            host=self._joint.host,
        )
        self._segment = self._joint.recorder.open(
            self.call_id, begin, legs=self._recorded_legs(), officer=recipient
        )
        self.segments.append(self._segment)
        self._held = False
        self.log.info("recording_begun", recording_id=begin.recording_id)
        self._update_hold()

    def _officer(self, leg_name: str) -> tuple[Officer, Recipient | None]:
        """Who the officer on a leg is, and the key that may open the segment."""
        leg = self._legs[leg_name]
        if leg_name == FIRST:
            number = self._caller
        else:
            number = officer_number(parse_uri(self._target_of(leg)))
        entry = self._joint.directory().lookup(number)
        if entry is None:
            self.log.warning("officer_unknown", number=self._joint.mask(number))
            return Officer(number=number, name=""), None
        officer = Officer(number=entry.number, name=entry.name)
        if not entry.recipient:
            self.log.warning("officer_without_key", number=self._joint.mask(number))
            return officer, None
        try:
            recipient = parse_recipient(entry.recipient)
        except AgeError:
            recipient = None
        if recipient is None or recipient.kind is not self._joint.recorder.kind:
            self.log.error("officer_key_unusable", number=self._joint.mask(number))
            return officer, None
        return officer, recipient

    def _target_of(self, leg: Leg) -> str:
        return self._plan.targets[int(leg.name[1:]) - 1]

    @property
    def _outside_number(self) -> str:
        inbound = self._plan.direction is CallDirection.INBOUND
        return self._caller if inbound else self._called

    @property
    def _service_number(self) -> str:
        return self._called

    def _codec_table(self) -> dict[str, dict[str, str]]:
        customer = self._legs[self._session.customer]
        officer = self._legs[self._session.officer]
        return {"0": dict(customer.codecs_seen), "1": dict(officer.codecs_seen)}

    def _recorded_legs(self) -> tuple[str, str]:
        return (
            self._legs[self._session.customer].media_id,
            self._legs[self._session.officer].media_id,
        )

    def _close(self, command: do.Close) -> None:
        for leg in self._legs.values():
            self._close_media(leg)
        self._finished(self, command)

    def _close_media(self, leg: Leg) -> None:
        if leg.media_open:
            leg.media_open = False
            self._joint.media.close_leg(leg.media_id)

    # -- legs -----------------------------------------------------------------

    def _leg_of(self, session: str) -> Leg | None:
        return next((x for x in self._legs.values() if x.session == session), None)

    @property
    def _partner(self) -> Leg | None:
        return self._legs.get(self._session.partner)

    def _other(self, leg: Leg) -> Leg | None:
        return self._partner if leg.name == FIRST else self._legs[FIRST]

    @property
    def names(self) -> list[str]:
        """Every id whose events belong to this call, for forgetting them."""
        return [
            name
            for leg in self._legs.values()
            for name in (leg.session, leg.media_id)
            if name
        ]

    @property
    def partial(self) -> bool:
        """Whether capture was interrupted in any segment."""
        return any(segment.gap for segment in self.segments)

    def final_outcome(self, close: do.Close) -> Outcome:
        """The outcome, once every journal is closed."""
        if close.outcome is Outcome.RECORDED and self.partial:
            return Outcome.PARTIAL
        return close.outcome
