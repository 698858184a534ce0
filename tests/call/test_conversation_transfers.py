from agent.call import commands as do
from agent.call.conversation_states import State
from agent.model.call import EndCause, Outcome
from tests.call.talks import (
    COLLEAGUE,
    EMERGENCY,
    OUTSIDE,
    SEGMENT_1,
    Talk,
    second,
    transferring,
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
