import pytest

from agent.call.siprec.channels import Placement, place
from agent.call.siprec.people import Party
from agent.model.recording import Channel

LEFT, RIGHT, BOTH = Channel.CUSTOMER, Channel.OFFICER, Channel.BOTH


def party(key: str, *sends: str) -> Party:
    return Party(key=key, number=key, sends=frozenset(sends))


def placed(*sides: tuple[Party, Channel], labels: str) -> Placement:
    return place(list(labels), dict(sides))


def test_a_stream_is_on_the_side_of_who_sends_on_it() -> None:
    caller, officer = party("c", "1", "3"), party("o", "2")
    assert placed((caller, LEFT), (officer, RIGHT), labels="123") == Placement(
        {"1": LEFT, "2": RIGHT, "3": LEFT}, mixed=False, by_order=False
    )


def test_several_on_one_stream_are_mixed() -> None:
    caller, officer, other = party("c", "1"), party("o", "1"), party("p", "1")
    made = placed((caller, LEFT), (officer, RIGHT), labels="1")
    assert (made.channels, made.mixed) == ({"1": BOTH}, True)
    # Two officers on one stream and the caller on another.
    caller = party("c", "2")
    made = placed((caller, LEFT), (officer, RIGHT), (other, RIGHT), labels="12")
    assert (made.channels, made.mixed) == ({"1": RIGHT, "2": LEFT}, True)


@pytest.mark.parametrize(
    ("sides", "channel", "mixed"),
    [((), BOTH, False), ((LEFT,), LEFT, False), ((LEFT, RIGHT), BOTH, True)],
)
def test_the_only_stream_is_that_of_all(
    sides: tuple[Channel, ...], channel: Channel, mixed: bool
) -> None:
    people = [(party(str(n)), side) for n, side in enumerate(sides)]
    assert placed(*people, labels="1") == Placement(
        {"1": channel}, mixed, by_order=False
    )


def test_without_senders_streams_stay_where_they_were() -> None:
    caller, officer = party("c"), party("o")
    sides = (officer, RIGHT), (caller, LEFT)
    before = Placement({"1": LEFT, "2": RIGHT}, mixed=False, by_order=False)
    assert place(["1", "2"], dict(sides), before) == before


def test_a_mixed_stream_is_on_both_sides_while_somebody_is_on_hold() -> None:
    caller, officer = party("c", "1"), party("o", "1")
    before = placed((caller, LEFT), (officer, RIGHT), labels="1")
    held = {party("c"): LEFT, officer: RIGHT}
    assert place(["1"], held, before) == before
    # What was on both sides for want of knowledge goes where it belongs.
    unknown = Placement({"1": BOTH}, mixed=False, by_order=False)
    assert place(["1"], held, unknown).channels == {"1": RIGHT}
    assert not place(["2", "3"], held, before).mixed


def test_who_sends_nothing_is_on_what_is_left() -> None:
    caller, officer = party("c", "1"), party("o")
    made = placed((caller, LEFT), (officer, RIGHT), labels="123")
    assert made.channels == {"1": LEFT, "2": RIGHT, "3": RIGHT}
    assert not made.by_order


def test_without_any_sender_their_order_tells() -> None:
    caller, officer = party("c"), party("o")
    made = placed((officer, RIGHT), (caller, LEFT), labels="12")
    assert made == Placement({"1": RIGHT, "2": LEFT}, mixed=False, by_order=True)


def test_where_not_even_their_number_is_the_same_it_is_both() -> None:
    caller, officer = party("c"), party("o")
    made = placed((caller, LEFT), (officer, RIGHT), labels="123")
    assert made.channels == {"1": BOTH, "2": BOTH, "3": BOTH}
    assert not made.by_order


def test_what_nobody_sends_on_is_of_whom_nobody_names() -> None:
    officer = party("o", "2")
    assert placed((officer, RIGHT), labels="12").channels == {"1": LEFT, "2": RIGHT}
    caller = party("c", "3")
    made = placed((officer, RIGHT), (caller, LEFT), labels="123")
    assert made.channels == {"1": BOTH, "2": RIGHT, "3": LEFT}


def test_without_people_the_first_two_stand_apart() -> None:
    made = placed(labels="123")
    assert made.channels == {"1": LEFT, "2": RIGHT, "3": BOTH}
    assert not made.by_order


def test_one_label_twice_is_one_stream() -> None:
    assert placed(labels="11").channels == {"1": BOTH}


def test_what_was_matched_by_order_stays_so() -> None:
    caller, officer = party("c"), party("o")
    sides = {caller: LEFT, officer: RIGHT}
    first = place(["1", "2"], sides)
    assert first.by_order
    assert place(["1", "2"], sides, first) == first
    # Who sends says where: nothing is left of the order.
    speaking = {party("c", "1"): LEFT, party("o", "2"): RIGHT}
    assert not place(["1", "2"], speaking, first).by_order


def test_where_it_was_not_known_whose_they_are_streams_need_not_stay() -> None:
    caller, officer = party("c"), party("o")
    sides = {officer: RIGHT, caller: LEFT}
    before = Placement({"1": LEFT, "2": RIGHT}, mixed=False, by_order=False)
    made = place(["1", "2"], sides, before, keep=False)
    assert made == Placement({"1": RIGHT, "2": LEFT}, mixed=False, by_order=True)
    # A side that only order told is still told by nothing else.
    assert place(["1", "2"], sides, made) == made


def test_what_is_fixed_holds_for_streams_of_a_single_sender() -> None:
    caller, officer = party("c", "2"), party("o", "1")
    before = Placement({"1": LEFT, "2": RIGHT}, mixed=False, by_order=False)
    sides = {caller: LEFT, officer: RIGHT}
    assert place(["1", "2"], sides, before, fixed=True).channels == before.channels
    moved = place(["1", "2"], sides, before).channels
    assert moved == {"1": RIGHT, "2": LEFT}
    # Several on one of them are told from what it was.
    sides[party("p", "1")] = LEFT
    both = place(["1", "2"], sides, before, fixed=True).channels
    assert both == {"1": BOTH, "2": RIGHT}
