"""What the main process remembers of legs and recordings, to tell a successor.

Each `commands` method gives the messages that put a fresh worker where a dead one
stood.
"""

import os
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Self, TypeVar

import msgspec

from agent.media import control
from agent.media.ports import PortPair
from agent.media.state import LegState, RecordingState
from agent.media.tap import BLOCK_NS
from agent.model.recording import SegmentMark

RECENT_NS: Final = 3 * BLOCK_NS
"Younger notes may have been lost with a block that was not written: repeated."
_MAX_RECENT: Final = 64
IN_HAND_NS: Final = 100_000_000
"""What a killed worker may have taken from its sockets, and put nowhere: one packet,
as old as a busy machine makes it."""

_T = TypeVar("_T")
Addressed = tuple[control.Command, tuple[int, ...]]
"A message and the descriptors that go with it."


@dataclass(slots=True)
class LegMemory:
    """One leg: its sockets, and what it was told last."""

    name: str
    call: str
    worker: int
    ports: PortPair
    configured: control.Configure | None = None
    play: control.Play | None = None
    partner: "LegMemory | None" = None
    left: list[int] = field(default_factory=list)
    "Workers it has moved away from, and that have not said so yet."
    deaf: bool = False
    "Opened deaf, and not told to listen."
    mute: bool = False
    "Whether it sends no RTP, only RTCP."
    closing: bool = False
    "Told to close; its ports are the worker's until that is confirmed."

    @classmethod
    def of(cls, state: LegState, call: str, worker: int, ports: PortPair) -> Self:
        """The leg of an earlier main process; its partner is joined to it later."""
        return cls(
            state.leg,
            call,
            worker,
            ports,
            configured=state.configured,
            play=state.play,
            closing=state.closing,
            mute=state.mute,
            deaf=state.deaf,
        )

    @property
    def state(self) -> LegState:
        """What another main process needs of it."""
        return LegState(
            leg=self.name,
            host=self.ports.host,
            port=self.ports.port,
            configured=self.configured,
            play=self.play,
            partner=self.partner.name if self.partner is not None else "",
            closing=self.closing,
            mute=self.mute,
            deaf=self.deaf,
        )

    def repeated(self, playing: int, *, partner: str) -> Iterator[control.Command]:
        """What a worker that has it may not have been told, or done, yet.

        It is playing this token now, or 0; `partner` may be empty.
        """
        if self.configured is not None:
            yield self.configured
        if not partner:
            yield control.Unbridge(leg=self.name)
        if playing and self.play is None:
            yield control.StopPlaying(leg=self.name)
        if self.closing:
            yield control.CloseLeg(leg=self.name)

    def open_command(self, *, resumed: bool) -> Addressed:
        """The message that hands the sockets over."""
        fds = self.ports.rtp.fileno(), self.ports.rtcp.fileno()
        message = control.OpenLeg(leg=self.name, resumed=resumed, deaf=self.deaf)
        return message, fds

    def spend_key(self) -> bool:
        """Never tell a worker this key for sending again; False if there is no need.

        Which packets the dead worker sent under it nobody knows, and two under one
        key stream would betray each other (RFC 3711 section 9.1). A mute leg keeps
        its key: its successor is another source, whose key stream is another, and
        if both had drawn the same one, two reports of losses would be betrayed.
        """
        if self.mute or self.configured is None:
            return False
        if (keys := self.configured.audio.srtp) is None:
            return False
        audio = replace(self.configured.audio, srtp=replace(keys, send=b""))
        self.configured = msgspec.structs.replace(self.configured, audio=audio)
        return True

    def part(self) -> None:
        """Forget the bridge to another leg."""
        if self.partner is not None:
            self.partner.partner = None
            self.partner = None

    def join(self, other: "LegMemory") -> None:
        """Remember a bridge."""
        self.part()
        other.part()
        self.partner, other.partner = other, self


def leg_commands(legs: Sequence[LegMemory]) -> Iterator[Addressed]:
    """Open and configure, as it was."""
    for leg in legs:
        yield leg.open_command(resumed=True)
        if leg.configured is not None:
            yield leg.configured, ()


def bridge_commands(legs: Sequence[LegMemory]) -> Iterator[control.Command]:
    """Bridge, as it was."""
    for leg in legs:
        if leg.partner is not None:
            yield control.Bridge(a=leg.name, b=leg.partner.name)


def play_commands(legs: Sequence[LegMemory]) -> Iterator[control.Command]:
    """Play what was being played, after the bridges, which would break it off.

    A notice that was interrupted begins anew: what counts is that all of it is sent.
    """
    for leg in legs:
        if leg.play is not None:
            yield leg.play


@dataclass(slots=True)
class RecordingMemory:
    """One recording, by what a new journal file of it begins with."""

    name: str
    call: str
    worker: int
    legs: tuple[str, ...]
    journal_key: bytes = field(repr=False)
    key_id: bytes
    begin: bytes = field(repr=False)
    started_ns: int
    tapped: tuple[bool, ...]
    since_ns: tuple[int, ...]
    "When that changed last, of each leg."
    joined: tuple[bytes, ...] = field(default=(), repr=False)
    "Notes of the legs that joined later: the last so many of `legs`."
    epoch: int = 0
    "Counts the journal files: one for each worker that had it."
    granted: bool = False
    end: bytes | None = field(default=None, repr=False)
    "The last note, once it was told to stop."
    lost: bool = False
    "Whether no worker has it now."
    lost_ns: int = 0
    "When a worker died with it, until another has said that it goes on; else 0."
    given_up_ns: int = 0
    "When it was last left without a worker for longer; 0: never."
    open_block: int | None = None
    "Memory of what is not written yet; None where the kernel gives none."
    _recent: deque[tuple[int, bytes]] = field(
        default_factory=lambda: deque(maxlen=_MAX_RECENT), repr=False
    )

    @classmethod
    def of(
        cls, state: RecordingState, call: str, worker: int, journal_key: bytes
    ) -> Self:
        """The recording of an earlier main process."""
        memory = cls(
            name=state.recording,
            call=call,
            worker=worker,
            legs=state.legs,
            journal_key=journal_key,
            key_id=state.key_id,
            begin=state.begin,
            started_ns=state.started_ns,
            tapped=state.tapped,
            since_ns=state.since_ns,
            joined=state.joined,
            epoch=state.epoch,
            granted=state.granted,
            end=state.end,
        )
        memory._recent.extend(state.recent)
        return memory

    @property
    def state(self) -> RecordingState:
        """What another main process needs of it, but for its key."""
        return RecordingState(
            recording=self.name,
            legs=self.legs,
            key_id=self.key_id,
            begin=self.begin,
            started_ns=self.started_ns,
            tapped=self.tapped,
            since_ns=self.since_ns,
            joined=self.joined,
            epoch=self.epoch,
            granted=self.granted,
            end=self.end,
            recent=tuple(self._recent),
        )

    def note(self, note: bytes, now_ns: int) -> None:
        """Remember a note for as long as it may be lost."""
        self._recent.append((now_ns, note))

    def close(self) -> None:
        """What is not written yet is kept no longer."""
        if self.open_block is not None:
            os.close(self.open_block)
            self.open_block = None

    def tap(self, leg: str, *, on: bool, at_ns: int) -> None:
        """Remember whether a leg is journalled, and since when."""
        if leg in self.legs:
            index = self.legs.index(leg)
            self.tapped = _with(self.tapped, index, on)
            self.since_ns = _with(self.since_ns, index, at_ns)

    def add_leg(self, leg: str, mark: SegmentMark) -> control.AddLeg:
        """Remember one more leg, and what is told of it."""
        index = len(self.legs)
        tables = (mark.codecs or {}).values()
        note = msgspec.json.encode(
            msgspec.structs.replace(
                mark, leg=index, codecs={str(index): table for table in tables}
            )
        )
        self.legs += (leg,)
        self.tapped += (True,)
        self.since_ns += (0,)
        self.joined += (note,)
        return control.AddLeg(recording=self.name, leg=leg, index=index, note=note)

    def path(self, directory: Path) -> Path:
        """Of its present journal file."""
        return directory / f"{self.name}.{self.epoch}.journal"

    def repeated(self) -> Iterator[control.Command]:
        """What a worker that has it may not have been told, or done, yet."""
        later = len(self.legs) - len(self.joined)
        for index, note in enumerate(self.joined, later):
            leg = self.legs[index]
            yield control.AddLeg(recording=self.name, leg=leg, index=index, note=note)
        for leg, on, at_ns in zip(self.legs, self.tapped, self.since_ns, strict=True):
            yield control.Tap(recording=self.name, leg=leg, on=on, at_ns=at_ns)
        newest_ns = max((at for at, _ in self._recent), default=0)
        for at, note in self._recent:
            if at >= newest_ns - RECENT_NS:
                yield control.Mark(recording=self.name, note=note)
        if self.granted:
            yield control.Grant(recording=self.name)
        if self.end is not None:
            yield control.StopRecording(recording=self.name, end=self.end)

    def start_command(
        self, directory: Path, notes: tuple[bytes, ...] = ()
    ) -> Addressed:
        """The message that starts a journal file; `notes` follow those of the legs."""
        fds = () if self.open_block is None else (self.open_block,)
        message = control.StartRecording(
            recording=self.name,
            legs=self.legs,
            tapped=self.tapped,
            since_ns=self.since_ns,
            journal_key=self.journal_key,
            key_id=self.key_id,
            epoch=self.epoch,
            path=str(self.path(directory)),
            notes=(self.begin, *self.joined, *notes),
            first=1 + len(self.joined),
            kept=bool(fds),
        )
        return message, fds

    def commands(self, directory: Path, now_ns: int) -> Iterator[Addressed]:
        """A new journal file, with a gap from where something may be missing."""
        lost_ns = self.lost_ns
        self.epoch += 1
        while self.path(directory).exists():
            # Another main process may have come further than it could tell.
            self.epoch += 1
        uncertain_ns = BLOCK_NS if self.open_block is None else IN_HAND_NS
        gap_ns = max(lost_ns - uncertain_ns, self.started_ns)
        recent = [note for at, note in self._recent if at >= lost_ns - RECENT_NS]
        gap = [
            msgspec.json.encode(
                SegmentMark(at_monotonic_ns=at, kind=kind, reason="worker-lost")
            )
            for at, kind in ((gap_ns, "gap-begin"), (now_ns, "gap-end"))
        ]
        yield self.start_command(directory, (*recent, *gap))
        if self.granted:
            yield control.Grant(recording=self.name), ()
        if self.end is not None:
            yield control.StopRecording(recording=self.name, end=self.end), ()


def _with(values: tuple[_T, ...], index: int, value: _T) -> tuple[_T, ...]:
    return (*values[:index], value, *values[index + 1 :])
