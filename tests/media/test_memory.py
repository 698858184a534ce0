import json
import socket
from pathlib import Path

import pytest

from agent.media import control
from agent.media.memory import (
    LegMemory,
    RecordingMemory,
    bridge_commands,
    leg_commands,
    play_commands,
)
from agent.media.ports import PortPair
from agent.media.state import LegState
from agent.media.tap import BLOCK_NS
from agent.model.media import Latch
from agent.model.recording import Channel, SegmentMark
from tests.media.phones import Phone
from tests.media.secure_phone import SecurePhone

SECOND = 1_000_000_000
JOURNALS = Path("/spool/journal")


def leg(name: str) -> LegMemory:
    a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    return LegMemory(name, "call", 0, PortPair(4000, a, b))


@pytest.fixture
def recording() -> RecordingMemory:
    return RecordingMemory(
        name="r",
        call="call",
        worker=0,
        legs=("c", "o"),
        journal_key=b"secret" * 5,
        key_id=b"k" * 8,
        begin=b'"begin"',
        started_ns=100 * SECOND,
        tapped=(True, True),
        since_ns=(0, 0),
    )


def test_a_successor_is_told_sockets_then_bridges_then_sounds() -> None:
    a, b, c = legs = [leg(name) for name in "abc"]
    with Phone() as phone:
        a.configured = control.Configure(
            leg="a", audio=phone.negotiated(), latch=Latch.OFF
        )
    a.join(b)
    c.play = control.Play(leg="c", token=1, sounds=("s",), loop=True)
    told = list(leg_commands(legs))
    assert [type(message) for message, _ in told] == [
        control.OpenLeg,
        control.Configure,
        control.OpenLeg,
        control.OpenLeg,
    ]
    assert list(bridge_commands(legs)) == [
        control.Bridge(a="a", b="b"),
        control.Bridge(a="b", b="a"),
    ]
    assert list(play_commands(legs)) == [c.play]
    message, fds = told[0]
    assert message == control.OpenLeg(leg="a", resumed=True)
    assert fds == (a.ports.rtp.fileno(), a.ports.rtcp.fileno())
    for memory in legs:
        memory.ports.close()


def test_a_key_is_not_told_for_sending_to_a_successor() -> None:
    plain, secure, silent, mute = legs = [leg(name) for name in "abcd"]
    mute.mute = True
    with Phone() as phone, SecurePhone() as other:
        for memory, audio in (
            (plain, phone.negotiated()),
            (secure, other.negotiated()),
            (mute, other.negotiated()),
        ):
            memory.configured = control.Configure(
                leg=memory.name, audio=audio, latch=Latch.OFF
            )
        assert [memory.spend_key() for memory in legs] == [False, True, False, False]
        assert plain.configured is not None
        assert plain.configured.audio == phone.negotiated()
        told = secure.configured
        assert told is not None
        assert told.latch is Latch.OFF
        assert told.audio.srtp is not None
        assert told.audio.srtp.send == b""
        assert told.audio.srtp.receive == other.key
        state = LegState(
            leg="d", host="", port=0, configured=mute.configured, mute=mute.mute
        )
        next_process = LegMemory.of(state, "call", 0, mute.ports)
        assert not next_process.spend_key()
        assert next_process.configured is not None
        assert next_process.configured.audio.srtp == other.negotiated().srtp
    assert silent.configured is None
    for memory in legs:
        memory.ports.close()


def test_a_leg_has_one_partner() -> None:
    a, b, c = legs = [leg(name) for name in "abc"]
    a.join(b)
    a.join(c)
    assert (a.partner, b.partner, c.partner) == (c, None, a)
    c.part()
    c.part()
    assert (a.partner, c.partner) == (None, None)
    for memory in legs:
        memory.ports.close()


def test_taps_are_remembered(recording: RecordingMemory) -> None:
    recording.tap("o", on=False, at_ns=7)
    recording.tap("x", on=False, at_ns=8)
    assert recording.start_command(JOURNALS)[0].tapped == (True, False)
    recording.tap("c", on=False, at_ns=9)
    recording.tap("o", on=True, at_ns=10)
    start, _ = recording.start_command(JOURNALS)
    assert (start.tapped, start.since_ns) == ((False, True), (9, 10))


def test_a_leg_that_joined_is_told_to_every_worker(recording: RecordingMemory) -> None:
    mark = SegmentMark(
        at_monotonic_ns=7, kind="stream", channel=Channel.BOTH, codecs={"": {"0": "x"}}
    )
    told = recording.add_leg("late", mark)
    assert (told.leg, told.index) == ("late", 2)
    note = json.loads(told.note)
    assert (note["leg"], note["codecs"]) == (2, {"2": {"0": "x"}})
    recording.tap("late", on=False, at_ns=9)
    # Whoever has it may not have been told yet; whoever has not begins with it.
    assert [type(one) for one in recording.repeated()] == [
        control.AddLeg,
        control.Tap,
        control.Tap,
        control.Tap,
    ]
    assert next(iter(recording.repeated())) == told
    start, _ = recording.start_command(JOURNALS, (b"recent",))
    assert start.notes == (recording.begin, told.note, b"recent")
    assert (start.first, start.legs) == (2, ("c", "o", "late"))
    assert (start.tapped, start.since_ns) == ((True, True, False), (0, 0, 9))
    taken = RecordingMemory.of(recording.state, "call", 0, recording.journal_key)
    assert taken == recording
    assert "secret" not in repr(told) + repr(recording.state)


def test_every_writer_has_its_own_file(recording: RecordingMemory) -> None:
    first, _ = recording.start_command(JOURNALS)
    told = [m for m, _ in recording.commands(JOURNALS, 201 * SECOND)]
    (second,) = told
    assert isinstance(second, control.StartRecording)
    assert (first.path, second.path) == (
        "/spool/journal/r.0.journal",
        "/spool/journal/r.1.journal",
    )
    assert (first.epoch, second.epoch) == (0, 1)
    assert first.notes == (b'"begin"',)


def test_the_gap_begins_where_the_last_block_is_certain(
    recording: RecordingMemory,
) -> None:
    recording.granted = True
    recording.lost_ns = 200 * SECOND
    recording.note(b'"old"', 190 * SECOND)
    recording.note(b'"young"', 199 * SECOND)
    start, grant = (m for m, _ in recording.commands(JOURNALS, 201 * SECOND))
    assert isinstance(start, control.StartRecording)
    assert start.notes[:2] == (b'"begin"', b'"young"')
    gap = [json.loads(note) for note in start.notes[2:]]
    assert [(mark["kind"], mark["at_monotonic_ns"]) for mark in gap] == [
        ("gap-begin", 200 * SECOND - BLOCK_NS),
        ("gap-end", 201 * SECOND),
    ]
    assert {mark["reason"] for mark in gap} == {"worker-lost"}
    assert grant == control.Grant(recording="r")


def test_a_gap_does_not_begin_before_the_recording(recording: RecordingMemory) -> None:
    recording.lost_ns = recording.started_ns + SECOND // 10
    ((start, _),) = recording.commands(JOURNALS, recording.lost_ns + SECOND)
    assert isinstance(start, control.StartRecording)
    assert json.loads(start.notes[1])["at_monotonic_ns"] == recording.started_ns


def test_a_worker_that_has_a_leg_is_told_what_it_may_have_missed() -> None:
    memory = leg("c")
    memory.closing = True
    assert list(memory.repeated(3, partner="")) == [
        control.Unbridge(leg="c"),
        control.StopPlaying(leg="c"),
        control.CloseLeg(leg="c"),
    ]
    memory.closing = False
    memory.play = control.Play(leg="c", token=3, sounds=(), loop=False)
    assert list(memory.repeated(3, partner="o")) == []
    memory.ports.close()


def test_a_journal_that_is_there_is_not_begun_again(
    recording: RecordingMemory, tmp_path: Path
) -> None:
    recording.path(tmp_path).touch()
    (tmp_path / "r.1.journal").touch()
    ((start, _),) = recording.commands(tmp_path, 201 * SECOND)
    assert isinstance(start, control.StartRecording)
    assert (start.epoch, start.path) == (2, str(tmp_path / "r.2.journal"))


def test_no_key_in_a_representation(recording: RecordingMemory) -> None:
    assert "secret" not in repr(recording)
