from agent.media.placement import Placement


def test_a_call_is_where_its_first_leg_is() -> None:
    placement = Placement()
    assert placement.worker_of("call") is None
    placement.add("call", "a", 1)
    placement.add("call", "b", 1)
    assert placement.worker_of("call") == 1
    placement.remove("call", "a")
    assert placement.worker_of("call") == 1
    placement.remove("call", "b")
    assert placement.worker_of("call") is None


def test_the_worker_with_the_fewest_legs_is_next() -> None:
    placement = Placement()
    placement.add("one", "a", 0)
    placement.add("one", "b", 0)
    placement.add("two", "c", 1)
    assert placement.least_loaded([0, 1]) == 1
    assert placement.least_loaded([0, 1, 2]) == 2
    placement.clear()
    assert placement.least_loaded([0, 1]) == 0
