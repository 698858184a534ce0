from agent.call.siprec.snapshots import INTERVAL, MOST, Snapshots


def test_a_client_is_asked_at_once_and_then_no_oftener_than_it_may() -> None:
    asking = Snapshots()
    assert not asking.due(0.0)
    asking.note(1.0, missing=True)
    assert asking.deadline == 1.0
    assert asking.due(1.0)
    assert not asking.due(1.0)
    asking.note(2.0, missing=True)
    assert not asking.due(1.0 + INTERVAL - 0.1)
    assert asking.due(1.0 + INTERVAL)
    assert asking.due(1.0 + 2 * INTERVAL)
    assert asking.deadline is None
    asking.note(1e6, missing=True)
    assert not asking.due(1e6)


def test_who_has_told_all_is_not_asked_but_later_only_when_it_may_be() -> None:
    asking = Snapshots()
    asking.note(0.0, missing=True)
    assert asking.due(0.0)
    asking.note(1.0, missing=False)
    assert asking.deadline is None
    asking.note(2.0, missing=True)
    assert asking.deadline == INTERVAL


def test_a_client_that_answered_may_be_asked_as_often_again() -> None:
    asking = Snapshots()
    for n in range(2 * MOST):
        asking.note(n * INTERVAL, missing=True)
        assert asking.due(n * INTERVAL)
        asking.note(n * INTERVAL + 1, missing=False)


def test_who_could_not_be_read_is_asked_later() -> None:
    asking = Snapshots()
    asking.note(5.0, missing=True, later=True)
    assert asking.deadline == 5.0 + INTERVAL
    asking.note(6.0, missing=True, later=True)
    assert asking.due(5.0 + INTERVAL)
    asking.note(36.0, missing=False)
    asking.note(37.0, missing=True, later=True)
    assert asking.deadline == 37.0 + INTERVAL
    asking.note(37.0, missing=False)
    asking.note(38.0, missing=True)
    assert asking.deadline == 5.0 + 2 * INTERVAL


def test_another_process_asks_no_oftener() -> None:
    asking = Snapshots()
    asking.note(0.0, missing=True)
    for n in range(MOST - 1):
        assert asking.due(n * INTERVAL)
    other = Snapshots()
    other.restore(asking.state)
    assert other.deadline == (MOST - 1) * INTERVAL
    assert other.due(other.deadline)
    assert other.deadline is None
