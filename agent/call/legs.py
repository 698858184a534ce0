"""The legs of one call: their media, and what is agreed on each.

Offers and answers of both legs meet here: what one leg chose decides what the other
is offered, and a hold on one is offered to the other.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace

from agent.call.codecs import for_first, for_target
from agent.call.common_codec import CommonCodec
from agent.call.joint import Joint
from agent.call.leg import Leg
from agent.call.routing import Plan
from agent.call.state import LegState, PairState
from agent.common.errors import AgentError
from agent.common.weakly import weakly
from agent.media.errors import MediaError
from agent.model.media import Address, Codec, NegotiatedAudio
from agent.model.recording import RecordState
from agent.signalling.abilities import codecs_in, read_description
from agent.signalling.offer_answer import NotAcceptableError, OfferAnswer
from agent.signalling.sip.core import UserAgentCore
from agent.signalling.sip.message import Request


class Legs:
    """All legs of one call, by name.

    `on_agreed(leg, codecs_changed)` hears of every completed offer/answer exchange,
    after the media worker has been told; `on_apart()`, that two legs which talk with
    each other have no codec in common.
    """

    def __init__(
        self,
        joint: Joint,
        *,
        call_id: str,
        plan: Plan,
        invite: Request,
        first: Leg,
        on_agreed: Callable[[Leg, bool], None],
        on_apart: Callable[[], None],
    ) -> None:
        self._joint = joint
        self._call_id = call_id
        self._plan = plan
        self._invite = invite
        self._on_agreed = on_agreed
        self._legs = {first.name: first}
        self._common = CommonCodec(weakly(self._offer_codecs), on_apart)
        self._log = joint.log.bind(call_id=call_id)
        self.first = first

    @property
    def state(self) -> tuple[tuple[LegState, ...], PairState | None]:
        """All of it, for `restore` in another process."""
        return tuple(leg.state for leg in self._legs.values()), self._common.state

    def restore(self, legs: Iterable[Leg], pair: PairState | None) -> None:
        """Go on where others stood."""
        self._legs = {leg.name: leg for leg in legs}
        if pair is not None:
            self._common.restore(pair, self._legs)

    def reached(self, core: UserAgentCore) -> set[str]:
        """Names of those that have a SIP session; the others are gone."""
        for leg in self._legs.values():
            if not leg.gone and core.invite_of(leg.session) is None:
                leg.gone = True
                self.close_media(leg)
        return {leg.name for leg in self._legs.values() if not leg.gone}

    def __getitem__(self, name: str) -> Leg:
        return self._legs[name]

    def get(self, name: str) -> Leg | None:
        """A leg by its name, if there is one."""
        return self._legs.get(name)

    def add(self, leg: Leg) -> None:
        """One more leg."""
        self._legs[leg.name] = leg

    def release(self, leg: Leg) -> None:
        """A leg goes on in another call."""
        del self._legs[leg.name]

    @property
    def exempt(self) -> bool:
        """Whether the call must get through, whatever the policies of its peers."""
        return self._plan.exempt

    def all(self) -> list[Leg]:
        """Every leg there ever was, the first one first."""
        return list(self._legs.values())

    def of_session(self, session: str) -> Leg | None:
        """The leg a SIP session belongs to."""
        return next((x for x in self._legs.values() if x.session == session), None)

    def of_media(self, media_id: str) -> Leg | None:
        """The leg a leg of the media workers belongs to."""
        return next((x for x in self._legs.values() if x.media_id == media_id), None)

    # -- media ------------------------------------------------------------------

    async def open_media(self, leg: Leg) -> Address:
        """Give a leg its ports. Raises AgentError if there are none."""
        address = leg.peer.media_address if leg.peer is not None else ""
        local = await self._joint.media.open_leg(
            self._call_id, leg.media_id, address=address or None
        )
        leg.media_open = True
        leg.local = local
        if leg.gone:
            self.close_media(leg)
        return local

    def close_media(self, leg: Leg) -> None:
        """Give a leg's ports back."""
        if leg.media_open:
            leg.media_open = False
            self._joint.media.close_leg(leg.media_id)

    # -- the first exchange of each leg -----------------------------------------

    def describe_first(self, partner: Leg | None) -> None:
        """Make the description the first party is answered with.

        Raises NotAcceptableError if its offer has nothing we can use.
        """
        self.describe(self.first, self._invite.body, partner)

    def describe(self, leg: Leg, offer: bytes, partner: Leg | None) -> None:
        """Make the description a party that rang us is answered with.

        Raises NotAcceptableError if the offer has nothing we can use.
        """
        beside = partner.audio if partner is not None else None
        codecs = for_first(self._plan.route.codecs, beside)
        negotiation = self.negotiate(leg, codecs)
        if beside is not None:
            negotiation.pass_on(beside)
        described, leg.described = leg.read(offer), None
        if leg.can is None:
            leg.can = codecs_in(described)
        if offer:
            leg.local_description, audio = negotiation.answer(described or offer)
            leg.asked = audio.direction
            self._agreed(leg, audio)
        else:
            leg.awaits_answer = True
            leg.local_description = negotiation.offer()

    def offer_to_target(self, leg: Leg, facing: Leg) -> bytes:
        """The first offer to a leg that is to be rung, and to talk with `facing`."""
        if facing is self.first and facing.can is None:
            facing.can = codecs_in(facing.read(self._invite.body))
        codecs = for_target(self._plan.route.codecs, facing.audio, facing.can)
        negotiation = self.negotiate(leg, codecs)
        if facing.audio is not None:
            negotiation.pass_on(facing.audio)
        return negotiation.offer()

    def negotiate(self, leg: Leg, codecs: list[Codec]) -> OfferAnswer:
        """Open a leg's offer/answer state. Raises NotAcceptableError without media."""
        if leg.local is None:
            raise NotAcceptableError("The leg has no media.")
        return leg.begin_negotiation(
            leg.local,
            self._joint.rng.getrandbits(31),
            codecs,
            exempt=self._plan.exempt,
        )

    def answered(self, leg: Leg, body: bytes) -> None:
        """Take a target's answer: of a 2xx, or of a 183 before it.

        Raises NotAcceptableError if it cannot be used, or if there is none.
        """
        if leg.negotiation is None:
            raise NotAcceptableError("The leg has no media.")
        if leg.negotiation.pending or body:
            audio = leg.negotiation.receive_answer(body)
            leg.asked = audio.direction
            self._agreed(leg, audio)
        if leg.rekey:
            self._offer_wanted(leg)

    def acknowledged(self, leg: Leg, body: bytes) -> bool:
        """Take what an ACK carries; False if the leg is left without audio."""
        if not leg.awaits_answer or leg.negotiation is None:
            if leg.rekey:
                self._offer_wanted(leg)
            return True
        leg.awaits_answer = False
        try:
            audio = leg.negotiation.receive_answer(body)
            leg.asked = audio.direction
            self._agreed(leg, audio)
        except NotAcceptableError as error:
            self._log.warning("answer_unusable", leg=leg.name, reason=str(error))
            leg.negotiation.cancel_offer()
        self._offer_wanted(leg)
        return leg.audio is not None

    # -- changes ------------------------------------------------------------------

    def offered(self, leg: Leg, body: bytes | None, other: Leg | None) -> None:
        """A party wants its session changed: hold, resume, another address.

        It is answered at once; a new direction is then offered to `other`.
        """
        core, now = self._joint.user_agent.core, self._joint.user_agent.now
        if leg.negotiation is None:
            core.refuse_offer(leg.session, now, status=488)
            return
        try:
            if body is None:
                leg.awaits_answer = True
                core.accept_offer(leg.session, now, body=leg.negotiation.offer())
                return
            before = leg.audio
            described = read_description(body)
            answer, audio = leg.negotiation.answer(described or body)
        except NotAcceptableError as error:
            leg.awaits_answer = False
            self._log.warning("offer_unusable", leg=leg.name, reason=str(error))
            warning = error.warning(self._joint.host)
            core.refuse_offer(leg.session, now, status=error.status, headers=(warning,))
            return
        core.accept_offer(leg.session, now, body=answer)
        leg.can = codecs_in(described)
        leg.local_description = answer
        if before is None or audio.direction is not before.direction:
            # One that changes nothing, a refresh, says nothing either.
            leg.asked = audio.direction
        self._agreed(leg, audio)
        if other is not None:
            self._want(other, beside=leg)

    def offer_answered(self, leg: Leg, body: bytes) -> None:
        """The peer answered our re-INVITE."""
        if leg.negotiation is None or not leg.negotiation.pending:
            return
        try:
            audio = leg.negotiation.receive_answer(body)
            leg.note_answer(audio.direction)
            self._agreed(leg, audio)
        except NotAcceptableError as error:
            # RFC 6141: a failed re-INVITE leaves the session as it was.
            leg.negotiation.cancel_offer()
            self._log.warning("answer_unusable", leg=leg.name, reason=str(error))
            self._tell_if_mute(leg)
        self._offer_wanted(leg)

    def refreshed(self, leg: Leg, body: bytes) -> None:
        """The peer was offered once more what was agreed, and may have moved."""
        if leg.negotiation is None or leg.is_asked or not body:
            return
        before = leg.audio
        try:
            audio = leg.negotiation.receive_answer_again(body)
            if audio != before:
                leg.note_answer(audio.direction)
                self._agreed(leg, audio)
        except NotAcceptableError as error:
            self._log.warning("answer_unusable", leg=leg.name, reason=str(error))

    def offer_refused(self, leg: Leg) -> None:
        """The peer refused our re-INVITE."""
        if leg.negotiation is not None:
            leg.negotiation.cancel_offer()
            self._tell_if_mute(leg)
            self._offer_wanted(leg)
            self._common.check(leg)

    def joined(self, one: Leg, other: Leg) -> None:
        """Two legs talk with each other from now on: nobody is held for a third."""
        self._want(one, beside=other)
        self._want(other, beside=one)
        self._common.joined(one, other)

    def let_hear(self, leg: Leg) -> None:
        """Whoever waits must hear it, if its peer lets it."""
        if leg.audio is not None and not leg.audio.direction.sends:
            leg.wanted = leg.asked
            self._offer_wanted(leg)

    def tell_recording(self, state: RecordState, talkers: Collection[str]) -> None:
        """Tell record-aware peers how it stands with the recording.

        RFC 7866 section 7.1.2: whenever that changes. Others are not disturbed.
        """
        for leg in self._legs.values():
            if leg.tell_recording(state if leg.name in talkers else RecordState.OFF):
                self._offer_wanted(leg)

    def _want(self, leg: Leg, *, beside: Leg) -> None:
        leg.wanted = leg.direction_beside(beside)
        self._offer_wanted(leg)

    def renew_key(self, media_id: str) -> None:
        """The worker that knew how far a leg's SRTP key was used is gone."""
        leg = next((x for x in self._legs.values() if x.media_id == media_id), None)
        if leg is None or leg.negotiation is None or leg.gone:
            return
        leg.negotiation.spend_key()
        leg.rekey = True
        self._offer_wanted(leg)

    def _offer_wanted(self, leg: Leg) -> None:
        """Offer a leg what it should have; later, if an offer is under way."""
        if leg.negotiation is None or leg.audio is None or leg.negotiation.pending:
            return
        wanted, leg.wanted = leg.wanted, None
        rekey = leg.rekey and leg.negotiation.keys_spent
        untold = leg.negotiation.record_untold
        changes = rekey or wanted not in {None, leg.audio.direction}
        if not changes and not untold:
            return
        try:
            offered = wanted or leg.offered
            body = leg.negotiation.offer(direction=offered)
            leg.offered = offered
            self._joint.user_agent.core.reoffer(
                leg.session,
                self._joint.user_agent.now,
                body=body,
                # Nobody has to be asked about it (RFC 3311 section 5.1).
                update=not changes,
            )
        except AgentError as error:
            leg.negotiation.cancel_offer()
            self._log.warning(
                "rekey_not_offered"
                if rekey
                else "hold_not_passed"
                if changes
                else "recording_not_told",
                leg=leg.name,
                reason=str(error),
            )
        else:
            # Once: a peer that refuses would be asked for ever.
            leg.rekey = False

    def _tell_if_mute(self, leg: Leg) -> None:
        """Alarm where the peer refused the key without which it hears nothing."""
        if leg.negotiation is not None and leg.negotiation.keys_spent and not leg.rekey:
            self._log.error("rekey_refused", leg=leg.name)

    def _offer_codecs(self, leg: Leg, codecs: tuple[Codec, ...]) -> None:
        """Offer a leg a codec the other one can hear."""
        if leg.negotiation is None or leg.audio is None:
            return
        self._log.info("codec_offered", leg=leg.name, codec=codecs[0].name)
        wanted, leg.wanted = leg.wanted or leg.audio.direction, None
        try:
            body = leg.negotiation.offer(codecs=codecs, direction=wanted)
            leg.offered = wanted
            self._joint.user_agent.core.reoffer(
                leg.session, self._joint.user_agent.now, body=body
            )
        except AgentError as error:
            leg.negotiation.cancel_offer()
            self._log.warning("codec_not_offered", leg=leg.name, reason=str(error))
            self._common.check(leg)

    def _agreed(self, leg: Leg, audio: NegotiatedAudio) -> None:
        leg.agreed_at = self._joint.user_agent.now
        leg.strange_payload_types = ()
        if leg.note_preference():
            # It is a wish: what is recorded is policy (RFC 7866 section 7.1.3).
            preference = leg.record_preference or "none"
            self._log.info("record_preference", leg=leg.name, preference=preference)
        if not leg.media_open:
            return
        if audio.srtp is not None and leg.negotiation and leg.negotiation.keys_spent:
            audio = replace(audio, srtp=replace(audio.srtp, send=b""))
        try:
            self._joint.media.configure(leg.media_id, audio, latch=leg.latch)
        except MediaError as error:
            raise NotAcceptableError(str(error)) from error
        self._on_agreed(leg, leg.note_codecs(audio))
        self._common.check(leg)
