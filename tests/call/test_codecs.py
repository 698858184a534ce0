"""The policy as a table: who is offered what, and what two legs apart are to do."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from agent.call.codecs import (
    Apart,
    Move,
    Side,
    for_first,
    for_target,
    named,
    names_of,
    relayable,
    settle,
)
from agent.model.media import CODECS, Address, Codec, NegotiatedAudio

NAMES = {"A": "PCMA", "U": "PCMU", "G": "G722", "O": "opus"}


def names(text: str) -> list[str]:
    return [NAMES[letter] for letter in text]


def letters(codecs: Sequence[Codec]) -> str:
    back = {name: letter for letter, name in NAMES.items()}
    return "".join(back[codec.name] for codec in codecs)


def agreed(text: str) -> NegotiatedAudio:
    """The codec in use, then what else the peer may change to."""
    first, *others = (CODECS[name] for name in names(text))
    return NegotiatedAudio(
        remote=Address("192.0.2.1", 4000),
        remote_rtcp=Address("192.0.2.1", 4001),
        codec=first,
        others=tuple(others),
    )


@pytest.mark.parametrize("one", "AUGO")
@pytest.mark.parametrize("other", "AUGO")
def test_only_the_two_laws_are_converted(one: str, other: str) -> None:
    expected = one == other or {one, other} == {"A", "U"}
    assert relayable(NAMES[one], NAMES[other]) is expected


# The route, what the other party chose, what the first one is answered with.
FIRST = [
    ("AU", "", "AU"),
    ("UA", "", "UA"),
    ("A", "", "AU"),
    ("GA", "", "AUG"),
    ("OGU", "", "UAOG"),
    ("G", "", "G"),
    ("GO", "", "GO"),
    ("GAO", "A", "AU"),
    ("GAO", "U", "UA"),
    ("GAO", "G", "G"),
    ("AGO", "O", "O"),
]


@pytest.mark.parametrize(("route", "partner", "expected"), FIRST)
def test_what_the_first_party_is_answered_with(
    route: str, partner: str, expected: str
) -> None:
    found = for_first(names(route), agreed(partner) if partner else None)
    assert letters(found) == expected


# The route, what the first party has agreed and can do, what a target is offered.
TARGET = [
    ("AU", "A", "AU", "AU"),
    ("AU", "U", "U", "UA"),
    ("A", "U", "U", "UA"),
    ("GA", "A", "GA", "GAU"),
    ("GA", "A", "A", "AU"),
    ("GA", "A", None, "AU"),
    ("AG", "A", "AGO", "AGU"),
    ("OGA", "U", "OUG", "OGUA"),
    ("G", "G", "G", "G"),
    ("GA", "G", "G", "G"),
    ("GA", "G", "GA", "GAU"),
    ("GO", "A", "A", "AU"),
    ("G", "O", "O", "O"),
    ("AU", "", None, "AU"),
    ("GA", "", "A", "AU"),
    ("GA", "", "GU", "GAU"),
    ("GO", "", "O", "O"),
    ("GO", "", "A", "GO"),
]


@pytest.mark.parametrize(("route", "first", "can", "expected"), TARGET)
def test_what_a_target_is_offered(
    route: str, first: str, can: str | None, expected: str
) -> None:
    found = for_target(
        names(route),
        agreed(first) if first else None,
        None if can is None else names(can),
    )
    assert letters(found) == expected


# What both use, who was asked already, who is to be offered what.
SETTLE = [
    ("A", "A", "", ""),
    ("A", "U", "", ""),
    ("O", "O", "", ""),
    ("A", "G", "", "first G"),
    ("A", "GU", "", "first GUA"),
    ("A", "G", "f", "target AU"),
    ("A", "G", "t", "first G"),
    ("A", "G", "ft", "apart"),
    ("G", "A", "", "first AU"),
    ("G", "A", "f", "target G"),
    ("O", "G", "f", "target O"),
    ("O", "A", "ft", "apart"),
    ("G", "G", "ft", ""),
]


@pytest.mark.parametrize(("first", "target", "tried", "expected"), SETTLE)
def test_two_legs_that_must_meet(
    first: str, target: str, tried: str, expected: str
) -> None:
    sides = {"f": Side.FIRST, "t": Side.TARGET}
    asked = frozenset(sides[letter] for letter in tried)
    verdict = settle(agreed(first), agreed(target), asked)
    match verdict:
        case Move(side, codecs):
            assert f"{side} {letters(codecs)}" == expected
        case Apart():
            assert expected == "apart"
        case None:
            assert expected == ""


TEXTS = st.permutations("AUGO").flatmap(
    lambda order: st.integers(1, 4).map(lambda n: "".join(order[:n]))
)


@given(route=TEXTS, can=TEXTS, target=TEXTS)
def test_whatever_they_can_do_they_meet_or_the_call_fails(
    route: str, can: str, target: str
) -> None:
    """A caller answered first; then an officer, who takes the best it was offered.

    Each accepts what it can do of an offer, and refuses one with nothing of it.
    """
    first = next((c for c in letters(for_first(names(route), None)) if c in can), None)
    if first is None:
        return  # 488: nothing of the route
    offer = letters(for_target(names(route), agreed(first), names(can)))
    second = next((c for c in offer if c in target), None)
    if second is None:
        return  # the officer's phone refuses
    in_use = {Side.FIRST: first, Side.TARGET: second}
    abilities = {Side.FIRST: can, Side.TARGET: target}
    tried: set[Side] = set()
    for _ in range(3):
        verdict = settle(
            agreed(in_use[Side.FIRST]), agreed(in_use[Side.TARGET]), frozenset(tried)
        )
        if not isinstance(verdict, Move):
            break
        tried.add(verdict.side)
        able = abilities[verdict.side]
        taken = next((c for c in letters(verdict.codecs) if c in able), None)
        in_use[verdict.side] = taken or in_use[verdict.side]
    # What the officer was offered the caller can do: so they always meet.
    assert verdict is None
    assert relayable(NAMES[in_use[Side.FIRST]], NAMES[in_use[Side.TARGET]])


def test_both_laws_or_none() -> None:
    assert letters(named(["PCMU"])) == "UA"
    assert letters(named(["G722"])) == "G"


def test_what_payload_types_mean_is_told_of_noise_and_events_too() -> None:
    audio = replace(agreed("AG"), comfort_noise=13, telephone_event=101)
    assert names_of(audio) == {
        "8": "PCMA",
        "9": "G722",
        "13": "CN",
        "101": "telephone-event",
    }
