import itertools

from agent.call.commands import HangUp, Invite
from agent.call.hunt import MAX_REDIRECTIONS, Hunt
from agent.call.release_causes import ANSWERED_ELSEWHERE, NO_ANSWER

ALL = ("sip:1@h", "sip:2@h", "sip:3@h")


class Search:
    """A hunt, and what came of each step of it."""

    def __init__(self, *rounds: tuple[str, ...], ring_timeout: float | None = 20.0):
        self._steps: list[HangUp | Invite] = []
        self.exhausted = False
        self.hunt = Hunt(
            rounds,
            names=map("b{}".format, itertools.count(1)),
            ring_timeout=ring_timeout,
            emit=self._steps.append,
            exhausted=self._exhausted,
        )
        self.hunt.begin(0.0)
        self.rung = [step.leg for step in self.steps()]

    def _exhausted(self, now: float) -> None:
        self.exhausted = True

    def steps(self) -> list[HangUp | Invite]:
        """What was to be done since it was asked last."""
        steps = self._steps.copy()
        self._steps.clear()
        return steps

    def refused(self, leg: str, status: int, now: float) -> list[HangUp | Invite]:
        self.hunt.refused(leg, status, now)
        return self.steps()

    def redirected(
        self, leg: str, targets: list[str], now: float
    ) -> list[HangUp | Invite]:
        self.hunt.redirected(leg, targets, now)
        return self.steps()

    def timer(self, now: float) -> list[HangUp | Invite]:
        self.hunt.handle_timer(now)
        return self.steps()


def test_one_after_the_other() -> None:
    search = Search(("sip:1@h",), ("sip:2@h",))
    assert search.rung == ["b1"]
    assert search.hunt.deadline == 20.0
    assert search.refused("b1", 486, 5.0) == [Invite(leg="b2", target="sip:2@h")]
    assert search.hunt.deadline == 25.0
    assert not search.exhausted
    assert search.refused("b2", 480, 6.0) == []
    assert search.exhausted
    assert search.hunt.status == 486
    assert search.hunt.deadline is None


def test_all_at_once_then_the_overflow() -> None:
    search = Search(ALL, ("sip:9@h",))
    assert search.rung == ["b1", "b2", "b3"]
    assert search.refused("b2", 603, 1.0) == []
    assert not search.exhausted
    assert search.timer(19.9) == []
    assert search.timer(20.0) == [
        HangUp(leg="b1", q850=NO_ANSWER),
        HangUp(leg="b3", q850=NO_ANSWER),
        Invite(leg="b4", target="sip:9@h"),
    ]
    assert search.timer(40.0) == [HangUp(leg="b4", q850=NO_ANSWER)]
    assert search.exhausted
    assert search.hunt.status == 603


def test_the_first_answer_wins_and_ends_the_round() -> None:
    search = Search(ALL, ("sip:9@h",))
    search.hunt.answered("b2")
    assert search.steps() == [
        HangUp(leg="b1", q850=ANSWERED_ELSEWHERE),
        HangUp(leg="b3", q850=ANSWERED_ELSEWHERE),
    ]
    assert search.hunt.deadline is None
    assert not search.hunt.ringing
    assert not search.exhausted


def test_whoever_picks_up_for_a_target_wins() -> None:
    search = Search(("sip:1@h",))
    search.hunt.picked_up("c1")
    search.hunt.answered("c1")
    assert search.steps() == [HangUp(leg="b1", q850=ANSWERED_ELSEWHERE)]


def test_what_a_leg_says_that_rings_no_more_changes_nothing() -> None:
    search = Search(("sip:1@h",), ("sip:2@h",))
    search.refused("b1", 486, 1.0)
    assert search.refused("b1", 600, 2.0) == []
    assert search.redirected("b1", ["sip:9@h"], 2.0) == []
    assert search.hunt.status == 486


def test_nobody_who_waits_is_asked_no_more() -> None:
    search = Search(("sip:1@h",), ("sip:2@h",))
    search.hunt.give_up()
    assert search.steps() == [HangUp(leg="b1", q850=16)]
    assert search.timer(20.0) == []
    assert not search.exhausted


def test_an_emergency_rings_as_long_as_it_takes() -> None:
    search = Search(("sip:1@h",), ring_timeout=None)
    assert search.hunt.deadline is None
    search.redirected("b1", ["sip:2@h"], 1.0)
    assert search.hunt.deadline is None


def test_redirections_are_tried_in_their_order_before_the_next_round() -> None:
    search = Search(("sip:1@h",), ("sip:2@h",))
    assert search.redirected("b1", ["sip:8@h", "sip:9@h"], 3.0) == [
        Invite(leg="b2", target="sip:8@h")
    ]
    assert search.hunt.deadline == 23.0
    assert search.refused("b2", 486, 4.0) == [Invite(leg="b3", target="sip:9@h")]
    assert search.refused("b3", 480, 5.0) == [Invite(leg="b4", target="sip:2@h")]


def test_a_redirection_in_a_parallel_round_leaves_the_others_their_time() -> None:
    search = Search(ALL)
    assert search.redirected("b1", ["sip:8@h"], 5.0) == [
        Invite(leg="b4", target="sip:8@h")
    ]
    assert search.hunt.deadline == 20.0
    assert search.hunt.ringing == {"b2", "b3", "b4"}


def test_redirections_do_not_go_in_circles() -> None:
    search = Search(("sip:1@h",))
    search.redirected("b1", ["sip:2@h"], 1.0)
    assert search.redirected("b2", ["sip:1@h", "sip:2@h"], 2.0) == []
    assert search.exhausted
    assert search.hunt.status == 480


def test_redirections_are_counted() -> None:
    search = Search(("sip:0@h",))
    [leg] = search.rung
    for number in range(1, MAX_REDIRECTIONS + 1):
        [step] = search.redirected(leg, [f"sip:{number}@h"], 1.0)
        leg = step.leg
    assert search.redirected(leg, ["sip:99@h"], 2.0) == []


def test_a_redirection_to_nowhere_is_a_refusal() -> None:
    search = Search(("sip:1@h",), ("sip:2@h",))
    assert search.redirected("b1", [], 1.0) == [Invite(leg="b2", target="sip:2@h")]


def test_whoever_rings_in_another_process_is_rung_again_where_it_was_not() -> None:
    search = Search(ALL, ring_timeout=None)
    search.hunt.refused("b1", 486, 0.0)
    other = Search(())
    other.steps()
    other.hunt.restore(search.hunt.state)
    assert other.hunt.state == search.hunt.state
    other.hunt.ring_again("b3")
    assert other.steps() == [Invite(leg="b3", target="sip:3@h")]
    other.hunt.answered("b3")
    assert other.hunt.state.targets == {}
