import errno
import os
from pathlib import Path

import pytest

from agent.common import memory
from agent.common.clock import monotonic_ns
from agent.formats.journal import PacketRecord
from agent.formats.journal_reading import read_journal
from agent.media import control, events
from agent.media.open_block import create_open_block
from tests.media.desks import SECOND, Desk, Legs, start
from tests.media.pairs import notes, packets
from tests.media.phones import KEY, audio_bytes


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


def test_what_came_before_the_end_and_was_not_read_yet_is_written(
    desk: Desk, legs: Legs, tmp_path: Path
) -> None:
    path = tmp_path / "r.0.journal"
    command = start(path)
    desk.obey(command, control.Grant(recording=command.recording))
    desk.until(events.RecordingOpened)
    last_words = [phone.say(audio_bytes(n)) for n in range(3) for phone in legs]
    desk.obey(control.StopRecording(recording=command.recording, end=b"{}"))
    desk.until(events.RecordingClosed)
    journal = read_journal(path.read_bytes(), KEY)
    assert sorted(packets(journal, 0) + packets(journal, 1)) == sorted(last_words)


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

    block = create_open_block(2)
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


def test_one_more_leg_stands_behind_its_note(
    desk: Desk, legs: Legs, tmp_path: Path
) -> None:
    path = tmp_path / "r.0.journal"
    command = start(path, legs=("c",), tapped=(True,), since_ns=(0,))
    name = command.recording
    joins = control.AddLeg(recording=name, leg="o", index=1, note=b'{"kind":"stream"}')
    void = control.AddLeg(recording="gone", leg="o", index=1, note=b"{}")
    desk.obey(command, control.Grant(recording=name), void, joins, joins)
    desk.until(events.RecordingOpened)
    said = [[phone.say(audio_bytes(n)) for n in range(2)] for phone in legs]
    for _ in range(2):
        for leg in desk.relay._legs.values():
            leg.on_rtp()
    nobody = control.AddLeg(recording=name, leg="nobody", index=2, note=b"{}")
    # A main process that did not live to remember the officer's leg.
    again = control.AddLeg(recording=name, leg="c2", index=1, note=b"{}")
    desk.obey(nobody, again)
    assert desk.relay._legs["o"].tap is None
    desk.obey(control.StopRecording(recording=name, end=b'{"type":"end"}'))
    desk.until(events.RecordingClosed)
    journal = read_journal(path.read_bytes(), KEY)
    assert [packets(journal, leg) for leg in range(2)] == said
    assert notes(journal)[1] == joins.note
    assert len(notes(journal)) == 5


def test_no_leg_joins_what_is_over(desk: Desk, legs: Legs, tmp_path: Path) -> None:
    command = start(tmp_path / "r", legs=("c",), tapped=(True,), since_ns=(0,))
    name = command.recording
    desk.obey(
        command,
        control.StopRecording(recording=name, end=b"{}"),
        control.AddLeg(recording=name, leg="o", index=1, note=b"{}"),
    )
    assert desk.relay._legs["o"].tap is None


@pytest.mark.parametrize("held_back", [False, True], ids=["at once", "held back"])
def test_nothing_falls_between_two_recordings(
    desk: Desk, legs: Legs, tmp_path: Path, *, held_back: bool
) -> None:
    one, two = tmp_path / "1.0.journal", tmp_path / "2.0.journal"
    first = start(one)
    desk.obey(first, control.Grant(recording=first.recording))
    desk.until(events.RecordingOpened)
    taps = desk.relay._legs["c"], desk.relay._legs["o"]
    said: list[bytes] = []

    def say(*, read: bool) -> None:
        for phone, leg in zip(legs, taps, strict=True):
            said.append(phone.say(audio_bytes(len(said))))
            if read:
                leg.on_rtp()

    say(read=True)
    say(read=False)
    at_ns = monotonic_ns()
    # Read after the end, before the worker knows of it: all but one, which waits.
    for _ in range(3):
        say(read=True)
    stop = control.StopRecording(recording=first.recording, end=b"{}")
    desk.obey(stop)
    if held_back:
        say(read=False)
    # The legs' order is another one.
    second = start(two, legs=("o", "c"), since_ns=(at_ns, at_ns))
    desk.obey(second, control.Grant(recording=second.recording))
    say(read=True)
    desk.until(events.RecordingOpened)
    say(read=False)
    desk.obey(control.StopRecording(recording=second.recording, end=b"{}"))
    while desk.relay._journals:
        desk.until(events.RecordingClosed)
    before, after = (read_journal(path.read_bytes(), KEY) for path in (one, two))
    for leg in range(2):
        both = *packets(before, leg), *packets(after, 1 - leg)
        assert list(both) == said[leg::2]
    arrivals = [r.arrival_ns for r in before.records if isinstance(r, PacketRecord)]
    assert max(arrivals) < at_ns
    arrivals = [r.arrival_ns for r in after.records if isinstance(r, PacketRecord)]
    assert min(arrivals) >= at_ns


def test_a_worker_that_dies_between_two_recordings_leaves_what_it_took(
    desk: Desk, legs: Legs, tmp_path: Path
) -> None:
    blocks = [create_open_block(2) for _ in range(2)]
    seen = [os.dup(block) for block in blocks]
    first = start(tmp_path / "1.0.journal", kept=True)
    desk.relay.obey(first, [blocks[0]])
    said = [legs[0].say(bytes([n]) * 160) for n in range(1, 4)]
    for _ in said:
        desk.relay._legs["c"].on_rtp()
    at_ns = desk.relay._legs["c"].reception.heard_ns  # of the third

    def left() -> list[list[int]]:
        memory = [os.pread(fd, 1 << 20, 0) for fd in seen]
        return [[n for n, one in enumerate(said) if one in m] for m in memory]

    stop = control.StopRecording(recording=first.recording, end=b"{}")
    desk.obey(stop)
    assert left() == [[0, 1, 2], []]
    second = start(tmp_path / "2.0.journal", since_ns=(at_ns, at_ns), kept=True)
    desk.relay.obey(second, [blocks[1]])
    assert left() == [[0, 1], [2]]
    for fd in seen:
        os.close(fd)


def test_what_came_after_the_end_stays_behind_it_if_nothing_follows_at_once(
    desk: Desk, legs: Legs, tmp_path: Path
) -> None:
    first = start(tmp_path / "first")
    desk.obey(first, control.Grant(recording=first.recording))
    desk.until(events.RecordingOpened)
    said = [legs[0].say(audio_bytes(n)) for n in range(2)]
    for _ in said:
        desk.relay._legs["c"].on_rtp()
    at_ns = monotonic_ns()
    # Where no reader of the journal looks.
    behind = legs[0].say(b"secret")
    desk.relay._legs["c"].on_rtp()
    stop = control.StopRecording(recording=first.recording, end=b"{}")
    mute = start(tmp_path / "mute", tapped=(False, False), since_ns=(at_ns, at_ns))
    late = start(tmp_path / "late", since_ns=(at_ns, at_ns))
    on = control.Tap(recording=first.recording, leg="c", on=True, at_ns=at_ns)
    # What is told to end takes nothing more, nor does what follows and is paused.
    desk.obey(stop, on, stop, mute, control.Grant(recording=mute.recording))
    assert desk.relay._legs["c"].tap is None
    desk.until(events.RecordingClosed)
    assert not desk.relay._journals._ending
    desk.obey(late, control.Grant(recording=late.recording))
    for command in (mute, late):
        desk.obey(control.StopRecording(recording=command.recording, end=b"{}"))
    while desk.relay._journals:
        desk.until(events.RecordingClosed)
    for command, kept in ((first, [*said, behind]), (mute, []), (late, [])):
        journal = read_journal(Path(command.path).read_bytes(), KEY)
        assert journal.complete
        assert packets(journal, 0) == kept
