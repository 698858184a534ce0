import pytest

from agent.call.siprec.budget import BURST, SHARE, Budget


def test_what_is_spent_comes_again_in_its_time() -> None:
    budget = Budget()
    assert budget.allows(100.0)
    budget.charge(BURST)
    assert not budget.allows(100.0)
    assert not budget.allows(99.0)
    assert budget.allows(101.0)
    budget.charge(SHARE)
    assert not budget.allows(101.0)


def test_the_last_may_cost_more_than_was_left_and_is_paid_off() -> None:
    budget = Budget()
    assert budget.allows(0.0)
    budget.charge(BURST + 1.0)
    assert not budget.allows(0.9 / SHARE)
    assert budget.allows(1.1 / SHARE)


def test_nobody_saves_more_than_a_burst() -> None:
    budget = Budget()
    assert budget.allows(0.0)
    assert budget.allows(1e6)
    budget.charge(BURST)
    assert not budget.allows(1e6)


@pytest.mark.parametrize("cost", [0.001, 0.025, 0.1])
def test_a_flood_gets_its_share_and_no_more(cost: float) -> None:
    budget, spent = Budget(), 0.0
    for tick in range(20_000):
        if budget.allows(tick / 1000):
            budget.charge(cost)
            spent += cost
    assert 20 * SHARE < spent <= 20 * SHARE + BURST + cost


@pytest.mark.parametrize("slower", [0.5, 1, 4])
def test_sessions_that_begin_all_at_once_are_all_read(slower: float) -> None:
    # 400 of 4 kB: 0.8 ms of metadata in an INVITE's 2.8 ms, then 0.4 ms in 5. The clock
    # of the loop stands still while what one read has brought is worked on.
    budget, now = Budget(), 0.0
    for metadata, whole, together in ((0.0008, 0.0028, 50), (0.0004, 0.005, 1)):
        for _ in range(400 // together):
            for _ in range(together):
                assert budget.allows(now)
                budget.charge(metadata * slower)
            now += whole * together * slower
