"""The relay in this process: what the pool's tests see from outside, step by step."""

import errno
import os
import random
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.common import memory
from agent.common.clock import monotonic_ns
from agent.common.ids import new_id
from agent.formats.journal import read_journal
from agent.media import control, events
from agent.media.loop import Loop
from agent.media.open_block import create_open_block
from agent.media.playable import pack
from agent.media.relay import Relay
from agent.media.sound import Sound
from agent.model.call import EndCause
from agent.model.media import Address, Latch
from tests.media.phones import HOST, KEY, PATIENCE, Phone, audio_bytes, note_kinds

SECOND = 1_000_000_000
SOUND = random.Random(5).randbytes(480)


class Desk:
    """A relay whose loop turns until something was told."""

    def __init__(self) -> None:
        self.loop = Loop()
        self.told: list[events.WorkerEvent] = []
        self._wanted: type[events.WorkerEvent] | None = None
        self.relay = Relay(
            self.loop,
            self._emit,
            timeout=60.0,
            one_way_after=0.0,
            silent_after=0.0,
            fsync_interval=0.05,
            rng=random.Random(1),
        )

    def _emit(self, event: events.WorkerEvent) -> None:
        self.told.append(event)
        if self._wanted is not None and isinstance(event, self._wanted):
            self.loop.stop()

    def until(self, kind: type[events.WorkerEvent]) -> events.WorkerEvent:
        """Turn the loop until an event of `kind` was told; takes all up to it."""
        self._wanted = kind
        if not any(isinstance(event, kind) for event in self.told):
            limit = self.loop.call_at(
                monotonic_ns() + int(PATIENCE * SECOND), lambda _: self.loop.stop()
            )
            self.loop.run()
            limit.cancel()
        self._wanted = None
        while self.told:
            event = self.told.pop(0)
            if isinstance(event, kind):
                return event
        raise AssertionError(f"{kind} was never told")

    def obey(self, *commands: control.Command) -> None:
        for command in commands:
            self.relay.obey(command, [])

    def open(self, name: str, phone: Phone) -> None:
        channels = []
        for _ in range(2):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
                channel.bind((HOST, 0))
                channel.settimeout(0)
                channels.append(os.dup(channel.fileno()))
                if len(channels) == 1:
                    phone.agent = Address(*channel.getsockname())
        self.relay.obey(control.OpenLeg(leg=name), channels)
        assert channels == []
        audio = phone.negotiated()
        self.obey(control.Configure(leg=name, audio=audio, latch=Latch.OFF))

    def add_sound(self, name: str, samples: bytes) -> None:
        fd = os.memfd_create("sound")
        memory, parts = pack(Sound(name, "", 0, samples, samples[::-1]))
        os.write(fd, memory)
        fds = [fd]
        self.relay.obey(control.AddSound(name=name, parts=parts), fds)
        assert fds == []


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    yield desk
    desk.relay.finish(EndCause.AGENT_STOPPED)
    desk.loop.close()


@pytest.fixture
def phones() -> Iterator[tuple[Phone, Phone]]:
    with Phone() as customer, Phone() as officer:
        yield customer, officer


@pytest.fixture
def legs(desk: Desk, phones: tuple[Phone, Phone]) -> tuple[Phone, Phone]:
    for name, phone in zip("co", phones, strict=True):
        desk.open(name, phone)
    return phones


Legs = tuple[Phone, Phone]


def start(path: Path, **changes: object) -> control.StartRecording:
    fields: dict[str, object] = {
        "recording": new_id(),
        "legs": ("c", "o"),
        "tapped": (True, True),
        "journal_key": KEY,
        "key_id": b"8 bytes!",
        "epoch": 0,
        "path": str(path),
        "notes": (b'{"type":"begin"}',),
    }
    return control.StartRecording(**(fields | changes))  # type: ignore[arg-type]


def play(name: str = "s", *, token: int = 1, loop: bool = False) -> control.Play:
    return control.Play(leg="c", token=token, sounds=(name,), loop=loop)


def test_a_playout_ends_with_its_last_frame(desk: Desk, legs: Legs) -> None:
    desk.add_sound("s", SOUND)
    desk.obey(play())
    ended = desk.until(events.PlayEnded)
    assert isinstance(ended, events.PlayEnded)
    assert (ended.completed, ended.frames, ended.sent_ms) == (True, 3, 60)
    assert b"".join(packet.payload for packet in legs[0].heard()) == SOUND


def test_the_next_playout_keeps_step_with_the_last(desk: Desk, legs: Legs) -> None:
    desk.add_sound("s", SOUND)
    desk.obey(play())
    first = desk.until(events.PlayEnded)
    desk.obey(play(token=2))
    second = desk.until(events.PlayEnded)
    assert isinstance(first, events.PlayEnded)
    assert isinstance(second, events.PlayEnded)
    assert second.started_ns - first.ended_ns >= 19_000_000


def test_a_sound_of_nothing_is_none(desk: Desk, legs: Legs) -> None:
    desk.add_sound("empty", b"")
    desk.obey(play("empty"), play("never added", token=2))
    for _ in range(2):
        ended = desk.until(events.PlayEnded)
        assert isinstance(ended, events.PlayEnded)
        assert not ended.completed


def test_a_bridge_breaks_off_what_plays_and_older_bridges(
    desk: Desk, legs: Legs
) -> None:
    desk.add_sound("s", SOUND)
    with Phone() as third:
        desk.open("t", third)
        desk.obey(control.Bridge(a="c", b="t"), play(loop=True))
        desk.obey(control.Bridge(a="c", b="o"))
        assert isinstance(desk.until(events.PlayEnded), events.PlayEnded)
        assert desk.relay._legs["t"].partner is None
        assert desk.relay._legs["c"].partner is desk.relay._legs["o"]


def test_a_recording_from_tap_to_disk(desk: Desk, legs: Legs, tmp_path: Path) -> None:
    path = tmp_path / "r.0.journal"
    command = start(path, tapped=(True, False))
    desk.obey(
        control.Bridge(a="c", b="o"),
        command,
        control.Grant(recording=command.recording),
    )
    desk.until(events.RecordingOpened)
    for n in range(3):
        legs[0].say(audio_bytes(n))
        legs[1].say(audio_bytes(n))
        for leg in desk.relay._legs.values():
            leg.on_rtp()
    name = command.recording
    now = monotonic_ns()
    desk.obey(
        control.Mark(recording=name, note=b'{"type":"mark","kind":"hold"}'),
        control.Tap(recording=name, leg="c", on=False, at_ns=now),
        control.Tap(recording=name, leg="x", on=True, at_ns=now),
        control.StopRecording(recording=name, end=b'{"type":"end"}'),
        control.Tap(recording=name, leg="c", on=True, at_ns=now),
    )
    closed = desk.until(events.RecordingClosed)
    assert isinstance(closed, events.RecordingClosed)
    assert closed.packets == 3
    assert desk.relay._legs["c"].tap is None
    journal = read_journal(path.read_bytes(), KEY)
    assert journal.complete
    assert closed.bytes == path.stat().st_size


def test_a_block_is_sealed_within_a_second(
    desk: Desk, legs: Legs, tmp_path: Path
) -> None:
    path = tmp_path / "r.0.journal"
    command = start(path)
    desk.obey(command, control.Grant(recording=command.recording))
    desk.until(events.RecordingOpened)
    for n in range(2):
        legs[0].say(audio_bytes(n))
        desk.relay._legs["c"].on_rtp()
    desk.loop.call_at(monotonic_ns() + SECOND, lambda _: desk.loop.stop())
    desk.loop.run()
    journal = read_journal(path.read_bytes(), KEY)
    assert not journal.complete
    assert len(journal.records) == 3


def test_recordings_that_fail_leave_no_tap(
    desk: Desk, legs: Legs, tmp_path: Path
) -> None:
    path = tmp_path / "taken"
    path.write_bytes(b"another's")
    reasons = []
    taken = start(path)
    for command in (
        start(path, recording="no uuid"),
        start(path, legs=("c", "x")),
        start(path, notes=(bytes(70_000),)),
        taken,
    ):
        desk.obey(command)
        if command is taken:
            desk.obey(control.Grant(recording=taken.recording))
        failed = desk.until(events.RecordingFailed)
        assert isinstance(failed, events.RecordingFailed)
        reasons.append(failed.reason)
        assert desk.relay._legs["c"].tap is None
    assert reasons == ["bad-header", "no-leg", "note-too-long", "EEXIST"]


def test_a_recording_goes_on_where_no_memory_can_be_locked(
    desk: Desk, legs: Legs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object) -> None:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    block = create_open_block()
    monkeypatch.setattr(memory, "_lock", refuse)
    command = start(tmp_path / "r.0.journal", kept=True)
    fds = [block]
    desk.relay.obey(command, fds)
    refused = desk.until(events.MemoryRefused)
    assert isinstance(refused, events.MemoryRefused)
    assert refused.recording == command.recording
    assert "Raise LimitMEMLOCK= of the unit." in refused.reason
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(block)
    desk.obey(control.Grant(recording=command.recording))
    desk.until(events.RecordingOpened)


def test_the_end_closes_journals_and_says_so(
    desk: Desk, legs: Legs, tmp_path: Path
) -> None:
    path = tmp_path / "r.0.journal"
    command = start(path)
    desk.obey(command, control.Grant(recording=command.recording))
    other = Desk()
    other.relay.finish(EndCause.AGENT_DIED)
    other.loop.close()
    assert other.told == []
    desk.relay.finish(EndCause.AGENT_DIED)
    kinds = [type(event) for event in desk.told]
    assert kinds.count(events.LegClosed) == 2
    assert events.RecordingClosed in kinds
    journal = read_journal(path.read_bytes(), KEY)
    assert journal.complete
    notes = [record[0] for record in journal.records if len(record) == 1]
    assert note_kinds(notes) == ["begin", "agent-died"]
    desk.relay = Relay(
        desk.loop,
        desk.told.append,
        timeout=60.0,
        one_way_after=0.0,
        silent_after=0.0,
        fsync_interval=1.0,
        rng=random.Random(1),
    )


def test_reports_are_sent_every_few_seconds(
    desk: Desk, legs: Legs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.media.reports.INTERVAL", 0.01)
    with Phone() as phone:
        desk.open("p", phone)
        desk.loop.call_at(monotonic_ns() + SECOND // 5, lambda _: desk.loop.stop())
        desk.loop.run()
        assert phone.rtcp.recv(2000)
        assert phone.rtcp.recv(2000)
