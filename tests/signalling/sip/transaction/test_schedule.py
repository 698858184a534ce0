from hypothesis import given, settings, strategies as st

from agent.signalling.sip.transaction.schedule import Schedule


def drain(schedule: Schedule, now: float) -> list[str]:
    found = []
    while (key := schedule.pop_due(now)) is not None:
        found.append(key)
    return found


def test_earliest_first() -> None:
    schedule = Schedule()
    schedule.set("b", 2.0)
    schedule.set("a", 1.0)
    schedule.set("c", 3.0)
    assert schedule.first() == 1.0
    assert drain(schedule, 2.0) == ["a", "b"]
    assert schedule.first() == 3.0
    assert len(schedule) == 1


def test_nothing_due() -> None:
    schedule = Schedule()
    assert schedule.first() is None
    assert schedule.pop_due(1e9) is None
    schedule.set("a", 1.0)
    assert schedule.pop_due(0.999) is None


def test_deadline_moves_later() -> None:
    schedule = Schedule()
    schedule.set("a", 1.0)
    schedule.set("a", 5.0)
    assert drain(schedule, 1.0) == []
    assert schedule.first() == 5.0


def test_deadline_moves_earlier() -> None:
    schedule = Schedule()
    schedule.set("a", 5.0)
    schedule.set("a", 1.0)
    assert drain(schedule, 1.0) == ["a"]
    assert schedule.first() is None


def test_deadline_moves_earlier_and_back() -> None:
    schedule = Schedule()
    schedule.set("a", 5.0)
    schedule.set("a", 1.0)
    schedule.set("a", 5.0)
    assert drain(schedule, 10.0) == ["a"]
    assert drain(schedule, 10.0) == []


def test_deadline_taken_away() -> None:
    schedule = Schedule()
    schedule.set("a", 1.0)
    schedule.set("a", None)
    schedule.set("never", None)
    assert schedule.first() is None
    schedule.set("a", 2.0)
    assert schedule.first() == 2.0


def test_what_is_stale_does_not_pile_up() -> None:
    schedule = Schedule()
    schedule.set("stays", 1e9)
    for number in range(10_000):
        schedule.set(str(number), 32.0)
        schedule.set(str(number), None)
    assert len(schedule._heap) < 200
    assert schedule.first() == 1e9


KEYS = st.sampled_from("abcd")
TIMES = st.none() | st.integers(0, 20).map(float)


@settings(max_examples=200)
@given(st.lists(st.tuples(KEYS, TIMES, st.integers(0, 3)), max_size=60))
def test_is_what_a_plain_mapping_would_be(
    steps: list[tuple[str, float | None, int]],
) -> None:
    schedule = Schedule()
    plain: dict[str, float] = {}
    now = 0.0
    for key, deadline, pause in steps:
        schedule.set(key, deadline)
        if deadline is None:
            plain.pop(key, None)
        else:
            plain[key] = deadline
        assert schedule.first() == min(plain.values(), default=None)
        now += pause
        due = {name for name, at in plain.items() if at <= now}
        assert set(drain(schedule, now)) == due
        plain = {name: at for name, at in plain.items() if name not in due}
        assert len(schedule) == len(plain)
