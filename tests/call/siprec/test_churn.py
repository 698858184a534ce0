"""How often segments may begin."""

from agent.call.siprec.churn import BURST, EVERY, Churn, Pace


def test_many_may_begin_at_once_and_then_one_every_while() -> None:
    churn = Churn()
    assert {churn.take(0.0) for _ in range(BURST)} == {Pace.FREE}
    assert churn.take(0.0) is Pace.CROWDED
    # What has gone by counts, whichever process asks.
    other = Churn()
    other.restore(churn.state)
    assert other.take(2 * EVERY) is Pace.FREE
    assert other.take(2 * EVERY) is Pace.CROWDED


def test_beyond_all_bounds_none_begins_and_waiting_costs_nothing() -> None:
    churn = Churn()
    for _ in range(2 * BURST):
        assert churn.take(0.0) is not Pace.WAIT
    assert churn.take(0.0) is Pace.WAIT
    assert churn.take(EVERY) is Pace.CROWDED
    assert churn.take(EVERY) is Pace.WAIT


def test_a_long_rest_gives_no_more_than_the_first_time() -> None:
    churn = Churn()
    churn.take(0.0)
    found = [churn.take(1e9) for _ in range(3 * BURST)]
    assert found.count(Pace.FREE) == BURST
    assert found.count(Pace.CROWDED) == BURST
