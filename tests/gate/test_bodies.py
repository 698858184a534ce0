import pytest
from hypothesis import given, strategies as st
from pydantic import ValidationError

from agent.gate.bodies import FindRequest, ReleaseRequest

GOOD = {"id": "0f8fad5b-d9cb-469f-a165-70867728950e", "purpose": "quality"}


def test_a_body_is_what_it_says_and_nothing_more() -> None:
    assert ReleaseRequest(**GOOD).day is None
    for bad in ({"id": "x"}, {"purpose": "x"}, {"more": 1}, {"day": "tomorrow"}):
        with pytest.raises(ValidationError):
            ReleaseRequest(**{**GOOD, **bad})


def test_what_is_refused_is_not_repeated() -> None:
    with pytest.raises(ValidationError) as caught:
        ReleaseRequest(**GOOD, reference="Matti Meikäläinen")
    assert "Matti" not in str(caught.value)


@given(st.text(max_size=70))
def test_no_reference_holds_a_sentence(text: str) -> None:
    try:
        body = ReleaseRequest(**GOOD, reference=text)
    except ValidationError:
        return
    assert body.reference == text
    assert " " not in text
    assert text.isascii()


@given(st.text(max_size=30))
def test_a_number_is_one_of_those_that_are_indexed(text: str) -> None:
    days = {"from": "2026-11-01", "to": "2026-11-02", "purpose": "quality"}
    try:
        body = FindRequest(**days, number=text)
    except ValidationError:
        return
    assert body.number is not None
    assert set(body.number) <= set("+0123456789*#")
