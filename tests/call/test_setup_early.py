"""The notice in early media: the plan's other order."""

import pytest

from agent.call import commands as do
from agent.call.leg_names import FIRST
from agent.call.notices import NOTICE_LIMIT
from agent.call.phases import Phase
from agent.call.session import CallSession
from agent.model.call import EndCause, Outcome
from tests.call.sessions import EARLY, TARGETS, call, commands, evidence


def opening(**route: object) -> CallSession:
    session = call(EARLY, **route)  # type: ignore[arg-type]
    session.begin(("fi",), 0.0)
    assert commands(session) == [do.OpenEarly(leg=FIRST)]
    assert session.phase is Phase.OPENING
    return session


def test_notice_ringback_and_only_then_the_answer() -> None:
    session = opening()
    session.early_opened(0.2)
    assert commands(session) == [do.Play(legs=("a",), sound="fi", notice=True)]
    session.notice_played(evidence(), 1.0)
    assert commands(session) == [
        do.Play(legs=("a",), sound="ringback", loop=True),
        do.Invite(leg="b1", target=TARGETS[0]),
    ]
    session.target_ringing("b1", 1.5, early_media=True)
    assert commands(session) == []
    session.target_answered("b1", 2.0)
    assert commands(session) == [do.Answer(leg="a")]
    session.acknowledged(2.1)
    assert commands(session) == [
        do.Bridge(a="a", b="b1"),
        do.OpenRecording(segment=1, customer="a", officer="b1", notices=(evidence(),)),
    ]


def test_where_there_is_no_early_media_the_call_is_answered_first() -> None:
    session = opening()
    session.early_unavailable(0.2)
    assert commands(session) == [do.Answer(leg="a")]
    session.acknowledged(0.3)
    assert commands(session) == [do.Play(legs=("a",), sound="fi", notice=True)]


def test_without_our_ringback_a_target_that_rings_is_told_and_not_heard() -> None:
    session = opening(ringback=False)
    session.early_opened(0.2)
    session.notice_played(evidence(), 1.0)
    commands(session)
    session.target_ringing("b1", 1.5, early_media=True)
    assert commands(session) == [do.Ring(leg="a")]


@pytest.mark.parametrize("stalled", [True, False])
def test_no_notice_no_call(*, stalled: bool) -> None:
    session = opening()
    session.early_opened(0.2)
    commands(session)
    if stalled:
        session.handle_timer(0.2 + NOTICE_LIMIT)
    else:
        session.notice_failed(1.0)
    refused, closed = commands(session)
    assert refused == do.Refuse(status=503, reason="Notice Unavailable")
    assert isinstance(closed, do.Close)
    assert session.outcome is (Outcome.FAILED if stalled else Outcome.BLOCKED)


def test_who_leaves_while_early_media_is_opened_has_abandoned() -> None:
    session = opening()
    session.left(FIRST, 0.2)
    assert session.outcome is Outcome.ABANDONED
    session.early_opened(0.3)
    assert session.phase is Phase.ENDED


def test_an_offer_that_cannot_be_answered_early_cannot_be_at_all() -> None:
    session = opening()
    session.unacceptable(488, "no")
    assert commands(session) == [
        do.Refuse(status=488, reason="no"),
        do.Close(outcome=Outcome.REJECTED, cause=EndCause.ERROR, sip_status=488),
    ]


def test_an_unrecorded_call_needs_no_early_media() -> None:
    session = call(EARLY, can_record=False)
    session.begin(("fi",), 0.0)
    alarm, invite = commands(session)
    assert isinstance(alarm, do.Alarm)
    assert invite == do.Invite(leg="b1", target=TARGETS[0])
    session.target_ringing("b1", 1.0, early_media=False)
    assert commands(session) == [do.Ring(leg="a")]
