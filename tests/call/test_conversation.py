import itertools
from typing import Any

import pytest
from hypothesis import given, strategies as st

from agent.call import commands as do
from agent.call.config import RouteConfig
from agent.call.conversation import Conversation
from agent.call.conversation_states import State
from agent.call.notices import NOTICE_LIMIT, Notices
from agent.call.routing import Destination
from agent.call.segments import Segments
from agent.model.call import CallDirection, EndCause, Outcome
from tests.call.sessions import evidence

ROUTE: dict[str, Any] = {
    "name": "r",
    "from_": "trunk",
    "number": "1",
    "direction": "inbound",
    "to": ("sip:201@h",),
    "notice": ("fi.wav",),
}
COLLEAGUE = Destination(rounds=(("sip:202@h",),), staff=True)
OUTSIDE = Destination(rounds=(("sip:0401@h",),), staff=False)
EMERGENCY = Destination(
    rounds=(("sip:112@h",),), staff=False, exempt=True, emergency=True
)
SEGMENT_1 = do.CloseRecording(cause=EndCause.TRANSFERRED)


class Talk:
    """A conversation between an outside caller and an officer, and its commands."""

    def __init__(
        self,
        *,
        wanted: bool = True,
        officers: tuple[str, ...] = ("b1",),
        notices: tuple[str, ...] = ("fi",),
        **route: Any,
    ) -> None:
        self.emitted: list[do.Command] = []
        self.causes: list[EndCause] = []
        self.segments = Segments(
            self._emit, wanted=wanted, max_length=100.0, max_pause=50.0
        )
        played = Notices(notices)
        if notices:
            played.note_played(evidence())
        self.it = Conversation(
            self._emit,
            route=RouteConfig(**(ROUTE | route)),
            direction=CallDirection.INBOUND,
            talkers=("a", "b1"),
            officers=officers,
            announced={"a"},
            segments=self.segments,
            notices=played,
            names=map("b{}".format, itertools.count(2)),
            over=self.causes.append,
        )
        self.it.begin(0.0)
        self.begun = self.take()

    def _emit(self, command: do.Command) -> None:
        self.emitted.append(command)

    def take(self) -> list[do.Command]:
        taken, self.emitted = self.emitted, []
        return taken


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
    ]
    assert talk.it.get_timer() is None
    talk = Talk(on_recording_failure="refuse")
    talk.it.recording_failed("disk full", 1.0, kept=True)
    assert talk.causes == [EndCause.RECORDING_FAILED]


def test_silence_and_a_stop_end_it() -> None:
    for act, cause in itertools.zip_longest(
        (Conversation.media_timeout, Conversation.stop),
        (EndCause.MEDIA_TIMEOUT, EndCause.AGENT_STOPPED),
    ):
        talk = Talk()
        act(talk.it, 1.0)
        assert talk.it.state is State.OVER
        assert talk.causes == [cause]


# -- transfers -------------------------------------------------------------------


def transferring(destination: Destination = COLLEAGUE, *, held: bool = True) -> Talk:
    talk = Talk()
    talk.it.transfer("b1", destination, 1.0, held=held)
    return talk


def second(segment: int = 2, officer: str = "b2") -> do.OpenRecording:
    return do.OpenRecording(
        segment=segment, customer="a", officer=officer, notices=(evidence(),)
    )


def test_a_blind_transfer_to_a_colleague() -> None:
    talk = transferring()
    assert talk.take() == [
        do.Play(legs=("a",), sound="ringback", loop=True),
        do.Invite(leg="b2", target="sip:202@h"),
    ]
    talk.it.target_ringing("b2", 2.0)
    assert talk.take() == [do.Notify(leg="b1", status=180)]
    talk.it.target_answered("b2", 3.0)
    assert talk.take() == [
        do.Notify(leg="b1", status=200),
        SEGMENT_1,
        do.HangUp(leg="b1", q850=16),
        do.Bridge(a="a", b="b2"),
        second(),
    ]
    talk.it.left("b1", 3.1)  # its BYE crossed ours
    assert talk.take() == []
    talk.it.left("b2", 9.0)
    assert talk.causes == [EndCause.OFFICER_HANGUP]
    assert talk.segments.outcome is Outcome.RECORDED


def test_the_transferor_goes_on_recorded_until_it_leaves() -> None:
    talk = transferring(held=False)
    assert talk.take() == [do.Invite(leg="b2", target="sip:202@h")]
    talk.it.left("b1", 2.0)
    assert talk.take() == [
        SEGMENT_1,
        do.HangUp(leg="b1", q850=16),
        do.Play(legs=("a",), sound="ringback", loop=True),
    ]
    assert talk.it.state is State.HANDED_OVER
    talk.it.target_ringing("b2", 2.5)
    assert talk.take() == []  # nobody is there who wants to know
    talk.it.target_answered("b2", 3.0)
    assert talk.take() == [do.Bridge(a="a", b="b2"), second()]


def test_a_transfer_to_a_busy_officer_leaves_the_call_with_the_transferor() -> None:
    talk = transferring()
    talk.take()
    talk.it.hunt.refused("b2", 486, 2.0)
    assert talk.take() == [
        do.Notify(leg="b1", status=486),
        do.Bridge(a="a", b="b1"),
    ]
    assert talk.segments.is_open
    talk.it.left("b1", 3.0)
    assert talk.causes == [EndCause.OFFICER_HANGUP]


def test_nobody_takes_the_call_of_a_transferor_who_has_left() -> None:
    talk = transferring()
    talk.it.left("b1", 2.0)
    talk.take()
    talk.it.hunt.refused("b2", 503, 3.0)
    assert talk.take() == [do.Play(legs=("a",), sound="congestion", loop=True)]
    assert talk.it.get_timer() == 8.0
    talk.it.handle_timer(8.0)
    assert talk.take() == [do.HangUp(leg="a", q850=41)]
    assert talk.causes == [EndCause.TRANSFERRED]


def test_a_target_rings_no_longer_than_a_round_does() -> None:
    talk = transferring()
    talk.take()
    assert talk.it.get_timer() == 21.0
    talk.it.handle_timer(21.0)
    assert talk.take() == [
        do.HangUp(leg="b2", q850=19),
        do.Notify(leg="b1", status=480),
        do.Bridge(a="a", b="b1"),
    ]


def test_a_redirected_target_is_followed() -> None:
    talk = transferring()
    talk.take()
    talk.it.hunt.redirected("b2", ["sip:203@h"], 2.0)
    assert talk.take() == [do.Invite(leg="b3", target="sip:203@h")]


def test_an_emergency_target_rings_as_long_as_it_takes() -> None:
    talk = transferring(EMERGENCY)
    assert talk.it.get_timer() == 100.0  # the segment's


def test_an_officer_who_is_handed_to_112_is_not_recorded_with_it() -> None:
    talk = Talk()
    talk.it.transfer("a", EMERGENCY, 1.0, held=False)
    talk.it.target_answered("b2", 2.0)
    assert talk.take()[-3:] == [
        SEGMENT_1,
        do.HangUp(leg="a", q850=16),
        do.Bridge(a="b1", b="b2"),
    ]
    talk.it.identified("b1", 3.0, officer=True)
    assert not talk.take()
    # With whoever comes next it is again.
    talk.it.replaced("b2", "c1", 4.0, officer=False, announced=True)
    assert talk.segments.is_open


def test_who_may_not_be_recorded_in_its_own_call_is_not_in_another() -> None:
    talk = Talk()
    talk.it.replaced("a", "c1", 1.0, officer=True, announced=True, exempt=True)
    assert talk.take()[-1] == do.Bridge(a="b1", b="c1")
    assert not talk.segments.is_open


def test_a_transfer_is_taken_back() -> None:
    talk = transferring()
    talk.take()
    talk.it.taken_back("a", 2.0)
    assert talk.take() == []
    talk.it.taken_back("b1", 2.0)
    assert talk.take() == [
        do.HangUp(leg="b2", q850=16),
        do.Notify(leg="b1", status=487),
        do.Bridge(a="a", b="b1"),
    ]
    talk.it.target_answered("b2", 2.1)  # its 2xx crossed our CANCEL
    assert talk.take() == []
    assert talk.it.state is State.TALKING


def test_who_did_not_hold_takes_nothing_back() -> None:
    talk = transferring(held=False)
    talk.take()
    talk.it.taken_back("b1", 2.0)
    assert talk.take() == []


def test_the_other_party_leaves_while_the_target_rings() -> None:
    talk = transferring()
    talk.take()
    talk.it.left("a", 2.0)
    assert talk.take() == [
        do.Notify(leg="b1", status=487),
        do.CloseRecording(cause=EndCause.CALLER_HANGUP),
        do.HangUp(leg="b2", q850=16),
        do.HangUp(leg="a", q850=16),
        do.HangUp(leg="b1", q850=16),
    ]
    assert talk.causes == [EndCause.CALLER_HANGUP]


def test_the_other_party_leaves_after_the_transferor() -> None:
    talk = transferring()
    talk.it.left("b1", 2.0)
    talk.take()
    talk.it.left("a", 3.0)
    assert talk.take() == [
        do.HangUp(leg="b2", q850=16),
        do.HangUp(leg="a", q850=16),
    ]


def test_when_two_outsiders_remain_the_recording_ends_and_the_call_does_not() -> None:
    talk = transferring(OUTSIDE)
    talk.take()
    talk.it.target_answered("b2", 3.0)
    assert talk.take() == [
        do.Notify(leg="b1", status=200),
        SEGMENT_1,
        do.HangUp(leg="b1", q850=16),
        do.Bridge(a="a", b="b2"),
    ]
    assert talk.it.get_timer() is None
    talk.it.left("b2", 9.0)
    assert talk.causes == [EndCause.CALLER_HANGUP]
    assert talk.segments.outcome is Outcome.RECORDED


def test_no_ringback_where_the_route_wants_none() -> None:
    talk = Talk(ringback=False)
    talk.it.transfer("b1", COLLEAGUE, 1.0, held=True)
    assert talk.take() == [do.Invite(leg="b2", target="sip:202@h")]


def test_a_second_transfer_waits_for_the_first() -> None:
    talk = transferring()
    talk.take()
    talk.it.transfer("b1", COLLEAGUE, 2.0, held=True)
    talk.it.transfer("b9", COLLEAGUE, 2.0, held=True)
    assert talk.take() == []


def test_a_leg_that_has_answered_takes_an_officers_place() -> None:
    talk = Talk()
    talk.it.replaced("b9", "c1", 2.0, officer=True, announced=False)
    assert talk.take() == []
    talk.it.replaced("b1", "c1", 2.0, officer=True, announced=False)
    assert talk.take() == [
        SEGMENT_1,
        do.HangUp(leg="b1", q850=16),
        do.Bridge(a="a", b="c1"),
        second(officer="c1"),
    ]


def test_a_colleague_picks_up_what_rings_for_another() -> None:
    talk = transferring()
    talk.take()
    assert talk.take() == []
    talk.it.hunt.picked_up("c1")
    talk.it.target_answered("c1", 2.0)
    assert talk.take()[0] == do.HangUp(leg="b2", q850=200)
    assert talk.it.talkers == ("a", "c1")


def test_who_talks_with_whom() -> None:
    talk = transferring()
    assert talk.it.other("a") == "b1"
    assert talk.it.waiting == "a"
    assert talk.it.is_officer("b1")
    assert talk.it.has_heard("a")
    talk.it.left("b1", 2.0)
    assert talk.it.other("a") == ""


def test_a_party_goes_on_in_another_call() -> None:
    talk = Talk()
    talk.it.surrendered("b9", 2.0)
    assert talk.take() == []
    talk.it.surrendered("a", 2.0)
    assert talk.take() == [SEGMENT_1, do.HangUp(leg="b1", q850=16)]
    assert talk.causes == [EndCause.TRANSFERRED]


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
        assert talk.take() == [do.Alarm(reason="the notice could not be played")]
    talk.it.notice_failed(4.0)
    talk.it.notice_played(evidence(), 4.0)
    assert not talk.segments.is_open


def test_a_newcomer_with_no_notice_to_be_told() -> None:
    talk = Talk(notices=(), on_notice_failure="unrecorded")
    talk.it.replaced("a", "c1", 2.0, officer=False, announced=False)
    assert isinstance(talk.take()[-1], do.Alarm)


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


WALK = (
    "transfer",
    "outside",
    "replaced",
    "surrendered",
    "back",
    "ringing",
    "answered",
    "refused",
    "redirected",
    "left a",
    "left other",
    "officer",
    "queue",
    "notice",
    "no notice",
    "failed",
    "silent",
    "timer",
    "stop",
)


def step(talk: Talk, action: str, now: float) -> None:
    it = talk.it
    rung = min(it.hunt.ringing, default="b1")
    other = it.talkers[-1]
    match action:
        case "transfer":
            it.transfer(other, COLLEAGUE, now, held=int(now) % 2 == 0)
        case "outside":
            it.transfer(it.talkers[0], OUTSIDE, now, held=True)
        case "replaced":
            it.replaced(other, f"c{now}", now, officer=now > 5, announced=now > 9)
        case "surrendered":
            it.surrendered(other, now)
        case "back":
            it.taken_back(other, now)
        case "ringing":
            it.target_ringing(rung, now)
        case "answered":
            it.target_answered(rung, now)
        case "refused":
            it.hunt.refused(rung, 486, now)
        case "redirected":
            it.hunt.redirected(rung, (f"sip:{now}@h",), now)
        case "left a":
            it.left(it.talkers[0], now)
        case "left other":
            it.left(other, now, cause=EndCause.SIGNALLING_TIMEOUT)
        case "officer":
            it.identified(other, now, officer=True)
        case "queue":
            it.identified(other, now, officer=False)
        case "notice":
            it.notice_played(evidence(), now)
        case "no notice":
            it.notice_failed(now)
        case "failed":
            it.recording_failed("x", now, kept=True)
        case "silent":
            it.media_timeout(now)
        case "timer":
            it.handle_timer(it.get_timer() or now)
        case _:
            it.stop(now)


@given(st.lists(st.sampled_from(WALK), max_size=30), st.booleans())
def test_any_walk_keeps_the_promises(walk: list[str], policy: bool) -> None:
    talk = Talk(on_notice_failure="unrecorded" if policy else "refuse")
    for now, action in enumerate(walk, start=1):
        if talk.causes:
            break
        step(talk, action, float(now))
        # What is recorded has an officer in it, and a bridge has two ends.
        officers = talk.it._officers & set(talk.it.talkers)
        assert not talk.segments.is_open or officers
        assert not talk.segments.is_open or len(talk.it.talkers) == 2
    talk.it.stop(99.0)
    assert len(talk.causes) == 1
    assert not talk.segments.is_open
    assert not talk.it.hunt.ringing
    assert talk.it.get_timer() is None
    seen = talk.begun + talk.take()
    opened = [c for c in seen if isinstance(c, do.OpenRecording)]
    closed = [c for c in seen if isinstance(c, do.CloseRecording)]
    assert len(opened) == len(closed)
    rung = {c.leg for c in seen if isinstance(c, do.Invite)}
    assert not talk.it.rings(min(rung, default=""))
