from hypothesis import given, strategies as st

from agent.service.missing_outcomes import PATIENCE, Found, MissingOutcomes

NOTHING = Found((), ())


def test_a_call_has_a_minute_to_get_its_outcome() -> None:
    missing = MissingOutcomes()
    assert missing.look(["a"], 100.0) == NOTHING
    assert missing.look(["a", "b"], 100.0 + PATIENCE - 1) == NOTHING
    assert missing.look(["a", "b"], 100.0 + PATIENCE) == Found(("a",), ())
    # It is told once; and once more when it has one.
    assert missing.look(["a", "b"], 100.0 + PATIENCE + 5) == NOTHING
    assert missing.look(["b"], 100.0 + PATIENCE + 10) == Found((), ("a",))
    assert missing.look([], 100.0 + PATIENCE + 11) == NOTHING
    # If it has none again, that is another matter.
    assert missing.look(["a"], 300.0) == NOTHING
    assert missing.look(["a"], 300.0 + PATIENCE) == Found(("a",), ())


_STEPS = st.lists(
    st.tuples(st.sets(st.sampled_from("abcd")), st.floats(0, 100)), max_size=30
)


@given(_STEPS)
def test_what_is_told_as_missing_is_told_as_known_in_the_end(
    steps: list[tuple[set[str], float]],
) -> None:
    missing, now = MissingOutcomes(), 0.0
    told: set[str] = set()
    for calls, seconds in [*steps, (set(), 0.0)]:
        now += seconds
        found = missing.look(calls, now)
        assert not told & set(found.missing)
        told |= set(found.missing)
        assert set(found.known) <= told
        told -= set(found.known)
        assert told <= calls
    assert told == set()
