import pytest

from agent.call import commands as do
from agent.call.pause import NotRecordedError
from agent.call.siprec import commands as rec
from agent.call.siprec.recording_session import MAX_LEGS, Phase
from agent.call.siprec.snapshots import INTERVAL
from agent.model.call import EndCause, Outcome
from agent.model.recording import Channel, RecordState
from tests.call.siprec.machine import Session, closing
from tests.call.siprec.situations import OFFICER, parties, situation, stream

NOBODY: frozenset[str] = frozenset()


# -- set-up --------------------------------------------------------------------


def test_it_is_recorded_from_the_answer_to_the_clients_bye() -> None:
    session = Session()
    assert session.machine.phase is Phase.OFFERED
    assert session.machine.state is None
    assert session.begin() == [rec.Answer()]
    told = situation()
    session.machine.answered(told, 0.0)
    assert session.commands() == [
        rec.OpenSegment(
            number=1,
            situation=told,
            legs=("s1", "s2"),
            channels=(Channel.CUSTOMER, Channel.OFFICER),
            paused=None,
        )
    ]
    assert session.machine.phase is Phase.TALKING
    assert session.machine.segments.recording is RecordState.ON
    session.machine.left(EndCause.SESSION_ENDED)
    assert session.commands() == [
        closing(EndCause.SESSION_ENDED),
        do.Close(
            outcome=Outcome.RECORDED, cause=EndCause.SESSION_ENDED, sip_status=None
        ),
    ]
    session.machine.left(EndCause.SESSION_ENDED)
    session.machine.stop()
    session.machine.refuse_unrecordable()
    assert session.look() == []
    assert session.machine.state is None


def test_who_cannot_record_says_so_that_another_may() -> None:
    session = Session()
    [refused, close] = session.begin(can_record=False)
    assert refused.status == 503
    assert close.outcome is Outcome.BLOCKED


def test_a_client_that_must_have_an_answer_gets_it_unrecorded() -> None:
    session = Session(on_recording_failure="unrecorded")
    [alarm, answer] = session.begin(can_record=False)
    assert isinstance(alarm, do.Alarm)
    assert answer == rec.Answer()
    session.machine.answered(situation(), 0.0)
    assert session.commands() == [do.CountMissing(on=True)]
    session.machine.left(EndCause.SESSION_ENDED)
    assert session.closed().outcome is Outcome.UNRECORDED


def test_an_offer_without_audio_is_refused() -> None:
    session = Session()
    session.begin()
    session.machine.unacceptable(488, "Not Acceptable Here")
    [refused, close] = session.commands()
    assert (refused.status, close.outcome) == (488, Outcome.REJECTED)


def test_a_client_that_gives_up_before_the_answer_had_nothing_recorded() -> None:
    session = Session()
    session.begin()
    assert session.look() == []
    session.machine.left(EndCause.CALLER_HANGUP)
    assert session.closed().outcome is Outcome.ABANDONED


def test_the_agent_stops_before_and_after_the_answer() -> None:
    session = Session()
    session.begin()
    session.machine.stop()
    assert session.closed().outcome is Outcome.FAILED
    session = Session()
    session.up()
    session.machine.stop()
    [hang_up, closed, close] = session.commands()
    assert isinstance(hang_up, rec.HangUp)
    assert closed == closing(EndCause.AGENT_STOPPED)
    assert close.outcome is Outcome.RECORDED


# -- who talks -----------------------------------------------------------------


def test_another_officer_is_another_segment_and_the_same_ones_are_not() -> None:
    session = Session()
    session.up()
    assert session.look() == []
    [closed, opened] = session.look(who=parties("202"))
    assert closed == closing(EndCause.TRANSFERRED)
    assert (opened.number, opened.situation.parties.officers) == (2, ("202",))
    [closed, opened] = session.look(who=parties("202", OFFICER))
    assert opened.number == 3
    assert session.look(who=parties(OFFICER, "202")) == []


def test_a_label_that_means_another_party_is_another_segment() -> None:
    session = Session()
    session.up()
    swapped = {"label-s1": Channel.OFFICER, "label-s2": Channel.CUSTOMER}
    [_closed, opened] = session.look(who=parties(OFFICER, channels=swapped))
    assert opened.channels == (Channel.OFFICER, Channel.CUSTOMER)


def test_a_stream_nobody_can_place_is_heard_on_both_sides() -> None:
    session = Session()
    [opened] = session.up(stream("s1", "x"))
    assert opened.channels == (Channel.BOTH,)


def test_a_stream_that_comes_later_joins_the_segment() -> None:
    session = Session()
    session.up(stream("s1"))
    assert session.look() == [rec.AddStream(leg="s2", channel=Channel.OFFICER)]
    [joined, silence] = session.look(
        stream("s1"), stream("s2"), stream("s3", active=False)
    )
    assert joined == rec.AddStream(leg="s3", channel=Channel.BOTH)
    assert silence == rec.Silence(inactive=frozenset({"s3"}), held=NOBODY)


def test_more_streams_than_a_segment_takes_begin_another() -> None:
    session = Session()
    session.up()
    many = [stream(f"s{n}") for n in range(1, MAX_LEGS + 2)]
    assert len(session.look(*many[:MAX_LEGS])) == MAX_LEGS - 2
    [closed, opened] = session.look(*many[1:])
    assert closed == closing(EndCause.TRANSFERRED)
    assert len(opened.legs) == MAX_LEGS


def test_it_may_outlast_the_calls_it_records() -> None:
    session = Session()
    assert session.up(going_on=False) == []
    assert session.machine.phase is Phase.IDLE
    assert session.machine.segments.recording is RecordState.OFF
    session.machine.media_timeout()
    assert session.commands() == []
    [opened] = session.look()
    assert opened.number == 1
    assert session.look(going_on=False) == [closing(EndCause.SESSION_ENDED)]
    assert session.look(going_on=False) == []
    [opened] = session.look()
    assert opened.number == 2


def test_without_any_call_nothing_was_recorded() -> None:
    session = Session()
    session.up(going_on=False)
    session.machine.left(EndCause.SESSION_ENDED)
    assert session.closed().outcome is Outcome.ABANDONED


def test_without_a_stream_nothing_is_opened() -> None:
    session = Session()
    session.begin()
    none = situation(stream("s1"))
    session.machine.answered(type(none)(streams=(), parties=none.parties), 0.0)
    assert session.commands() == []
    [opened] = session.look()
    assert opened.legs == ("s1", "s2")


# -- silence -------------------------------------------------------------------


def test_a_stream_falls_silent_and_comes_back() -> None:
    session = Session()
    session.up()
    both = (stream("s1", active=False), stream("s2", active=False))
    assert session.look(both[0], stream("s2")) == [
        rec.Silence(inactive=frozenset({"s1"}), held=NOBODY)
    ]
    assert session.look(*both) == [
        rec.Silence(inactive=frozenset({"s1", "s2"}), held=NOBODY)
    ]
    assert session.look(*both) == []
    held = frozenset({"label-s2"})
    assert session.look(held=held) == [
        rec.Silence(inactive=NOBODY, held=frozenset({"s2"}))
    ]
    assert session.look() == [rec.Silence(inactive=NOBODY, held=NOBODY)]
    # One that is no more stays a leg, of which nothing comes.
    assert session.look(stream("s1")) == [
        rec.Silence(inactive=frozenset({"s2"}), held=NOBODY)
    ]


def test_what_begins_silent_is_told_once() -> None:
    session = Session()
    silent = (stream("s1", active=False), stream("s2", active=False))
    [opened] = session.up(*silent)
    assert opened.legs == ("s1", "s2")
    assert session.look(*silent) == []


# -- operators, failures, time -------------------------------------------------


def test_a_pause_outlasts_a_segment_and_ends_by_itself() -> None:
    session = Session()
    session.up()
    session.machine.segments.suspend(by="mqtt", reason="card", seconds=10.0, now=1.0)
    [paused] = session.commands()
    assert session.machine.segments.recording is RecordState.PAUSED
    assert session.machine.segments.pause.span == (1.0, 11.0)
    [_, opened] = session.look(who=parties("202"))
    assert opened.paused == paused
    assert session.machine.get_timer() == 11.0
    session.machine.handle_timer(11.0)
    [resumed] = session.commands()
    assert resumed.reason == "limit"
    assert session.machine.segments.pause.span is None
    session.machine.segments.suspend(by="mqtt", reason="", seconds=None, now=12.0)
    session.machine.segments.pause.end(by="mqtt", reason="command")
    assert len(session.commands()) == 2


def test_recording_is_stopped_by_somebody_and_stays_so() -> None:
    session = Session()
    session.up()
    session.machine.segments.stop()
    assert session.commands() == [
        closing(EndCause.RECORDING_STOPPED),
        do.CountMissing(on=True),
    ]
    with pytest.raises(NotRecordedError):
        session.machine.segments.stop()
    assert session.look(who=parties("202")) == []
    session.machine.left(EndCause.SESSION_ENDED)
    assert session.closed().outcome is Outcome.PARTIAL


def test_a_long_segment_goes_on_in_the_next() -> None:
    session = Session()
    session.up()
    assert session.machine.get_timer() == 100.0
    session.machine.handle_timer(100.0)
    [closed, opened] = session.commands()
    assert closed == closing(EndCause.SEGMENT_LIMIT)
    assert opened.number == 2


def test_a_segment_that_is_lost_is_followed_by_another() -> None:
    session = Session()
    session.machine.segment_lost(0.0)
    session.up()
    session.machine.segment_lost(1.0)
    [_closed, opened] = session.commands()
    assert opened.number == 2


def test_a_capture_that_breaks_hands_the_client_on_or_goes_on_unrecorded() -> None:
    session = Session()
    session.machine.recording_failed("ENOSPC", kept=True)
    session.up()
    session.machine.recording_failed("ENOSPC", kept=True)
    [hang_up, closed, close] = session.commands()
    assert isinstance(hang_up, rec.HangUp)
    assert closed == closing(EndCause.RECORDING_FAILED)
    assert close.outcome is Outcome.PARTIAL
    session = Session(on_recording_failure="unrecorded")
    session.up()
    session.machine.recording_failed("ENOSPC", kept=False)
    [closed, alarm, missing] = session.commands()
    assert alarm.reason == "ENOSPC"
    assert missing == do.CountMissing(on=True)
    assert session.look(who=parties("202")) == []
    session.machine.left(EndCause.SESSION_ENDED)
    assert session.closed().outcome is Outcome.UNRECORDED


def test_a_capture_that_breaks_costs_a_long_session_one_call() -> None:
    session = Session(on_recording_failure="unrecorded")
    session.up()
    session.machine.recording_failed("ENOSPC", kept=False)
    session.commands()
    session = session.moved()
    session.look()
    assert session.look(going_on=False) == [do.CountMissing(on=False)]
    [opened] = session.look()
    assert opened.number == 2
    session.machine.left(EndCause.SESSION_ENDED)
    assert session.closed().outcome is Outcome.PARTIAL


def test_silence_on_all_streams_ends_it() -> None:
    session = Session()
    session.up()
    session.machine.media_timeout()
    [_hang_up, _closed, close] = session.commands()
    assert close.cause is EndCause.MEDIA_TIMEOUT


def test_a_client_that_told_but_a_part_is_asked_for_all_once_it_can_be() -> None:
    session = Session()
    session.begin()
    session.machine.answered(situation(incomplete=True), 0.0)
    [_opened] = session.commands()
    assert session.machine.get_timer() == 100.0
    session.machine.acknowledged(1.0)
    assert session.commands() == [rec.AskSnapshot()]
    assert session.look(incomplete=True, now=2.0) == []
    assert session.machine.get_timer() == 1.0 + INTERVAL
    session.machine.handle_timer(1.0 + INTERVAL)
    assert session.commands() == [rec.AskSnapshot()]
    assert session.look(now=40.0) == []
    session.machine.handle_timer(90.0)
    assert session.commands() == []


# -- another process -----------------------------------------------------------


def test_another_process_goes_on_without_a_word() -> None:
    session = Session()
    session.up(incomplete=True)
    other = session.moved()
    assert other.machine.phase is Phase.TALKING
    other.machine.handle_timer(0.0)
    assert other.look(incomplete=True) == []
    [_closed, opened] = other.look(who=parties("202"), incomplete=True)
    assert opened.number == 2
    assert other.machine.get_timer() == INTERVAL


def test_another_process_knows_why_nothing_is_recorded() -> None:
    session = Session()
    session.up(announced=False)
    other = session.moved()
    assert other.look(announced=False) == []
    other.machine.left(EndCause.SESSION_ENDED)
    assert other.closed().outcome is Outcome.EXEMPT


def test_a_segment_that_was_full_meanwhile_is_followed_by_another() -> None:
    session = Session()
    session.up()
    other = session.moved()
    other.machine.handle_timer(100.0)
    assert other.commands() == [closing(EndCause.SEGMENT_LIMIT)]
    [opened] = other.look(now=100.0)
    assert opened.number == 2
