import pytest

from agent.call import commands as do
from agent.call.leg_names import FIRST
from agent.call.notices import NOTICE_LIMIT
from agent.model.call import EndCause, Outcome
from tests.call.sessions import (
    EXEMPT,
    OUTBOUND,
    TARGETS,
    call,
    commands,
    evidence,
)


@pytest.mark.parametrize("at", ["answering", "announcing"])
def test_outbound_customer_leaving_before_the_end_of_the_notice_abandons(
    at: str,
) -> None:
    session = call(OUTBOUND, targets=("sip:1@192.0.2.9",))
    session.begin(("fi",), 0.0)
    session.target_answered("b1", 5.0)
    if at == "announcing":
        session.acknowledged(5.1)
    commands(session)
    session.left("b1", 6.0)
    assert commands(session) == [
        do.HangUp(leg="a", q850=16),
        do.HangUp(leg="b1", q850=16),
        do.Close(
            outcome=Outcome.ABANDONED, cause=EndCause.CUSTOMER_HANGUP, sip_status=None
        ),
    ]


def test_caller_hanging_up_in_the_notice_abandons_and_stores_nothing() -> None:
    session = call()
    session.begin(("fi",), 0.0)
    session.acknowledged(0.1)
    commands(session)
    session.left(FIRST, 0.5)
    assert commands(session) == [
        do.Close(
            outcome=Outcome.ABANDONED, cause=EndCause.CALLER_HANGUP, sip_status=None
        )
    ]
    session.notice_played(evidence(), 1.0)  # its last frame was on the way
    assert commands(session) == []


def test_caller_hanging_up_while_an_officer_rings_cancels_the_officer() -> None:
    session = call()
    session.begin(("fi",), 0.0)
    session.acknowledged(0.1)
    session.notice_played(evidence(), 1.0)
    commands(session)
    session.left(FIRST, 2.0)
    assert commands(session)[0] == do.HangUp(leg="b1", q850=16)
    assert session.outcome is Outcome.ABANDONED


def test_missing_ack_fails_the_call() -> None:
    session = call()
    session.begin(("fi",), 0.0)
    session.left(FIRST, 32.0, cause=EndCause.SIGNALLING_TIMEOUT)
    assert session.outcome is Outcome.FAILED


def test_hunting_goes_on_after_a_refusal_and_after_a_ring_timeout() -> None:
    session = call(targets=("sip:1@h", "sip:2@h", "sip:3@h"))
    session.begin(("fi",), 0.0)
    session.acknowledged(0.1)
    session.notice_played(evidence(), 1.0)
    commands(session)
    session.target_refused("b1", 486, 2.0)
    assert commands(session) == [do.Invite(leg="b2", target="sip:2@h")]
    session.target_refused("b1", 486, 2.5)  # a late one of a leg that is over
    session.handle_timer(21.0)  # not due
    assert commands(session) == []
    session.handle_timer(22.0)
    assert commands(session) == [
        do.HangUp(leg="b2", q850=19),
        do.Invite(leg="b3", target="sip:3@h"),
    ]
    session.target_answered("b2", 22.1)  # its 2xx crossed our CANCEL
    assert commands(session) == []
    session.target_answered("b3", 23.0)
    opened = [c for c in commands(session) if isinstance(c, do.OpenRecording)]
    assert [(c.customer, c.officer) for c in opened] == [("a", "b3")]


@pytest.mark.parametrize(("status", "q850"), [(486, 17), (480, 19)])
def test_nobody_answers_busy_tone_then_bye_with_reason(status: int, q850: int) -> None:
    session = call(targets=("sip:1@h",))
    session.begin(("fi",), 0.0)
    session.acknowledged(0.1)
    session.notice_played(evidence(), 1.0)
    commands(session)
    session.target_refused("b1", status, 2.0)
    assert commands(session) == [do.Play(legs=("a",), sound="busy", loop=True)]
    session.handle_timer(7.0)
    assert commands(session) == [
        do.HangUp(leg="a", q850=q850),
        do.Close(outcome=Outcome.UNANSWERED, cause=None, sip_status=status),
    ]


@pytest.mark.parametrize(
    ("status", "tone", "q850"),
    [(600, "busy", 17), (503, "congestion", 41), (404, "congestion", 19)],
)
def test_the_tone_says_what_the_refusal_was(status: int, tone: str, q850: int) -> None:
    session = call(targets=("sip:1@h",), busy_tone=3.0)
    session.begin(("fi",), 0.0)
    session.acknowledged(0.1)
    session.notice_played(evidence(), 1.0)
    commands(session)
    session.target_refused("b1", status, 2.0)
    assert commands(session) == [do.Play(legs=("a",), sound=tone, loop=True)]
    session.handle_timer(5.0)
    assert commands(session)[0] == do.HangUp(leg="a", q850=q850)


def test_all_targets_of_a_round_ring_and_the_first_answer_wins() -> None:
    session = call(rounds=(TARGETS,))
    session.begin(("fi",), 0.0)
    session.acknowledged(0.1)
    session.notice_played(evidence(), 1.0)
    assert commands(session)[-2:] == [
        do.Invite(leg="b1", target=TARGETS[0]),
        do.Invite(leg="b2", target=TARGETS[1]),
    ]
    assert not session.rings_alone("b1")
    session.target_answered("b2", 2.0)
    assert commands(session)[:2] == [
        do.HangUp(leg="b1", q850=200),
        do.Bridge(a="a", b="b2"),
    ]
    session.target_answered("b1", 2.0)  # its 2xx crossed our CANCEL
    session.target_refused("b1", 487, 2.1)
    assert commands(session) == []


def test_ringing_of_several_targets_is_passed_on_once() -> None:
    session = call(OUTBOUND, rounds=(TARGETS,))
    session.begin(("fi",), 0.0)
    commands(session)
    session.target_ringing("b1", 1.0, early_media=False)
    session.target_ringing("b2", 1.0, early_media=False)
    assert commands(session) == [do.Ring(leg="a")]


def test_of_several_refusals_the_caller_gets_the_one_that_tells_most() -> None:
    session = call(OUTBOUND, rounds=(TARGETS,))
    session.begin(("fi",), 0.0)
    session.target_refused("b1", 486, 1.0)
    session.target_refused("b2", 500, 2.0)
    assert do.Refuse(status=486, reason=None) in commands(session)


def test_a_redirection_is_followed_before_the_next_target() -> None:
    session = call(OUTBOUND)
    session.begin(("fi",), 0.0)
    commands(session)
    session.target_redirected("b1", ("sip:9@h",), 1.0)
    assert commands(session) == [do.Invite(leg="b2", target="sip:9@h")]
    session.target_refused("b2", 480, 2.0)
    assert commands(session) == [do.Invite(leg="b3", target=TARGETS[1])]


def test_a_caller_who_leaves_while_several_ring_cancels_all() -> None:
    session = call(OUTBOUND, rounds=(TARGETS,))
    session.begin(("fi",), 0.0)
    commands(session)
    session.left(FIRST, 1.0)
    assert commands(session)[:2] == [
        do.HangUp(leg="b1", q850=16),
        do.HangUp(leg="b2", q850=16),
    ]
    assert session.get_timer() is None


def test_outbound_refusal_reaches_the_officer() -> None:
    session = call(OUTBOUND, targets=("sip:1@h",))
    session.begin(("fi",), 0.0)
    session.target_refused("b1", 404, 1.0)
    assert commands(session)[-2:] == [
        do.Refuse(status=404, reason=None),
        do.Close(outcome=Outcome.UNANSWERED, cause=None, sip_status=404),
    ]


def test_unrecordable_call_is_blocked_by_policy() -> None:
    session = call(can_record=False, on_recording_failure="refuse")
    session.begin(("fi",), 0.0)
    assert commands(session) == [
        do.Refuse(status=503, reason="Recording Unavailable"),
        do.Close(
            outcome=Outcome.BLOCKED, cause=EndCause.RECORDING_FAILED, sip_status=None
        ),
    ]
    session.refuse_unrecordable()
    assert commands(session) == []


@pytest.mark.parametrize("missing", [True, False])
def test_notice_failure_refuses(missing: bool) -> None:
    session = call()
    session.begin(() if missing else ("fi",), 0.0)
    session.acknowledged(0.1)
    if not missing:
        session.notice_failed(0.5)
    assert commands(session)[-2:] == [
        do.HangUp(leg="a", q850=38),
        do.Close(outcome=Outcome.BLOCKED, cause=EndCause.ERROR, sip_status=None),
    ]


def test_a_notice_nobody_lets_end_is_not_waited_for_for_ever() -> None:
    session = call()
    session.begin(("fi",), 0.0)
    session.acknowledged(0.1)
    commands(session)
    assert session.get_timer() == 0.1 + NOTICE_LIMIT
    session.handle_timer(0.1 + NOTICE_LIMIT)
    assert commands(session) == [
        do.HangUp(leg="a", q850=102),
        do.Close(outcome=Outcome.FAILED, cause=EndCause.MEDIA_TIMEOUT, sip_status=None),
    ]


def test_unacceptable_offer_rejects() -> None:
    session = call()
    session.begin(("fi",), 0.0)
    commands(session)
    session.unacceptable(488, "Not Acceptable Here")
    assert commands(session) == [
        do.Refuse(status=488, reason="Not Acceptable Here"),
        do.Close(outcome=Outcome.REJECTED, cause=EndCause.ERROR, sip_status=488),
    ]
    session.unacceptable(488, "again")
    assert commands(session) == []


def test_unacceptable_offer_after_the_target_answered_clears_the_target() -> None:
    session = call(OUTBOUND, targets=("sip:1@h",))
    session.begin(("fi",), 0.0)
    session.target_answered("b1", 1.0)
    commands(session)
    session.unacceptable(488, "no")
    assert do.HangUp(leg="b1", q850=16) in commands(session)


def test_no_ringback_where_the_route_wants_none() -> None:
    session = call(ringback=False)
    session.begin(("fi",), 0.0)
    session.acknowledged(0.1)
    session.notice_played(evidence(), 1.0)
    assert not any(
        isinstance(c, do.Play) and c.sound == "ringback" for c in commands(session)
    )


def test_an_emergency_call_rings_as_long_as_the_caller_waits() -> None:
    session = call(EXEMPT, exempt=True, emergency=True)
    session.begin((), 0.0)
    assert session.get_timer() is None
    session.target_refused("b1", 408, 32.0)
    assert commands(session)[-1] == do.Invite(leg="b2", target=TARGETS[1])
    assert session.get_timer() is None


def test_a_call_that_rings_is_picked_up_elsewhere() -> None:
    session = call(OUTBOUND)
    session.begin(("fi",), 0.0)
    commands(session)
    session.picked_up("b9", "b2", 1.0)
    assert commands(session) == []
    name = session.new_name()
    session.picked_up("b1", name, 1.0)
    assert commands(session) == [do.HangUp(leg="b1", q850=200), do.Answer(leg="a")]
    assert session.partner == name


def test_an_officer_who_leaves_before_its_ack_takes_the_customer_along() -> None:
    session = call(OUTBOUND)
    session.begin(("fi",), 0.0)
    session.target_answered("b1", 1.0)
    commands(session)
    session.left(FIRST, 1.1)
    assert commands(session)[0] == do.HangUp(leg="b1", q850=16)
