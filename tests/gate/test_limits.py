from hypothesis import given, strategies as st

from agent.gate import limits as module
from agent.gate.limits import HOUR, Counted, Limit, Limits, Verdict

ALL = {what: Limit(refuse=5, alarm=3) for what in Counted}


def test_an_alarm_is_raised_once_and_more_are_refused() -> None:
    limits = Limits(ALL)
    verdicts = [limits.take("p-1", Counted.RELEASES, now) for now in range(7)]
    assert [v.alarm for v in verdicts] == [False, False, True] + [False] * 4
    assert [v.refused for v in verdicts] == [False] * 5 + [True] * 2
    assert verdicts[-1].count == 5
    assert limits.full("p-1", Counted.RELEASES, 7.0)
    assert not limits.full("p-1", Counted.DENIALS, 7.0)


def test_persons_and_acts_are_counted_apart() -> None:
    limits = Limits(ALL)
    for _ in range(5):
        limits.take("p-1", Counted.RELEASES, 0.0)
    assert limits.take("p-2", Counted.RELEASES, 0.0) == Verdict(False, False, 1)
    assert limits.take("p-1", Counted.FINDS, 0.0) == Verdict(False, False, 1)


def test_an_hour_later_it_may_be_asked_again_and_alarmed_again() -> None:
    limits = Limits(ALL)
    for now in (0.0, 1.0, 2.0):
        limits.take("p-1", Counted.FINDS, now)
    later = [limits.take("p-1", Counted.FINDS, HOUR + 2.0 + n) for n in range(3)]
    assert [v.alarm for v in later] == [False, False, True]
    assert [v.count for v in later] == [1, 2, 3]


def test_whoever_is_idle_is_forgotten(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(module, "MAX_PERSONS", 3)
    limits = Limits(ALL)
    for n in range(3):
        limits.take(f"p-{n}", Counted.FINDS, 0.0)
    limits.take("p-2", Counted.FINDS, HOUR)
    limits.take("p-9", Counted.FINDS, HOUR + 1)
    assert {person for person, _ in limits._windows} == {"p-2", "p-9"}


@given(st.lists(st.floats(0, 3 * HOUR), max_size=60).map(sorted))
def test_never_more_than_the_limit_in_any_hour(times: list[float]) -> None:
    limits = Limits(ALL)
    taken = [t for t in times if not limits.take("p-1", Counted.RELEASES, t).refused]
    for start in taken:
        assert sum(start <= t < start + HOUR for t in taken) <= 5
