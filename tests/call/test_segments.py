import pytest

from agent.call import commands as do
from agent.call.pause import NotRecordedError
from agent.call.segments import SegmentCommand, Segments
from agent.model.call import EndCause, Outcome


def segments(*, wanted: bool = True) -> tuple[Segments, list[SegmentCommand]]:
    emitted: list[SegmentCommand] = []
    return Segments(
        emitted.append, wanted=wanted, max_length=100.0, max_pause=50.0
    ), emitted


def open_one(recorded: Segments, now: float = 0.0) -> None:
    recorded.open(now)


def test_a_segment_opens_once_and_closes_once() -> None:
    recorded, emitted = segments()
    recorded.close(EndCause.OFFICER_HANGUP)  # none is open
    open_one(recorded, 5.0)
    assert recorded.deadline == 105.0
    recorded.close(EndCause.SEGMENT_LIMIT)
    recorded.close(EndCause.SEGMENT_LIMIT)
    assert recorded.deadline is None
    assert recorded.open(0.0) == 2
    assert emitted == [do.CloseRecording(cause=EndCause.SEGMENT_LIMIT)]
    assert recorded.outcome is Outcome.RECORDED


def suspend(recorded: Segments, now: float, seconds: float | None = None) -> None:
    recorded.suspend(by="x", reason="", seconds=seconds, now=now)


def test_what_is_not_open_cannot_be_paused() -> None:
    recorded, _ = segments()
    with pytest.raises(NotRecordedError):
        suspend(recorded, 0.0)


def test_the_next_segment_begins_in_the_pause() -> None:
    recorded, emitted = segments()
    open_one(recorded)
    suspend(recorded, 1.0)
    recorded.close(EndCause.TRANSFERRED)
    suspend(recorded, 2.0, 10.0)  # also while none is open
    open_one(recorded)
    assert recorded.pause.order == emitted[0]
    recorded.pause.end(by="x", reason="command")
    recorded.close(EndCause.SEGMENT_LIMIT)
    open_one(recorded)
    assert recorded.pause.order is None


def test_what_is_forbidden_is_paused_no_more() -> None:
    recorded, _ = segments()
    open_one(recorded)
    suspend(recorded, 1.0)
    recorded.forbid("the disk is full")
    assert recorded.pause.deadline is None


def test_a_failure_that_left_nothing_is_no_recording() -> None:
    recorded, emitted = segments()
    open_one(recorded)
    recorded.note_failure(kept=False)
    recorded.forbid("the disk is full")
    assert emitted == [
        do.CloseRecording(cause=EndCause.RECORDING_FAILED),
        do.Alarm(reason="the disk is full"),
    ]
    assert not recorded.wanted
    assert recorded.outcome is Outcome.UNRECORDED


def test_a_failure_that_left_something_is_a_part() -> None:
    recorded, _ = segments()
    open_one(recorded)
    recorded.note_failure(kept=True)
    assert recorded.outcome is Outcome.PARTIAL


def test_a_failure_in_a_later_segment_leaves_the_earlier_ones() -> None:
    recorded, _ = segments()
    open_one(recorded)
    recorded.close(EndCause.SEGMENT_LIMIT)
    open_one(recorded)
    recorded.note_failure(kept=False)
    assert recorded.outcome is Outcome.PARTIAL


def test_what_was_forbidden_midway_is_a_part() -> None:
    recorded, _ = segments()
    open_one(recorded)
    recorded.close(EndCause.TRANSFERRED)
    recorded.forbid("the notice could not be played")
    assert recorded.outcome is Outcome.PARTIAL


def test_what_is_missing_is_counted_once_and_until_the_talk_is_over() -> None:
    recorded, emitted = segments()
    recorded.miss()  # nothing has failed
    assert emitted == []
    open_one(recorded)
    recorded.stop()
    recorded.miss()
    after, more = segments()
    after.restore(recorded.state)
    after.miss()
    after.close(EndCause.CALLER_HANGUP)
    after.close(EndCause.CALLER_HANGUP)
    assert emitted == [
        do.CloseRecording(cause=EndCause.RECORDING_STOPPED),
        do.CountMissing(on=True),
    ]
    assert more == [do.CountMissing(on=False)]


def test_policy_without_any_segment_is_unrecorded() -> None:
    recorded, _ = segments()
    recorded.forbid("no notice")
    assert recorded.outcome is Outcome.UNRECORDED


def test_where_no_officer_came_the_caller_gave_up() -> None:
    recorded, _ = segments()
    assert recorded.outcome is Outcome.ABANDONED


def test_what_is_discarded_was_never_recorded() -> None:
    recorded, emitted = segments()
    open_one(recorded)
    recorded.close(EndCause.TRANSFERRED, discard=True)
    recorded.close(EndCause.TRANSFERRED, discard=True)  # none is open
    assert emitted == [do.CloseRecording(cause=EndCause.TRANSFERRED, discard=True)]
    assert recorded.outcome is Outcome.ABANDONED
    other, _ = segments()
    other.restore(recorded.state)
    assert other.open(1.0) == 2
    assert other.outcome is Outcome.RECORDED
    # Of the only one that counts nothing was written.
    other.note_failure(kept=False)
    assert other.outcome is Outcome.UNRECORDED


def test_what_failed_for_some_may_do_for_others() -> None:
    recorded, _ = segments()
    recorded.renew()
    assert recorded.wanted
    open_one(recorded)
    recorded.note_failure(kept=False)
    recorded.forbid("ENOSPC")
    assert recorded.outcome is Outcome.UNRECORDED
    again, _ = segments()
    again.restore(recorded.state)
    again.renew()
    assert again.wanted
    open_one(again)
    again.close(EndCause.SESSION_ENDED)
    assert again.outcome is Outcome.PARTIAL


def test_what_was_ordered_holds_for_others_too() -> None:
    recorded, _ = segments()
    open_one(recorded)
    recorded.stop()
    recorded.renew()
    assert not recorded.wanted
    recorded, _ = segments(wanted=False)
    recorded.renew()
    assert not recorded.wanted
