from datetime import date

from agent.retention.marks import Mark
from agent.retention.plan import FORGET_AFTER_NS, DayPlan, Step, plan_day
from agent.retention.policy import DAY_NS, Period, Policy

ONE = "00000000-0000-4000-8000-000000000001"
TWO = "00000000-0000-4000-8000-000000000002"
DAY = date(2026, 11, 23)
YEAR = Policy(Period.parse("P1Y"))
DUE = YEAR.erasable_from(DAY)
HOUR = DAY_NS // 24
NOTHING_KEEPS: dict[str, tuple[str, ...]] = {TWO: (), ONE: ()}


def planned(
    now: int,
    ids: dict[str, tuple[str, ...]] = NOTHING_KEEPS,
    mark: Mark | None = None,
    generations: tuple[int, ...] = (),
    *,
    swept: bool = False,
) -> DayPlan:
    return plan_day(
        DAY, ids, YEAR, now, wait_ns=HOUR, mark=mark, generations=generations,
        swept=swept,
    )  # fmt: skip


def test_a_day_is_marked_then_waited_for_then_erased() -> None:
    plan = planned(DUE - DAY_NS)
    assert plan.step is Step.MARK
    assert (plan.at_ns, plan.erase, plan.late) == (DUE, (ONE, TWO), False)
    mark = Mark.of(DAY, plan.erase, DUE - HOUR // 2, YEAR.id)
    assert planned(DUE, mark=mark).step is Step.WAIT
    assert planned(DUE + HOUR // 2, mark=mark).step is Step.ERASE
    assert planned(DUE + HOUR // 2, mark=mark).at_ns == DUE + HOUR // 2


def test_a_mark_that_waited_all_day_lets_it_go_at_midnight() -> None:
    mark = Mark.of(DAY, [ONE], DUE - DAY_NS, YEAR.id)
    assert planned(DUE - 1, mark=mark).step is Step.WAIT
    assert planned(DUE, mark=mark).step is Step.ERASE


def test_what_is_kept_is_told_with_the_reason() -> None:
    plan = planned(DUE, {ONE: ("hold", "request"), TWO: ()})
    assert (plan.erase, plan.kept) == ((TWO,), {ONE: ("hold", "request")})
    assert planned(DUE, {ONE: ("hold",)}).step is Step.KEEP
    assert planned(DUE, {ONE: ("hold",)}, generations=(1,)).step is Step.MARK


def test_late_is_what_should_have_been_gone_a_day_ago() -> None:
    assert not planned(DUE + DAY_NS - 1).late
    assert planned(DUE + DAY_NS).late
    assert not planned(DUE + DAY_NS, swept=True).late, "a hold was lifted"
    mark = Mark.of(DAY, [ONE], DUE + 9 * DAY_NS, YEAR.id)
    assert not planned(DUE + 9 * DAY_NS, mark=mark).late
    assert planned(DUE + 10 * DAY_NS + HOUR, mark=mark).late


def test_a_complete_day_is_forgotten_or_marked_again() -> None:
    mark = Mark.of(DAY, [ONE], DUE, YEAR.id).tell([ONE]).completed(DUE + HOUR)
    plan = planned(DUE + 2 * HOUR, {}, mark)
    assert (plan.step, plan.at_ns) == (Step.FORGET, DUE + HOUR + FORGET_AFTER_NS)
    assert planned(DUE + 2 * HOUR, {ONE: ()}, mark).erase == ()
    assert planned(DUE + 2 * HOUR, {TWO: ()}, mark, swept=True).step is Step.MARK
