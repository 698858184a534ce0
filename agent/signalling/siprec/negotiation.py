"""Offer and answer of a recording session: RFC 7866 sections 7 and 8, RFC 3264.

Any number of audio streams which only come to us, each with its label (RFC 4574). An
m-line keeps its place for as long as the session lives; one that was ended may be used
again, for another stream. Whatever else is offered is refused with port 0.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Self

import msgspec

from agent.model.media import Address, Codec, Direction, NegotiatedAudio, SrtpPolicy
from agent.signalling.audio_media import refused_section
from agent.signalling.audio_stream import AudioStream
from agent.signalling.media_security import RTP, RandomBytes, offers_srtp
from agent.signalling.negotiation_state import DescriptionState, StreamState
from agent.signalling.not_acceptable import (
    MEDIA_TYPE_UNAVAILABLE,
    NotAcceptableError,
)
from agent.signalling.own_description import OwnDescription, parsed
from agent.signalling.sdp import Media, SessionDescription

MAX_STREAMS: Final = 16
"Of one recording session; a call has two, a conference two for each who is in it."

_NOWHERE: Final = Address("0.0.0.0", 0)  # noqa: S104 - not bound to
"Of a stream that is only asked what it would take."
_PLACE: Final = refused_section("audio", RTP, ("0",))
"What stands for an m-line of which the peer has said nothing."


class OfferFlaw(StrEnum):
    """What the peer's description lacks, and we do without."""

    NO_LABEL = "no-label"
    "A stream that no metadata can speak of."
    DUPLICATE_LABEL = "duplicate-label"
    "Two streams of one name."
    NOT_SENDONLY = "not-sendonly"
    "The peer would receive on a stream of which nothing comes back."


@dataclass(frozen=True, slots=True)
class RecordedStream:
    """One stream of a recording session, as agreed."""

    index: int
    "Of its m-line, which is what it is known by."
    label: str
    "As the peer's latest description has it; empty if it has none."
    audio: NegotiatedAudio
    "Its direction is RECVONLY or INACTIVE."


class RecordedLine(msgspec.Struct, frozen=True):
    """A stream as it outlives the main process."""

    index: int
    label: str
    stream: StreamState


class RecordingState(msgspec.Struct, frozen=True, kw_only=True):
    """All that a `RecordingNegotiation` knows. It holds SRTP keys."""

    codecs: tuple[Codec, ...]
    srtp: SrtpPolicy
    secure: bool
    host: str
    own: DescriptionState
    lines: tuple[RecordedLine, ...]
    refused: tuple[Media, ...]
    pending: bool
    flaws: tuple[OfferFlaw, ...]

    def __repr__(self) -> str:
        return "RecordingState(…)"


class RecordingNegotiation:
    """The negotiation of one recording session.

    After an exception everything is as it was before the call.
    """

    def __init__(
        self,
        *,
        session_id: int,
        codecs: Sequence[Codec],
        srtp: SrtpPolicy,
        secure: bool,
        host: str = "",
        random_bytes: RandomBytes = secrets.token_bytes,
    ) -> None:
        """`secure` tells whether nobody but the peer can read our descriptions.

        `host` is the peer's address, whence its media come if it does not say.
        """
        self._codecs = tuple(codecs)
        self._srtp = srtp
        self._secure = secure
        self._host = host
        self._random_bytes = random_bytes
        self._own = OwnDescription(session_id=session_id)
        self._lines: dict[int, _Line] = {}
        self._refused: tuple[Media, ...] = ()
        "All m-lines with port 0."
        self._pending = False
        self._flaws: tuple[OfferFlaw, ...] = ()

    @property
    def state(self) -> RecordingState:
        """All of it, for `restore` in another process."""
        return RecordingState(
            codecs=self._codecs,
            srtp=self._srtp,
            secure=self._secure,
            host=self._host,
            own=self._own.state,
            lines=tuple(
                RecordedLine(index, line.label, line.stream.state)
                for index, line in self._lines.items()
            ),
            refused=self._refused,
            pending=self._pending,
            flaws=self._flaws,
        )

    @classmethod
    def restore(
        cls,
        state: RecordingState,
        *,
        random_bytes: RandomBytes = secrets.token_bytes,
    ) -> Self:
        """A negotiation that goes on where another one stood."""
        found = cls(
            session_id=state.own.session_id,
            codecs=state.codecs,
            srtp=state.srtp,
            secure=state.secure,
            host=state.host,
            random_bytes=random_bytes,
        )
        found._own = OwnDescription.restore(state.own)
        found._lines = {
            line.index: _Line(
                line.label,
                AudioStream.restore(line.stream, random_bytes=random_bytes),
            )
            for line in state.lines
        }
        found._refused = state.refused
        found._pending = state.pending
        found._flaws = state.flaws
        return found

    @property
    def streams(self) -> tuple[RecordedStream, ...]:
        """What is agreed, in the order of the m-lines."""
        return tuple(
            RecordedStream(index, line.label, audio)
            for index, line in sorted(self._lines.items())
            if (audio := line.stream.current) is not None
        )

    @property
    def flaws(self) -> tuple[OfferFlaw, ...]:
        """What the peer's latest description lacked, each once."""
        return self._flaws

    @property
    def pending(self) -> bool:
        """Whether an offer of ours has no answer yet."""
        return self._pending

    # -- the peer's offer -------------------------------------------------------

    def wanted(self, offer: bytes) -> tuple[int, ...]:
        """The m-lines of an offer that shall have a port, those in use first.

        At most MAX_STREAMS; none where the peer has ended all of them. Raises
        NotAcceptableError if there is audio and none of it can be had, and if there is
        none in the first offer; its status is 491 while an offer of ours is unanswered.
        """
        self._check_idle()
        return self._wanted(parsed(offer))

    def answer(
        self, offer: bytes, addresses: Mapping[int, Address]
    ) -> tuple[bytes, tuple[RecordedStream, ...]]:
        """Answer an offer, and what is agreed by it.

        `addresses` says where our RTP of each wanted m-line arrives; what is in use
        keeps its address, and what has none is refused. So is a stream whose keys or
        address turn out not to do. Raises NotAcceptableError as `wanted` does, and if
        no stream is left.
        """
        self._check_idle()
        description = parsed(offer)
        wanted = self._wanted(description)
        lines: dict[int, _Line] = {}
        made: dict[int, Media] = {}
        failure = NotAcceptableError("No stream of the offer has a port.")
        for index in sorted(set(wanted) & set(addresses)):
            media = description.media[index]
            known = self._lines.get(index)
            stream = known.stream if known else self._stream(addresses[index])
            try:
                made[index], _ = stream.answer(description, media, Direction.RECVONLY)
            except NotAcceptableError as error:
                failure = error
            else:
                lines[index] = _Line(media.label or "", stream)
        if wanted and not lines:
            raise failure
        self._lines = lines
        self._settle(description)
        return self._describe(made), self.streams

    def _wanted(self, description: SessionDescription) -> tuple[int, ...]:
        takable: list[int] = []
        reason: NotAcceptableError | None = None
        fresh = self._stream(_NOWHERE)
        for index, media in enumerate(description.media):
            known = self._lines.get(index)
            try:
                (known.stream if known else fresh).choose(media)
            except NotAcceptableError as error:
                if media.kind == "audio" and media.port:
                    reason = error
            else:
                takable.append(index)
        if takable:
            chosen = _without_doubles(takable, description)
            chosen.sort(key=lambda index: index not in self._lines)
            return tuple(chosen[:MAX_STREAMS])
        if reason is None and self._own.described:
            return ()
        raise reason or NotAcceptableError(
            "The offer has no audio.", warn_code=MEDIA_TYPE_UNAVAILABLE
        )

    # -- our offer --------------------------------------------------------------

    def offer(self, addresses: Mapping[int, Address]) -> bytes:
        """An offer, for a peer that asks for one of ours.

        The first has as many m-lines as there are addresses; a later one has what is
        in use, because a recorder adds no streams. The labels are the peer's to give,
        in its answer. Raises NotAcceptableError with status 491 while another is
        unanswered, and if SRTP is required where its keys could be read.
        """
        self._check_idle()
        lines = self._lines
        if not self._own.described:
            lines = {
                index: _Line("", self._stream(address))
                for index, address in enumerate(addresses.values())
            }
            if not lines:
                raise NotAcceptableError("There is no stream to be offered.")
        made = {
            index: line.stream.offer(None, Direction.RECVONLY)
            for index, line in lines.items()
        }
        self._lines = lines
        self._refused = self._refused or (_PLACE,) * len(lines)
        self._pending = True
        return self._describe(made)

    def cancel_offer(self) -> None:
        """No answer came: the session stays as it was."""
        if self._pending:
            self._pending = False
            self._own.forget()

    def receive_answer(self, body: bytes) -> tuple[RecordedStream, ...]:
        """Take the answer to our offer, or to what is agreed, if that went once more.

        A stream that the peer ends, or answers with what was not offered, is gone.
        Raises NotAcceptableError if that leaves none and the peer did not ask for it.
        """
        description = parsed(body)
        fewer = len(description.media) < len(self._refused)
        if fewer or not self._own.described:
            raise NotAcceptableError("The answer has too few media, or no offer.")
        lines: dict[int, _Line] = {}
        failure: NotAcceptableError | None = None
        for index, line in self._lines.items():
            media = description.media[index]
            try:
                line.stream.receive_answer(description, media, again=not self._pending)
            except NotAcceptableError as error:
                if media.port or not self.streams:
                    failure = error
            else:
                lines[index] = _Line(media.label or "", line.stream)
        if failure is not None and not lines:
            raise failure
        self._lines = lines
        self._pending = False
        self._settle(description)
        return self.streams

    # -- what both need ---------------------------------------------------------

    def _check_idle(self) -> None:
        if self._pending:
            raise NotAcceptableError("Offers have crossed.", status=491)

    def _stream(self, address: Address) -> AudioStream:
        return AudioStream(
            address=address,
            codecs=self._codecs,
            secure=self._secure,
            srtp=self._srtp,
            all_codecs=True,
            stand_in=self._host,
            random_bytes=self._random_bytes,
        )

    def _settle(self, description: SessionDescription) -> None:
        """Note what the peer's description has told of the session."""
        self._refused = tuple(
            refused_section(media.kind, media.protocol, media.formats)
            for media in description.media
        )
        self._flaws = _flaws_of(description, sorted(self._lines))

    def _describe(self, made: Mapping[int, Media]) -> bytes:
        """Our description: the m-lines we made, all others with port 0."""
        sections = list(self._refused)
        for index, section in made.items():
            line = self._lines[index]
            host = line.stream.address.host
            self._own.host = self._own.host or host
            label = (("label", line.label),) if line.label else ()
            sections[index] = replace(
                section,
                connection=self._own.connection_to(host),
                attributes=(*section.attributes, *label),
            )
        return self._own.write(tuple(sections))


@dataclass(frozen=True, slots=True)
class _Line:
    label: str
    stream: AudioStream


def _without_doubles(
    indices: Sequence[int], description: SessionDescription
) -> list[int]:
    """Those m-lines less the plain ones of which another is the encrypted form."""
    media = description.media
    secured = {media[i].label for i in indices if offers_srtp(media[i])}
    return [
        index
        for index in indices
        if offers_srtp(media[index])
        or not media[index].label
        or media[index].label not in secured
    ]


def _flaws_of(
    description: SessionDescription, indices: Sequence[int]
) -> tuple[OfferFlaw, ...]:
    taken = [description.media[index] for index in indices]
    labels = [media.label for media in taken if media.label]
    found = {
        OfferFlaw.NO_LABEL: len(labels) < len(taken),
        OfferFlaw.DUPLICATE_LABEL: len(set(labels)) < len(labels),
        OfferFlaw.NOT_SENDONLY: any(
            description.direction_of(media).receives for media in taken
        ),
    }
    return tuple(flaw for flaw, is_so in found.items() if is_so)
