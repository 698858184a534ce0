from agent.call.leg_names import FIRST, LegNames


def test_no_leg_of_a_call_is_named_twice() -> None:
    names = LegNames()
    assert [FIRST, next(names), next(names)] == ["a", "b1", "b2"]


def test_who_takes_over_goes_on_counting() -> None:
    names = LegNames()
    names.given = 2
    assert next(names) == "b3"
