from agent.signalling.sip.lockout import Lockout


def fail(lockout: Lockout, name: str, times: int, now: float) -> list[bool]:
    return [lockout.failed(name, now) for _ in range(times)]


def test_the_last_failure_too_many_locks() -> None:
    lockout = Lockout(limit=3, first=60.0)
    assert fail(lockout, "a", 2, 0.0) == [False, False]
    assert not lockout.is_locked("a", 0.0)
    assert fail(lockout, "a", 1, 0.0) == [True]
    assert lockout.is_locked("a", 0.0)
    assert lockout.is_locked("a", 59.9)
    assert not lockout.is_locked("a", 60.0)
    assert not lockout.is_locked("b", 0.0)
    assert lockout.locked == 1


def test_each_lock_lasts_twice_as_long_up_to_the_longest() -> None:
    lockout = Lockout(limit=1, first=60.0, longest=200.0)
    now, lasted = 0.0, []
    for _ in range(40):
        assert lockout.failed("a", now)
        until = next(t for t in range(1, 5000) if not lockout.is_locked("a", now + t))
        lasted.append(until)
        now += until
    assert lasted[:3] == [60, 120, 200]
    assert set(lasted[2:]) == {200}


def test_quiet_is_forgiven() -> None:
    lockout = Lockout(limit=2, window=300.0, first=60.0)
    assert fail(lockout, "a", 1, 0.0) == [False]
    assert fail(lockout, "a", 1, 301.0) == [False]
    assert fail(lockout, "a", 1, 601.0) == [True]
    # The lock is forgotten the window's length after its end.
    assert fail(lockout, "a", 2, 961.0) == [False, True]
    assert lockout.is_locked("a", 1080.0)
    assert fail(lockout, "a", 2, 2000.0) == [False, True]
    assert not lockout.is_locked("a", 2060.0)


def test_a_success_takes_one_failure_back() -> None:
    lockout = Lockout(limit=3)
    fail(lockout, "a", 2, 0.0)
    lockout.succeeded("a")
    assert fail(lockout, "a", 2, 0.0) == [False, True]
    lockout.succeeded("a")
    lockout.succeeded("b")
    assert lockout.is_locked("a", 1.0)
    assert len(lockout) == 1


def test_the_longest_quiet_is_forgotten_first() -> None:
    lockout = Lockout(limit=1, max_names=2)
    for now, name in enumerate("abac"):
        lockout.failed(name, float(now))
    assert [lockout.is_locked(name, 4.0) for name in "abc"] == [True, False, True]
    assert len(lockout) == 2
