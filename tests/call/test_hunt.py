import itertools

from agent.call.commands import HangUp, Invite
from agent.call.hunt import ANSWERED_ELSEWHERE, MAX_REDIRECTIONS, Hunt
from agent.call.refusal import NO_ANSWER

ALL = ("sip:1@h", "sip:2@h", "sip:3@h")


def hunt(*rounds: tuple[str, ...], ring_timeout: float | None = 20.0) -> Hunt:
    names = map("b{}".format, itertools.count(1))
    return Hunt(rounds, names=names, ring_timeout=ring_timeout)


def test_one_after_the_other() -> None:
    search = hunt(("sip:1@h",), ("sip:2@h",))
    assert search.next_round(0.0) == [Invite(leg="b1", target="sip:1@h")]
    assert search.deadline == 20.0
    assert search.refused("b1", 486, 5.0) == [Invite(leg="b2", target="sip:2@h")]
    assert search.deadline == 25.0
    assert search.refused("b2", 480, 6.0) == []
    assert search.exhausted
    assert search.status == 486
    assert search.deadline is None


def test_all_at_once_then_the_overflow() -> None:
    search = hunt(ALL, ("sip:9@h",))
    assert [step.leg for step in search.next_round(0.0)] == ["b1", "b2", "b3"]
    assert search.refused("b2", 603, 1.0) == []
    assert not search.exhausted
    assert search.timed_out(20.0) == [
        HangUp(leg="b1", q850=NO_ANSWER),
        HangUp(leg="b3", q850=NO_ANSWER),
        Invite(leg="b4", target="sip:9@h"),
    ]
    assert search.timed_out(40.0) == [HangUp(leg="b4", q850=NO_ANSWER)]
    assert search.exhausted
    assert search.status == 603


def test_the_first_answer_wins_and_ends_the_round() -> None:
    search = hunt(ALL, ("sip:9@h",))
    search.next_round(0.0)
    assert search.answered("b2") == [
        HangUp(leg="b1", q850=ANSWERED_ELSEWHERE),
        HangUp(leg="b3", q850=ANSWERED_ELSEWHERE),
    ]
    assert search.deadline is None
    assert search.exhausted


def test_nobody_who_waits_is_asked_no_more() -> None:
    search = hunt(("sip:1@h",), ("sip:2@h",))
    search.next_round(0.0)
    assert search.given_up() == [HangUp(leg="b1", q850=16)]
    assert search.next_round(1.0) == []


def test_an_emergency_rings_as_long_as_it_takes() -> None:
    search = hunt(("sip:1@h",), ring_timeout=None)
    search.next_round(0.0)
    assert search.deadline is None
    search.redirected("b1", ["sip:2@h"], 1.0)
    assert search.deadline is None


def test_redirections_are_tried_in_their_order_before_the_next_round() -> None:
    search = hunt(("sip:1@h",), ("sip:2@h",))
    search.next_round(0.0)
    assert search.redirected("b1", ["sip:8@h", "sip:9@h"], 3.0) == [
        Invite(leg="b2", target="sip:8@h")
    ]
    assert search.deadline == 23.0
    assert search.refused("b2", 486, 4.0) == [Invite(leg="b3", target="sip:9@h")]
    assert search.refused("b3", 480, 5.0) == [Invite(leg="b4", target="sip:2@h")]


def test_a_redirection_in_a_parallel_round_leaves_the_others_their_time() -> None:
    search = hunt(ALL)
    search.next_round(0.0)
    assert search.redirected("b1", ["sip:8@h"], 5.0) == [
        Invite(leg="b4", target="sip:8@h")
    ]
    assert search.deadline == 20.0
    assert search.ringing == {"b2", "b3", "b4"}


def test_redirections_do_not_go_in_circles() -> None:
    search = hunt(("sip:1@h",))
    search.next_round(0.0)
    search.redirected("b1", ["sip:2@h"], 1.0)
    assert search.redirected("b2", ["sip:1@h", "sip:2@h"], 2.0) == []
    assert search.exhausted
    assert search.status == 480


def test_redirections_are_counted() -> None:
    search = hunt(("sip:0@h",))
    [step] = search.next_round(0.0)
    for number in range(1, MAX_REDIRECTIONS + 1):
        [step] = search.redirected(step.leg, [f"sip:{number}@h"], 1.0)
    assert search.redirected(step.leg, ["sip:99@h"], 2.0) == []


def test_a_redirection_to_nowhere_is_a_refusal() -> None:
    search = hunt(("sip:1@h",), ("sip:2@h",))
    search.next_round(0.0)
    assert search.redirected("b1", [], 1.0) == [Invite(leg="b2", target="sip:2@h")]
