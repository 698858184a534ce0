from collections.abc import Callable

from agent.recording.waiting_line import WaitingLine

OWN = 300.0


def new_line(outage: Callable[[int], float] = lambda n: 2.0**n) -> WaitingLine:
    return WaitingLine(outage=outage, own=lambda n: OWN * n)


def filled(*names: str) -> WaitingLine:
    line = new_line()
    for age, name in enumerate(names):
        line.add(name, age)
    return line


def take(line: WaitingLine, now: float) -> list[str]:
    """Everybody who is to be tried now."""
    found = []
    while (name := line.next(now)) is not None:
        found.append(name)
    return found


def test_the_oldest_first_whatever_the_order_of_arrival() -> None:
    line = new_line()
    for name, age in (("c", 3), ("a", 1), ("b", 2), ("a", 9)):
        line.add(name, age)
    assert len(line) == 3
    assert line.deadline() == 0.0
    assert take(line, 0.0) == ["a", "b", "c"]
    assert line.deadline() is None
    line.add("a", 0)  # under way
    assert line.next(0.0) is None


def test_who_is_done_is_gone() -> None:
    line = filled("a", "b")
    assert list(line) == ["a", "b"]
    line.next(0.0)
    assert not line.succeeded("a", 0.0)
    assert list(line) == ["b"]
    line.next(0.0)
    line.succeeded("b", 0.0)
    assert len(line) == 0


def test_of_several_that_fail_at_once_only_the_first_counts() -> None:
    line = filled("a", "b", "c")
    take(line, 0.0)
    assert line.failed("a", 1.0, by_itself=False) == 2.0
    assert line.failed("b", 1.5, by_itself=False) == 1.5
    assert line.failures == 1
    # Somebody is still under way: whether storage is back will be heard from there.
    assert line.deadline() is None
    assert line.next(9.0) is None
    assert line.succeeded("c", 2.0)
    assert take(line, 2.0) == ["a", "b"]


def test_in_an_outage_one_at_a_time_tries_ever_less_often() -> None:
    line = filled("a", "b", "c")
    now, tried = 0.0, []
    for _ in range(5):
        name = line.next(now)
        assert name is not None
        tried.append(name)
        if line.failures:
            assert line.next(now) is None
        line.failed(name, now, by_itself=False)
        due = line.deadline()
        assert due is not None
        assert line.next(due - 0.01) is None
        now = due
    # Each in its turn: one that is damaged must not be all that is ever asked.
    assert tried == ["a", "b", "c", "a", "b"]
    assert now == 2 + 4 + 8 + 16 + 32


def test_after_an_outage_all_are_in_their_places_again() -> None:
    line = filled("a", "b", "c", "d")
    for name, now in (("a", 0.0), ("b", 2.0)):
        assert line.next(now) == name
        line.failed(name, now, by_itself=False)
    assert line.next(10.0) == "c"
    assert line.succeeded("c", 10.0)
    assert line.failures == 0
    assert take(line, 10.0) == ["a", "b", "d"]


def test_who_alone_fails_holds_up_nobody() -> None:
    line = filled("bad", "a", "b", "c")
    order, now = [], 0.0
    while len(line) > 1:
        name = line.next(now)
        if name is None:
            due = line.deadline()
            assert due is not None
            now = due
        elif name == "bad":
            order.append(name)
            line.failed(name, now, by_itself=False)
        else:
            order.append(name)
            line.succeeded(name, now)
    # Twice in its place, which costs the others two short waits; then aside.
    assert order == ["bad", "a", "bad", "b", "c"]
    assert now < 10
    assert line.next(now) is None
    assert line.deadline() == now + OWN
    assert line.next(now + OWN) == "bad"


def test_ones_own_fault_is_no_outage() -> None:
    line = filled("bad", "a")
    assert line.next(0.0) == "bad"
    assert line.failed("bad", 0.0, by_itself=True) == OWN
    assert line.failures == 0
    assert line.next(0.0) == "a"
    line.succeeded("a", 0.0)
    assert line.deadline() == OWN
    line.add("new", 7)
    assert line.deadline() == 0.0
    assert line.next(OWN) == "bad"  # older than what has come since
    assert line.failed("bad", OWN, by_itself=True) == 2 * OWN
    assert next(iter(line)) == "bad"
