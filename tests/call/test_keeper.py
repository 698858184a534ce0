from typing import Any

import msgspec
import pytest
import structlog

from agent.call.keeper import CALL, ENDING, MEDIA, SESSION, Keeper, UnknownStateError
from agent.call.state import (
    STATE_VERSION,
    DirectCallState,
    EndingState,
    LegState,
    SegmentState,
)
from agent.common.ids import new_id
from agent.formats.checkpoint import HEADER_SIZE, Checkpoint
from agent.model.call import CallDirection, Outcome
from agent.model.media import Address
from agent.recording.journal_keys import SLOT_SIZE, JournalKeys
from agent.signalling.sip.flow import Flow

BOOT = bytes(16)
FLOW = Flow("udp", Address("192.0.2.1", 5060), Address("192.0.2.2", 5060))
LEG = LegState(name="a", session="s", flow=FLOW, media_id="m")


class Call:
    def __init__(self, call_id: str = "c") -> None:
        self.call_id = call_id
        self.asked = 0
        self.leg: LegState | None = LEG

    @property
    def state(self) -> DirectCallState | None:
        self.asked += 1
        if self.leg is None:
            return None
        return DirectCallState(
            call_id=self.call_id,
            route="in",
            direction=CallDirection.INBOUND,
            invite=b"INVITE",
            first=self.leg,
            second=self.leg,
        )


class Kept:
    def __init__(self, area: int = 20_000, slots: int = 4) -> None:
        self.memory = bytearray(HEADER_SIZE + 2 * area)
        self.keys = bytearray(slots * SLOT_SIZE)
        Checkpoint.create(self.memory, BOOT)
        self.keeper = Keeper(Checkpoint.open(self.memory, BOOT), JournalKeys(self.keys))
        self.keeper.media_of = lambda call: b"media of " + call.encode()
        self.keeper.session_of = lambda session: (
            b"session" if session != "gone" else None
        )

    def next(self) -> Keeper:
        """That of the next process, as it would be now."""
        checkpoint = Checkpoint.open(bytearray(self.memory), BOOT)
        return Keeper(checkpoint, JournalKeys(bytearray(self.keys)))


ENDED = EndingState(call_id="c", outcome=Outcome.RECORDED, ended_utc_ns=5)


def segment(recording_id: str, **more: Any) -> SegmentState:
    return SegmentState(
        recording_id=recording_id, call_id="c", key_id=b"k", recipient="age1", **more
    )


def test_nothing_is_kept_before_the_round_is_over_and_then_all_of_it() -> None:
    kept, call = Kept(), Call()
    kept.keeper.changed(call)
    kept.keeper.changed(call)
    assert kept.keeper.calls() == []
    kept.keeper.commit({"s"})
    assert call.asked == 1
    following = kept.next()
    assert following.calls() == [call.state]
    assert following.documents(MEDIA) == {"c": b"media of c"}
    assert following.documents(SESSION) == {"s": b"session"}


def test_a_round_without_changes_writes_nothing() -> None:
    kept, call = Kept(), Call()
    kept.keeper.changed(call)
    kept.keeper.commit({"s"})
    before = bytes(kept.memory)
    kept.keeper.changed(call)
    kept.keeper.commit({"s", "gone"})
    kept.keeper.commit()
    assert kept.memory == before


def test_a_call_that_is_being_set_up_is_not_kept() -> None:
    kept, call = Kept(), Call()
    call.leg = None
    kept.keeper.changed(call)
    kept.keeper.commit()
    assert dict(kept.next().documents("")) == {}


def test_of_a_call_that_is_over_its_row_is_left_until_that_is_closed() -> None:
    kept, call = Kept(), Call()
    kept.keeper.changed(call)
    kept.keeper.commit()
    kept.keeper.end(ENDED)
    call.leg = None
    kept.keeper.changed(call)
    assert kept.next().endings() == []
    kept.keeper.commit()
    following = kept.next()
    assert following.calls() == []
    assert following.endings() == [ENDED]
    # Its worker may still be closing the journal.
    assert following.documents(MEDIA) == {"c": b"media of c"}
    kept.keeper.forget("c")
    assert kept.next().documents("") == {}


def test_a_call_that_never_was_established_leaves_no_row() -> None:
    kept = Kept()
    kept.keeper.end(ENDED)
    kept.keeper.commit()
    assert kept.next().documents(ENDING) == {}


def test_a_recording_is_kept_with_its_key_until_it_is_sealed() -> None:
    kept = Kept()
    recording = new_id()
    kept.keeper.keep_segment(segment(recording), bytes(range(32)))
    kept.keeper.keep_segment(segment(recording, gap=True), None)
    following = kept.next()
    assert following.segments() == [segment(recording, gap=True)]
    assert following.keys.all() == {recording: bytes(range(32))}
    kept.keeper.forget_segment(recording)
    assert kept.next().segments() == []
    assert not any(kept.keys)


def test_a_recording_beyond_the_slots_is_told_of_and_salvaged_later() -> None:
    kept = Kept(slots=1)
    with structlog.testing.capture_logs() as log:
        for _ in range(2):
            recording = new_id()
            kept.keeper.keep_segment(segment(recording), bytes(32))
    assert [entry["event"] for entry in log] == ["state_not_kept"]
    assert len(kept.next().segments()) == 1


def test_what_does_not_fit_is_forgotten_and_told() -> None:
    kept, call = Kept(area=1500), Call()
    kept.keeper.changed(call)
    kept.keeper.commit()
    assert kept.next().calls() == [call.state]
    call.leg = msgspec.structs.replace(LEG, local_description=bytes(2000))
    kept.keeper.changed(call)
    with structlog.testing.capture_logs() as log:
        kept.keeper.commit()
    assert [entry["event"] for entry in log] == ["state_not_kept"]
    # A state of another moment would be worse than none.
    assert kept.next().calls() == []


@pytest.mark.parametrize(
    "document",
    [
        msgspec.msgpack.encode({"version": STATE_VERSION + 1, "type": "call"}),
        msgspec.msgpack.encode({"version": STATE_VERSION, "type": "call"}),
        msgspec.msgpack.encode({"type": "call"}),
        b"\xc1",
    ],
)
def test_what_another_version_kept_is_not_guessed_at(document: bytes) -> None:
    kept = Kept()
    Checkpoint.open(kept.memory, BOOT).put(CALL + "c", document)
    with pytest.raises(UnknownStateError):
        kept.next().calls()


def test_all_of_it_can_be_forgotten() -> None:
    kept, call = Kept(), Call()
    kept.keeper.changed(call)
    kept.keeper.commit({"s"})
    kept.keeper.keep_segment(segment(new_id()), bytes(32))
    kept.keeper.clear()
    assert kept.next().documents("") == {}
    assert not any(kept.keys)


def test_a_state_that_ends_every_process_is_given_up() -> None:
    kept = Kept()
    for _ in range(3):
        kept.keeper.count_attempt(3)
    with pytest.raises(UnknownStateError, match="3 processes"):
        kept.keeper.count_attempt(3)
    kept.keeper.attempt_succeeded()
    kept.keeper.count_attempt(3)


def test_a_call_whose_state_cannot_be_made_goes_on_without() -> None:
    kept, call = Kept(), Call()
    kept.keeper.changed(call)
    kept.keeper.commit()
    broken: Any = property(lambda _: 1 / 0)
    kept.keeper.changed(type("Broken", (Call,), {"state": broken})())
    with structlog.testing.capture_logs() as log:
        kept.keeper.commit()
    assert [entry["event"] for entry in log] == ["state_failed"]
    # A state of before would be worse than none.
    assert kept.next().calls() == []
