import itertools

import pytest

from agent.call import commands as do
from agent.call.conversation import Conversation
from agent.call.conversation_states import State
from agent.call.notices import NOTICE_LIMIT
from agent.model.call import EndCause, Outcome
from tests.call.sessions import evidence
from tests.call.talks import SEGMENT_1, Talk, second


def test_it_begins_bridged_and_recorded() -> None:
    assert Talk().begun == [
        do.Bridge(a="a", b="b1"),
        do.OpenRecording(segment=1, customer="a", officer="b1", notices=(evidence(),)),
    ]
    assert Talk(wanted=False).begun == [do.Bridge(a="a", b="b1")]


def test_who_hangs_up_is_told() -> None:
    talk = Talk()
    talk.it.left("b9", 1.0)  # no talker
    assert talk.take() == []
    talk.it.left("b1", 2.0)
    assert talk.take() == [
        do.CloseRecording(cause=EndCause.OFFICER_HANGUP),
        do.HangUp(leg="a", q850=16),
        do.HangUp(leg="b1", q850=16),
    ]
    assert talk.causes == [EndCause.OFFICER_HANGUP]
    talk.it.left("a", 2.1)  # its BYE crossed ours
    talk.it.stop(2.2)
    assert talk.take() == []


def test_a_full_segment_is_followed_by_the_next() -> None:
    talk = Talk()
    assert talk.it.get_timer() == 100.0
    talk.it.handle_timer(99.0)
    assert talk.take() == []
    talk.it.handle_timer(100.0)
    closed, opened = talk.take()
    assert closed == do.CloseRecording(cause=EndCause.SEGMENT_LIMIT)
    assert isinstance(opened, do.OpenRecording)
    assert opened.segment == 2


def test_a_segment_that_can_never_be_opened_is_followed_by_the_next() -> None:
    talk = Talk()
    talk.it.segment_lost(1.0)
    closed, opened = talk.take()
    assert isinstance(closed, do.CloseRecording)
    assert isinstance(opened, do.OpenRecording)
    assert opened.segment == 2
    silent = Talk(wanted=False)
    silent.it.segment_lost(1.0)  # there is none
    assert silent.take() == []


def test_a_broken_recording_ends_it_or_does_not() -> None:
    talk = Talk()
    talk.it.recording_failed("disk full", 1.0, kept=True)
    talk.it.recording_failed("disk still full", 2.0, kept=True)
    assert talk.take() == [
        do.CloseRecording(cause=EndCause.RECORDING_FAILED),
        do.Alarm(reason="disk full"),
        do.CountMissing(on=True),
    ]
    assert talk.it.get_timer() is None
    talk = Talk(on_recording_failure="refuse")
    talk.it.recording_failed("disk full", 1.0, kept=True)
    assert talk.causes == [EndCause.RECORDING_FAILED]


def test_what_is_not_recorded_is_counted_while_it_should_be() -> None:
    talk = Talk()
    talk.it.recording_failed("disk full", 1.0, kept=True)
    assert talk.take()[-1] == do.CountMissing(on=True)
    # One officer hands over to the next …
    talk.it.replaced("b1", "b2", 2.0, officer=True, announced=False)
    assert [c for c in talk.take() if isinstance(c, do.CountMissing)] == [
        do.CountMissing(on=False),
        do.CountMissing(on=True),
    ]
    # … who leaves two outsiders alone: what they say is nobody's to record.
    talk.it.replaced("b2", "d1", 3.0, officer=False, announced=True)
    assert [c for c in talk.take() if isinstance(c, do.CountMissing)] == [
        do.CountMissing(on=False)
    ]


def test_of_an_exempt_party_nothing_is_missing() -> None:
    talk = Talk(wanted=False)
    talk.it.stop(1.0)
    assert not [c for c in talk.take() if isinstance(c, do.CountMissing)]


def test_silence_and_a_stop_end_it() -> None:
    for act, cause in itertools.zip_longest(
        (Conversation.media_timeout, Conversation.stop),
        (EndCause.MEDIA_TIMEOUT, EndCause.AGENT_STOPPED),
    ):
        talk = Talk()
        act(talk.it, 1.0)
        assert talk.it.state is State.OVER
        assert talk.causes == [cause]


# -- who is recorded -------------------------------------------------------------


def test_an_outsider_who_comes_later_hears_the_notice_first() -> None:
    talk = Talk()
    talk.it.replaced("a", "c1", 2.0, officer=False, announced=False)
    assert talk.take() == [
        SEGMENT_1,
        do.HangUp(leg="a", q850=16),
        do.Bridge(a="b1", b="c1"),
        do.Play(legs=("c1",), sound="fi", notice=True),
    ]
    talk.it.notice_played(evidence(), 3.0)
    [opened] = talk.take()
    assert isinstance(opened, do.OpenRecording)
    assert (opened.customer, opened.officer) == ("c1", "b1")


def test_whoever_was_told_in_another_call_need_not_be_told_again() -> None:
    talk = Talk()
    talk.it.replaced("a", "c1", 2.0, officer=False, announced=True)
    assert isinstance(talk.take()[-1], do.OpenRecording)


@pytest.mark.parametrize("stalled", [True, False])
@pytest.mark.parametrize("policy", ["refuse", "unrecorded"])
def test_a_newcomer_who_cannot_be_told(policy: str, *, stalled: bool) -> None:
    talk = Talk(on_notice_failure=policy)
    talk.it.notice_played(evidence(), 1.0)  # nobody listens yet
    talk.it.replaced("a", "c1", 2.0, officer=False, announced=False)
    talk.take()
    if stalled:
        talk.it.handle_timer(2.0 + NOTICE_LIMIT)
    else:
        talk.it.notice_failed(3.0)
    if policy == "refuse":
        assert talk.causes == [EndCause.ERROR]
    else:
        assert talk.take() == [
            do.Alarm(reason="the notice could not be played"),
            do.CountMissing(on=True),
        ]
    talk.it.notice_failed(4.0)
    talk.it.notice_played(evidence(), 4.0)
    assert not talk.segments.is_open


def test_a_newcomer_with_no_notice_to_be_told() -> None:
    talk = Talk(notices=(), on_notice_failure="unrecorded")
    talk.it.replaced("a", "c1", 2.0, officer=False, announced=False)
    assert isinstance(talk.take()[-2], do.Alarm)


def test_a_newcomer_who_leaves_before_it_is_told() -> None:
    talk = Talk()
    talk.it.replaced("a", "c1", 2.0, officer=False, announced=False)
    talk.it.replaced("c1", "d1", 3.0, officer=False, announced=True)
    talk.take()
    talk.it.notice_failed(3.1)  # that of the one who left
    assert talk.segments.is_open
    assert talk.causes == []


def test_another_officer_on_the_same_leg_is_another_segment() -> None:
    talk = Talk()
    talk.it.identified("b1", 2.0, officer=True)
    assert talk.take() == [SEGMENT_1, second(officer="b1")]
    talk.it.identified("b1", 3.0, officer=False)
    assert talk.take() == [SEGMENT_1]
    talk.it.identified("b9", 4.0, officer=True)
    assert talk.take() == []


def test_a_queue_that_answers_is_not_recorded_until_an_officer_comes() -> None:
    talk = Talk(officers=())
    assert talk.begun == [do.Bridge(a="a", b="b1")]
    assert talk.segments.outcome is Outcome.ABANDONED
    talk.it.identified("b1", 5.0, officer=True)
    assert talk.take() == [second(segment=1, officer="b1")]
