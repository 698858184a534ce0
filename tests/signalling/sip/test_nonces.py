import random
import tracemalloc

from hypothesis import given, strategies as st

from agent.signalling.sip.nonces import WINDOW, Nonces

HOME, AWAY = "192.0.2.1", "203.0.113.66"


def new(**more: object) -> Nonces:
    return Nonces(key=b"k" * 32, rng=random.Random(1), **more)  # type: ignore[arg-type]


def test_a_nonce_is_known_again_until_it_is_old() -> None:
    nonces = new(lifetime=300.0)
    nonce = nonces.issue(HOME, 1000.0)
    assert len(nonce) == 44
    assert nonces.is_fresh(nonce, HOME, 1000.0)
    assert nonces.is_fresh(nonce, HOME, 1300.0)
    assert not nonces.is_fresh(nonce, HOME, 1300.1)
    assert len(nonces) == 0


def test_no_two_are_alike() -> None:
    nonces = new()
    assert len({nonces.issue(HOME, 5.0) for _ in range(100)}) == 100


def test_nobody_else_makes_one() -> None:
    nonces = new()
    nonce = nonces.issue(HOME, 0.0)
    other = Nonces(key=b"x" * 32, rng=random.Random(1)).issue(HOME, 0.0)
    later = f"{1:012x}" + nonce[12:]
    for forged in (other, later, nonce[:-1], nonce.upper(), nonce + "0", "", "\u00e4"):
        assert not nonces.is_fresh(forged, HOME, 0.0)


def test_it_is_good_at_the_address_it_was_given_to() -> None:
    nonces = new()
    nonce = nonces.issue(AWAY, 0.0)
    assert nonces.is_fresh(nonce, AWAY, 0.0)
    assert not nonces.is_fresh(nonce, HOME, 0.0)


def test_a_count_is_used_once() -> None:
    nonces = new()
    nonce = nonces.issue(HOME, 0.0)
    assert nonces.use(nonce, 1, 0.0)
    assert not nonces.use(nonce, 1, 0.0)
    assert nonces.use(nonce, 2, 0.0)
    assert not nonces.use(nonce, 0, 0.0)


def test_counts_may_overtake_one_another_within_the_window() -> None:
    nonces = new()
    nonce = nonces.issue(HOME, 0.0)
    assert nonces.use(nonce, 100, 0.0)
    assert nonces.use(nonce, 100 - WINDOW + 1, 0.0)
    assert not nonces.use(nonce, 100 - WINDOW, 0.0)
    assert nonces.use(nonce, 2**32 - 1, 0.0)
    assert not nonces.use(nonce, 101, 0.0)


def test_a_leap_of_the_count_costs_no_memory() -> None:
    nonces = new()
    nonce = nonces.issue(HOME, 0.0)
    assert nonces.use(nonce, 1, 0.0)
    tracemalloc.start()
    try:
        assert nonces.use(nonce, 2**32 - 1, 0.0)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10_000


@given(st.lists(st.integers(0, 200), max_size=60))
def test_no_order_of_counts_lets_one_pass_twice(counts: list[int]) -> None:
    nonces = new()
    nonce = nonces.issue(HOME, 0.0)
    taken = [count for count in counts if nonces.use(nonce, count, 0.0)]
    assert len(taken) == len(set(taken))
    assert 0 not in taken
    highest = 0
    for count in counts:
        if count > highest:
            assert count in taken
            highest = count


def test_what_is_forgotten_early_cannot_be_replayed() -> None:
    nonces = new(max_used=2)
    issued = [nonces.issue(HOME, float(n)) for n in range(4)]
    for nonce in issued[:3]:
        assert nonces.use(nonce, 1, 3.0)
    assert len(nonces) == 2
    assert [nonces.is_fresh(nonce, HOME, 3.0) for nonce in issued] == [
        False,
        True,
        True,
        True,
    ]
    # The oldest goes first, in whatever order they were used.
    assert nonces.use(issued[3], 1, 3.0)
    assert not nonces.is_fresh(issued[1], HOME, 3.0)


def test_what_is_old_makes_room_of_itself() -> None:
    nonces = new(max_used=2, lifetime=10.0)
    for n in (0, 1):
        assert nonces.use(nonces.issue(HOME, float(n)), 1, float(n))
    untouched = nonces.issue(HOME, 1.0)
    fresh = nonces.issue(HOME, 10.5)
    assert nonces.use(fresh, 1, 10.5)
    assert len(nonces) == 2
    assert nonces.is_fresh(untouched, HOME, 10.5)
    assert nonces.use(nonces.issue(HOME, 40.0), 1, 40.0)
    assert len(nonces) == 1
