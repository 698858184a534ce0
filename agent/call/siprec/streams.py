"""The streams of one recording session: their ports, and what SDP agrees of each.

Each is a leg of the media workers that only receives. An m-line that is refused gives
its ports back; one that comes in its place is another stream.
"""

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from agent.call.codecs import names_of
from agent.call.config import PeerConfig
from agent.call.joint import Joint
from agent.call.leg_status import LegStatus, status_of
from agent.call.siprec.config import SiprecConfig
from agent.call.siprec.situation import StreamView
from agent.call.siprec.state import StreamsState, StreamState
from agent.common.ids import new_id
from agent.media.errors import MediaError
from agent.model.media import (
    CODECS,
    Address,
    Latch,
    NegotiatedAudio,
    SrtpPolicy,
)
from agent.signalling.not_acceptable import NotAcceptableError
from agent.signalling.siprec.negotiation import RecordedStream, RecordingNegotiation

OF_A_CALL: Final = 2
"Streams for which the limits of calls, the host's and the peer's, leave ports."
_KEPT: Final = 4
"One in so many of all port pairs: further streams of a session take none of these, so \
that conferences do not take those of calls we stand in, emergency calls among them."


@dataclass(slots=True, kw_only=True)
class Stream:
    """One m-line that has media here."""

    name: str
    "`s1`, `s2`, …: a client's label may hold anything, and no log shows it."
    index: int
    "Of the m-line."
    media_id: str
    local: Address
    label: str = field(default="", repr=False)
    audio: NegotiatedAudio | None = None
    "What is agreed; None before that, and once the stream is no more."
    media_open: bool = True
    gone: bool = False
    "Whether nothing is to be heard on it now."
    codecs_seen: dict[str, str] = field(default_factory=dict)
    "Payload type to encoding name, all that were ever agreed, for the journal."
    agreed_at: float = -math.inf
    "When an offer/answer exchange was last completed, in monotonic seconds."
    strange_payload_types: tuple[int, ...] = ()
    "Codecs heard on it that were never agreed."
    media_changes: int = 0
    "How often its media changed without signalling."

    @property
    def state(self) -> StreamState:
        """All of it but what is agreed, for `restore` in another process."""
        return StreamState(
            name=self.name,
            index=self.index,
            media_id=self.media_id,
            local=self.local,
            label=self.label,
            media_open=self.media_open,
            gone=self.gone,
            codecs_seen=self.codecs_seen,
            agreed_at=None if self.agreed_at == -math.inf else self.agreed_at,
            strange_payload_types=self.strange_payload_types,
            media_changes=self.media_changes,
        )

    @property
    def active(self) -> bool:
        """Whether the client may send on it."""
        return self.audio is not None and self.audio.direction.receives


class Streams:
    """All streams of one session; those that are no more until they are forgotten."""

    def __init__(
        self, joint: Joint, rules: SiprecConfig, peer: PeerConfig, *, call_id: str
    ) -> None:
        self._joint = joint
        self._rules = rules
        self._peer = peer
        self._call_id = call_id
        self._all: dict[str, Stream] = {}
        self._slots: dict[int, Stream] = {}
        "Those that are open, by their m-line."
        self._leaving: list[Stream] = []
        self._named = 0
        "How many were given names."
        self._over = False
        self._negotiation: RecordingNegotiation | None = None

    def begin(self, *, secure: bool, host: str) -> None:
        """Nothing is agreed yet; `secure`: nobody else can read what we tell.

        `host` is whence the client's media come if it does not say.
        """
        self._negotiation = RecordingNegotiation(
            session_id=self._joint.rng.getrandbits(31),
            codecs=[CODECS[name] for name in self._rules.codecs],
            srtp=SrtpPolicy(self._peer.srtp),
            secure=secure,
            host=host,
        )

    @property
    def state(self) -> StreamsState:
        """All of it, for `restore` in another process."""
        return StreamsState(
            streams=tuple(stream.state for stream in self._all.values()),
            named=self._named,
            negotiation=self.negotiation.state,
        )

    def restore(self, kept: StreamsState) -> None:
        """Go on where others stood."""
        streams, negotiation = kept.streams, kept.negotiation
        self._named = kept.named
        self._negotiation = RecordingNegotiation.restore(negotiation)
        for state in streams:
            stream = Stream(
                name=state.name,
                index=state.index,
                media_id=state.media_id,
                local=state.local,
                label=state.label,
                media_open=state.media_open,
                gone=state.gone,
                codecs_seen=dict(state.codecs_seen),
                agreed_at=-math.inf if state.agreed_at is None else state.agreed_at,
                strange_payload_types=state.strange_payload_types,
                media_changes=state.media_changes,
            )
            self._all[stream.name] = stream
            if stream.media_open:
                self._slots[stream.index] = stream
        for agreed in self.negotiation.streams:
            if (slot := self._slots.get(agreed.index)) is not None:
                slot.audio = agreed.audio

    @property
    def negotiation(self) -> RecordingNegotiation:
        """What SDP agrees; `begin` has made it."""
        if self._negotiation is None:
            raise RuntimeError("the recording session has agreed on nothing yet")
        return self._negotiation

    def __getitem__(self, name: str) -> Stream:
        return self._all[name]

    def all(self) -> list[Stream]:
        """Every stream there ever was, the first one first."""
        return list(self._all.values())

    def of_media(self, media_id: str) -> Stream | None:
        """The stream a leg of the media workers belongs to."""
        return next((x for x in self._all.values() if x.media_id == media_id), None)

    @property
    def views(self) -> tuple[StreamView, ...]:
        """Those that are agreed on, in the order of their m-lines."""
        return tuple(
            # A label is a token (RFC 4574), and so none is like what stands for none.
            StreamView(
                name=one.name, label=one.label or f"m-line {index}", active=one.active
            )
            for index, one in sorted(self._slots.items())
            if one.audio is not None
        )

    def statuses(self) -> tuple[LegStatus, ...]:
        """How it stands with those that are open."""
        figures = self._joint.media.figures
        return tuple(
            status_of(one.name, one.audio, figures.of(one.media_id), held=one.gone)
            for _, one in sorted(self._slots.items())
        )

    # -- ports -----------------------------------------------------------------

    def lacking(self, offer: bytes) -> tuple[int, ...]:
        """M-lines of an offer that need ports. Raises NotAcceptableError."""
        wanted = self.negotiation.wanted(offer)[: self._rules.max_streams]
        lacking = tuple(index for index in wanted if index not in self._slots)
        stats = self._joint.media.stats
        every = stats.legs + stats.ports_free + stats.ports_draining
        room = max(stats.ports_free - every // _KEPT, 0)
        room = max(room, OF_A_CALL - len(self._slots))
        if len(lacking) > room:
            self._joint.log.warning(
                "media_refused",
                call_id=self._call_id,
                reason="The RTP ports that are left are kept for calls.",
            )
        return lacking[:room]

    async def open(self, indices: Sequence[int]) -> list[Stream]:
        """Give these m-lines ports. Raises AgentError if there are none.

        Then, and if the session is over by now, none of them keeps any.
        """
        opened: list[Stream] = []
        try:
            for index in indices:
                stream = await self._open(index)
                opened.append(stream)
        except BaseException:
            for stream in opened:
                self._close(stream)
            raise
        return opened

    async def _open(self, index: int) -> Stream:
        media_id = new_id()
        local = await self._joint.media.open_leg(
            self._call_id,
            media_id,
            address=self._peer.media_address or None,
            # What comes before it is tapped waits, and is not lost.
            deaf=True,
            mute=True,
        )
        self._named += 1
        stream = Stream(
            name=f"s{self._named}", index=index, media_id=media_id, local=local
        )
        self._all[stream.name] = self._slots[index] = stream
        if self._over:
            self._close(stream)
        return stream

    def _close(self, stream: Stream) -> None:
        stream.audio, stream.gone = None, True
        if stream.media_open:
            stream.media_open = False
            self._joint.media.close_leg(stream.media_id)
        if self._slots.get(stream.index) is stream:
            del self._slots[stream.index]

    def listen(self) -> None:
        """Take what comes on all that are agreed, also on those that nobody records."""
        for stream in self._slots.values():
            if stream.audio is not None:
                self._joint.media.listen(stream.media_id)

    def release(self) -> None:
        """Give back the ports of m-lines that are no more, once nobody taps them."""
        while self._leaving:
            self._close(self._leaving.pop())

    def give_back(self) -> None:
        """Give back the ports of m-lines that were never agreed on."""
        for stream in [one for one in self._slots.values() if one.audio is None]:
            self._close(stream)

    def forget(self, legs: Collection[str]) -> list[str]:
        """Forget what is no more and none of these `legs`; returns the media ids.

        A session may last for years, and use its m-lines anew for each call.
        """
        gone = [
            one
            for one in self._all.values()
            if not one.media_open and one.name not in legs
        ]
        for one in gone:
            del self._all[one.name]
        return [one.media_id for one in gone]

    def close(self) -> None:
        """The session is over: give all ports back."""
        self._over = True
        for stream in self._all.values():
            self._close(stream)

    # -- offers and answers ----------------------------------------------------

    def answer(self, offer: bytes) -> tuple[bytes, bool]:
        """Our answer, and whether a payload type means something new.

        Raises NotAcceptableError if nothing can be agreed on; all is as it was then.
        """
        answer, agreed = self.negotiation.answer(offer, self._addresses)
        return answer, self._agreed(agreed)

    def offer(self) -> bytes:
        """Our offer, of what we have ports for."""
        return self.negotiation.offer(self._addresses)

    def take_answer(self, body: bytes) -> bool:
        """The client's answer to it; likewise."""
        return self._agreed(self.negotiation.receive_answer(body))

    @property
    def _addresses(self) -> dict[int, Address]:
        return {index: stream.local for index, stream in self._slots.items()}

    def _agreed(self, agreed: Iterable[RecordedStream]) -> bool:
        """Take what is agreed; m-lines that are refused are no more."""
        there, changed = set(), False
        for one in agreed:
            stream = self._slots[one.index]
            there.add(one.index)
            stream.label, stream.audio = one.label, one.audio
            stream.agreed_at = self._joint.user_agent.now
            stream.strange_payload_types = ()
            seen = stream.codecs_seen | names_of(one.audio)
            # Of one that joins, its own mark says it.
            changed = changed or (
                bool(stream.codecs_seen) and seen != stream.codecs_seen
            )
            stream.codecs_seen = seen
            self._configure(stream, one.audio)
        for index in self._slots.keys() - there:
            stream = self._slots.pop(index)
            stream.audio, stream.gone = None, True
            self._leaving.append(stream)
        return changed

    def _configure(self, stream: Stream, audio: NegotiatedAudio) -> None:
        try:
            self._joint.media.configure(
                stream.media_id, audio, latch=Latch(self._peer.latch)
            )
        except MediaError as error:
            raise NotAcceptableError(str(error)) from error
