from agent.model.media import OPUS, PCMA, PCMU
from agent.signalling.payload_types import PayloadTypes


def numbers(types: PayloadTypes) -> list[int]:
    return [codec.payload_type for codec in types.numbered((PCMA, PCMU, OPUS))]


def test_the_usual_numbers_where_nothing_else_is_known() -> None:
    types = PayloadTypes()
    assert numbers(types) == [8, 0, 107]
    assert types.number("telephone-event", 8000, 101) == 101
    assert types.number("Telephone-Event", 8000, 96) == 101


def test_the_peers_numbers_are_kept() -> None:
    types = PayloadTypes()
    types.learn(111, "opus", 48_000)
    types.learn(107, "telephone-event", 48_000)
    assert numbers(types) == [8, 0, 111]
    assert types.number("telephone-event", 48_000, 110) == 107


def test_no_number_gets_a_second_meaning() -> None:
    types = PayloadTypes()
    types.learn(107, "iLBC", 8000)
    types.learn(8, "G729", 8000)
    assert numbers(types) == [96, 0, 108]
    types.learn(127, "x", 8000)
    assert types.number("y", 8000, 127) == 97


def test_a_number_the_peer_gave_another_meaning_is_given_up() -> None:
    types = PayloadTypes()
    assert numbers(types) == [8, 0, 107]
    types.learn(107, "telephone-event", 8000)
    assert numbers(types) == [8, 0, 108]
