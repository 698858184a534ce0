from agent.signalling.sip.timers import DEFAULT_TIMERS, Timers, earliest


def test_table_4_over_udp() -> None:
    timers = DEFAULT_TIMERS
    assert (timers.t1, timers.t2, timers.t4) == (0.5, 4.0, 5.0)
    assert timers.a == timers.e == timers.g == 0.5
    assert timers.b == timers.f == timers.h == 32.0
    assert timers.d(reliable=False) == 32.0
    assert timers.i(reliable=False) == 5.0
    assert timers.j(reliable=False) == 32.0
    assert timers.k(reliable=False) == 5.0
    assert timers.l == timers.m == 32.0


def test_table_4_over_tcp() -> None:
    timers = DEFAULT_TIMERS
    assert timers.d(reliable=True) == 0.0
    assert timers.i(reliable=True) == 0.0
    assert timers.j(reliable=True) == 0.0
    assert timers.k(reliable=True) == 0.0


def test_all_follow_from_t1() -> None:
    timers = Timers(t1=0.1)
    assert timers.b == timers.f == timers.h == timers.l == timers.m == 6.4
    assert timers.d(reliable=False) == timers.j(reliable=False) == 6.4


def test_the_earliest_of_deadlines() -> None:
    assert earliest() is None
    assert earliest(None, None) is None
    assert earliest(None, 2.0, 0.0, None, 1.0) == 0.0
