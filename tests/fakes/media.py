"""A media pool that writes down what it was told; the test plays the workers."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from agent.media.errors import MediaError, NoPortsError
from agent.media.events import (
    MediaEvent,
    PlayEnded,
    RecordingClosed,
    RecordingOpened,
)
from agent.media.figures import Figures
from agent.media.pool import PoolStats
from agent.model.media import Address, Latch, NegotiatedAudio
from agent.model.recording import (
    MAX_LEGS,
    SegmentBegin,
    SegmentEnd,
    SegmentMark,
    SegmentMetadata,
)


class RecordingMediaPool:
    """Has the methods of MediaPool; `commands` holds what was asked, in order.

    What the workers of a sound site would say by themselves it says by itself, from
    the loop, as the pool does: sounds end unless `plays` is False, journals open and
    close unless `journals` is False.
    """

    def __init__(
        self, *, on_event: Callable[[MediaEvent], None], journal_directory: Path
    ) -> None:
        self.commands: list[tuple[Any, ...]] = []
        self.audio: dict[str, NegotiatedAudio] = {}
        self.open: set[str] = set()
        self.deaf: set[str] = set()
        "Legs that were opened deaf."
        self.mute: set[str] = set()
        "Legs that were opened mute."
        self.since: dict[str, int] = {}
        "When what is kept of a recording began, where it follows another one."
        self.legs_of: dict[str, list[str]] = {}
        "Legs of each recording, by their index."
        self.begins: list[SegmentBegin] = []
        self.marks: list[SegmentMark] = []
        self.documents: list[SegmentMetadata] = []
        self.ends: list[SegmentEnd] = []
        self.figures = Figures(0)
        self.workers_up = 1
        self.plays = True
        self.journals = True
        self.no_ports = False
        self.ports_free = 100
        self.gate: asyncio.Event | None = None
        "Held until set: a leg that takes its time to open."
        self.unreachable: set[str] = set()
        "Remote hosts `configure` refuses."
        self._on_event = on_event
        self._directory = journal_directory
        self._port = 40000
        self._granted: set[str] = set()
        self._stopped: set[str] = set()
        self._token = 0

    @property
    def stats(self) -> PoolStats:
        """Figures of the pool as it is now."""
        return PoolStats(
            workers_up=self.workers_up,
            workers_lost=0,
            spares_up=0,
            legs=len(self.open),
            recordings=len(self.begins) - len(self.ends),
            ports_free=0 if self.no_ports else self.ports_free,
            ports_draining=0,
        )

    def flush(self) -> None:
        """There is no worker that has to be told."""

    def emit(self, event: MediaEvent) -> None:
        """Tell call control something, from within the loop."""
        asyncio.get_running_loop().call_soon(self._on_event, event)

    def told(self, verb: str) -> list[tuple[Any, ...]]:
        """The arguments of every command of that name."""
        return [command[1:] for command in self.commands if command[0] == verb]

    @property
    def verbs(self) -> Counter[str]:
        return Counter(command[0] for command in self.commands)

    async def open_leg(
        self,
        call: str,
        leg: str,
        *,
        address: str | None = None,
        deaf: bool = False,
        mute: bool = False,
    ) -> Address:
        self.commands.append(("open_leg", call, leg, address))
        if mute:
            self.mute.add(leg)
        if deaf:
            self.deaf.add(leg)
        if self.gate is not None:
            await self.gate.wait()
        if self.no_ports:
            raise NoPortsError("No pair of ports is free.")
        self._port += 2
        self.open.add(leg)
        return Address(address or "192.0.2.1", self._port)

    def configure(
        self, leg: str, audio: NegotiatedAudio, *, latch: Latch = Latch.ADDRESS
    ) -> None:
        if audio.remote.host in self.unreachable:
            raise MediaError("A remote media address is no IP address.")
        self.commands.append(("configure", leg, latch))
        self.audio[leg] = audio

    def close_leg(self, leg: str) -> None:
        self.commands.append(("close_leg", leg))
        self.open.discard(leg)

    def play(self, leg: str, sounds: Sequence[str], *, loop: bool = False) -> int:
        self._token += 1
        self.commands.append(("play", leg, tuple(sounds), loop))
        if self.plays and not loop:
            self.emit(self.play_ended(leg, self._token))
        return self._token

    def play_ended(
        self, leg: str, token: int, *, completed: bool = True
    ) -> "PlayEnded":
        """The event of a sound that was sent, or broken off."""
        return PlayEnded(
            leg=leg,
            token=token,
            completed=completed,
            frames=20 if completed else 3,
            sent_ms=400 if completed else 60,
            started_ns=1,
            ended_ns=2,
        )

    def bridge(self, a: str, b: str) -> None:
        self.commands.append(("bridge", a, b))

    def move_leg(self, leg: str, call: str) -> None:
        self.commands.append(("move_leg", leg, call))

    def start_recording(
        self,
        recording: str,
        *,
        legs: tuple[str, ...],
        journal_key: bytes,
        key_id: bytes,
        begin: bytes,
        tapped: tuple[bool, ...],
        since_ns: int = 0,
    ) -> None:
        assert len(journal_key) == 32
        assert key_id
        self.commands.append(("start_recording", recording, legs))
        if not any(tapped):
            self.commands.append(("untapped", recording))
        self.since[recording] = since_ns
        self.legs_of[recording] = list(legs)
        self.begins.append(msgspec.json.decode(begin, type=SegmentBegin))

    def add_leg(self, recording: str, leg: str, mark: SegmentMark) -> int | None:
        self.commands.append(("add_leg", recording, leg))
        self.marks.append(mark)
        legs = self.legs_of[recording]
        if leg not in legs and len(legs) >= MAX_LEGS:
            return None
        if leg not in legs:
            legs.append(leg)
        return legs.index(leg)

    def listen(self, leg: str) -> None:
        self.commands.append(("listen", leg))

    def grant_journal(self, recording: str) -> None:
        self.commands.append(("grant_journal", recording))
        self._granted.add(recording)
        if self.journals:
            path = self._directory / f"{recording}.0.journal"
            path.write_bytes(b"journal")
            self.emit(RecordingOpened(recording=recording, path=str(path)))
            if recording in self._stopped:
                self._close_journal(recording)

    def mark(self, recording: str, note: bytes) -> None:
        found = msgspec.json.decode(note, type=SegmentMark | SegmentMetadata)
        if isinstance(found, SegmentMetadata):
            self.documents.append(found)
            return
        self.marks.append(found)
        self.commands.append(("mark", recording, found.kind))

    def tap(self, recording: str, leg: str, *, on: bool, at_ns: int) -> None:
        self.commands.append(("tap", recording, leg, on))

    def stop_recording(self, recording: str, end: bytes) -> None:
        self.commands.append(("stop_recording", recording))
        self.ends.append(msgspec.json.decode(end, type=SegmentEnd))
        self._stopped.add(recording)
        if self.journals and recording in self._granted:
            self._close_journal(recording)

    def _close_journal(self, recording: str) -> None:
        self.emit(
            RecordingClosed(recording=recording, path="", packets=1, blocks=1, bytes=1)
        )
