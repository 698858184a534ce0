from agent.model.recording import Channel
from tests.call.siprec.situations import CALLER, OFFICER, parties, situation, stream


def test_who_talks_is_caller_and_officers_in_any_order() -> None:
    one = situation(who=parties(OFFICER, "202"))
    other = situation(who=parties("202", OFFICER))
    assert one.who == other.who == (CALLER, frozenset({OFFICER, "202"}))


def test_a_label_nobody_placed_is_heard_on_both_sides() -> None:
    told = situation()
    assert told.channel("label-s1") is Channel.CUSTOMER
    assert told.channel("another") is Channel.BOTH


def test_what_is_silent_is_told_by_the_names_of_streams() -> None:
    told = situation(
        stream("s1", active=False), stream("s2"), held=frozenset({"label-s2", "gone"})
    )
    assert told.inactive(("s1", "s2", "s3")) == {"s1", "s3"}
    assert told.on_hold(("s1", "s2")) == {"s2"}
    assert told.on_hold(("s1",)) == frozenset()
