import pytest

from agent.call import commands as do
from agent.call.leg_names import FIRST
from agent.call.routing import Destination, Step
from agent.model.call import EndCause, Outcome
from tests.call.sessions import (
    EXEMPT,
    INBOUND,
    OUTBOUND,
    TARGETS,
    call,
    commands,
    evidence,
    talking,
)


def test_inbound_call_is_answered_announced_connected_recorded() -> None:
    session = call()
    session.begin(("fi", "sv"), 0.0)
    assert commands(session) == [do.Answer(leg=FIRST)]
    session.acknowledged(0.1)
    assert commands(session) == [do.Play(legs=("a",), sound="fi", notice=True)]
    session.notice_played(evidence("fi"), 1.0)
    assert commands(session) == [do.Play(legs=("a",), sound="sv", notice=True)]
    session.notice_played(evidence("sv"), 2.0)
    assert commands(session) == [
        do.Play(legs=("a",), sound="ringback", loop=True),
        do.Invite(leg="b1", target=TARGETS[0]),
    ]
    assert session.get_timer() == 22.0
    session.target_ringing("b1", 3.0, early_media=True)
    assert commands(session) == []  # the caller already hears our ringback
    session.target_answered("b1", 5.0)
    assert commands(session) == [
        do.Bridge(a="a", b="b1"),
        do.OpenRecording(
            segment=1,
            customer="a",
            officer="b1",
            notices=(evidence("fi"), evidence("sv")),
        ),
    ]
    session.left(FIRST, 60.0)
    assert commands(session) == [
        do.CloseRecording(cause=EndCause.CALLER_HANGUP),
        do.HangUp(leg="a", q850=16),
        do.HangUp(leg="b1", q850=16),
        do.Close(
            outcome=Outcome.RECORDED, cause=EndCause.CALLER_HANGUP, sip_status=None
        ),
    ]
    assert session.get_timer() is None


def test_outbound_call_announces_to_both_after_the_customers_answer() -> None:
    session = call(OUTBOUND, targets=("sip:0401234567@192.0.2.9",))
    session.begin(("fi",), 0.0)
    assert commands(session) == [do.Invite(leg="b1", target="sip:0401234567@192.0.2.9")]
    session.target_ringing("b1", 1.0, early_media=False)
    assert commands(session) == [do.Ring(leg="a")]
    session.target_answered("b1", 5.0)
    assert commands(session) == [do.Answer(leg="a")]
    session.acknowledged(5.1)
    assert commands(session) == [do.Play(legs=("a", "b1"), sound="fi", notice=True)]
    session.notice_played(evidence(), 8.0)
    assert commands(session) == [
        do.Bridge(a="a", b="b1"),
        do.OpenRecording(segment=1, customer="b1", officer="a", notices=(evidence(),)),
    ]
    session.left("b1", 9.0)
    assert commands(session)[-1] == do.Close(
        outcome=Outcome.RECORDED, cause=EndCause.CUSTOMER_HANGUP, sip_status=None
    )


def test_outbound_officer_hangs_up() -> None:
    session = call(OUTBOUND, targets=("sip:1@192.0.2.9",))
    session.begin(("fi",), 0.0)
    session.target_answered("b1", 5.0)
    session.acknowledged(5.1)
    session.notice_played(evidence(), 8.0)
    session.left(FIRST, 9.0)
    assert commands(session)[-1] == do.Close(
        outcome=Outcome.RECORDED, cause=EndCause.OFFICER_HANGUP, sip_status=None
    )


def test_exempt_call_is_connected_and_nothing_else() -> None:
    session = call(EXEMPT, exempt=True, can_record=False)
    session.begin((), 0.0)
    assert commands(session) == [do.Invite(leg="b1", target=TARGETS[0])]
    session.target_answered("b1", 1.0)
    assert commands(session) == [do.Answer(leg="a")]
    session.acknowledged(1.1)
    assert commands(session) == [do.Bridge(a="a", b="b1")]
    session.left("b1", 2.0)
    assert commands(session)[-1] == do.Close(
        outcome=Outcome.EXEMPT, cause=EndCause.OFFICER_HANGUP, sip_status=None
    )


def test_unrecordable_call_goes_on_alarmed_unannounced_unrecorded() -> None:
    session = call(can_record=False)
    session.begin(("fi",), 0.0)
    assert isinstance(commands(session)[0], do.Alarm)
    session.acknowledged(0.1)
    session.target_answered("b1", 1.0)
    assert not any(isinstance(c, do.OpenRecording) for c in commands(session))
    session.left("b1", 2.0)
    assert session.outcome is Outcome.UNRECORDED


def test_notice_failure_goes_on_but_never_records_unannounced() -> None:
    session = call(on_notice_failure="unrecorded")
    session.begin((), 0.0)
    session.acknowledged(0.1)
    session.target_answered("b1", 1.0)
    assert not any(isinstance(c, do.OpenRecording) for c in commands(session))
    session.left("b1", 2.0)
    assert session.outcome is Outcome.UNRECORDED


@pytest.mark.parametrize("steps", [INBOUND, OUTBOUND])
@pytest.mark.parametrize("why", ["spool", "notice", "exempt", ""])
def test_who_heard_no_notice_is_not_said_to_have_heard_it(
    steps: tuple[Step, ...], why: str
) -> None:
    """It may come into another call, which is recorded."""
    session = call(
        steps,
        exempt=why == "exempt",
        can_record=why != "spool",
        on_notice_failure="unrecorded",
    )
    session.begin(("fi",), 0.0)
    session.target_answered("b1", 1.0)
    session.acknowledged(1.1)
    if why == "notice":
        session.notice_failed(2.0)
    else:
        session.notice_played(evidence(), 2.0)
    session.target_answered("b1", 3.0)
    assert session.conversation is not None
    assert session.conversation.has_heard("a") is (why == "")


def test_long_recording_goes_on_in_a_new_segment() -> None:
    session = talking(max_segment=100.0)
    session.handle_timer(102.0)
    assert commands(session) == [
        do.CloseRecording(cause=EndCause.SEGMENT_LIMIT),
        do.OpenRecording(segment=2, customer="a", officer="b1", notices=(evidence(),)),
    ]
    assert session.get_timer() == 202.0


@pytest.mark.parametrize(
    ("kept", "outcome"), [(True, Outcome.PARTIAL), (False, Outcome.UNRECORDED)]
)
def test_recording_failure_goes_on_by_policy(kept: bool, outcome: Outcome) -> None:
    session = talking()
    session.recording_failed("disk full", 3.0, kept=kept)
    assert commands(session) == [
        do.CloseRecording(cause=EndCause.RECORDING_FAILED),
        do.Alarm(reason="disk full"),
        do.CountMissing(on=True),
    ]
    session.left("b1", 9.0)
    assert session.outcome is outcome


def test_recording_failure_ends_the_call_by_policy() -> None:
    session = talking(on_recording_failure="refuse")
    session.recording_failed("disk full", 3.0, kept=True)
    assert commands(session)[0] == do.CloseRecording(cause=EndCause.RECORDING_FAILED)
    assert session.outcome is Outcome.PARTIAL


def test_a_late_word_about_a_closed_segment_changes_nothing() -> None:
    session = talking()
    session.recording_failed("disk full", 3.0, kept=True)
    commands(session)
    session.recording_failed("disk still full", 4.0, kept=True)
    assert commands(session) == []


def test_a_call_ends_once() -> None:
    session = talking()
    session.left("b1", 3.0)
    commands(session)
    session.left(FIRST, 3.1)  # its BYE crossed ours
    session.stop(4.0)
    assert commands(session) == []


def test_media_timeout_ends_the_call() -> None:
    session = talking()
    session.media_timeout(90.0)
    assert commands(session) == [
        do.CloseRecording(cause=EndCause.MEDIA_TIMEOUT),
        do.HangUp(leg="a", q850=102),
        do.HangUp(leg="b1", q850=102),
        do.Close(
            outcome=Outcome.RECORDED, cause=EndCause.MEDIA_TIMEOUT, sip_status=None
        ),
    ]


@pytest.mark.parametrize("exempt", [True, False])
def test_stopping_closes_what_talks_and_fails_what_does_not(exempt: bool) -> None:
    session = call(exempt=exempt)
    session.begin(("fi",), 0.0)
    session.stop(1.0)
    assert session.outcome is (Outcome.EXEMPT if exempt else Outcome.FAILED)
    session = talking()
    session.stop(9.0)
    assert session.outcome is Outcome.RECORDED


def test_events_of_other_legs_change_nothing() -> None:
    session = talking()
    session.left("b9", 3.0)
    session.target_ringing("b9", 3.0, early_media=False)
    session.target_ringing("b1", 3.0, early_media=False)
    session.handle_timer(3.0)
    assert commands(session) == []


# -- what is the conversation's, once there is one ----------------------------------


def test_a_transfer_is_the_conversations_business() -> None:
    session = talking()
    assert session.conversation is not None
    destination = Destination(rounds=(("sip:9@h",), ("sip:8@h",)), staff=True)
    session.conversation.transfer("b1", destination, 3.0, held=False)
    assert commands(session) == [do.Invite(leg="b2", target="sip:9@h")]
    assert session.rings("b2")
    assert not session.rings_alone("b2")  # the customer talks with the transferor
    session.target_ringing("b2", 3.1, early_media=False)
    assert commands(session) == [do.Notify(leg="b1", status=180)]
    session.target_redirected("b2", ["sip:7@h"], 3.2)
    session.target_refused("b3", 486, 3.3)
    assert session.get_timer() == 23.3
    session.target_answered("b4", 3.4)
    session.notice_failed(3.5)  # of nobody who listens
    session.notice_played(evidence(), 3.5)
    assert session.new_name() == "b5"
    session.picked_up("b4", "b5", 3.6)  # it rings no more
    session.left("b4", 9.0)
    assert session.outcome is Outcome.RECORDED


def test_where_a_queue_answers_nothing_is_recorded_yet() -> None:
    session = call()
    session.begin(("fi",), 0.0)
    session.acknowledged(0.1)
    session.notice_played(evidence(), 1.0)
    commands(session)
    session.target_answered("b1", 2.0, officer=False)
    assert commands(session) == [do.Bridge(a="a", b="b1")]
    session.left("a", 9.0)
    assert session.outcome is Outcome.ABANDONED
