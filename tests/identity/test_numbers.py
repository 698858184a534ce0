import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from agent.identity.numbers import (
    FINLAND,
    MAX_NUMBER,
    IdentityConfig,
    mask,
    normalise,
)
from agent.model.recording import UNDECIDED, WITHHELD


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("0401234567", "+358401234567"),
        ("00358401234567", "+358401234567"),
        ("+358401234567", "+358401234567"),
        ("358401234567", "+358401234567"),
        (" 040 123-45 67 ", "+358401234567"),
        ("+358 (0)40 1234567", "+358401234567"),
        ("00358(0)401234567", "+358401234567"),
        ("(040) 123.4567", "+358401234567"),
        ("040/1234567", "+358401234567"),
        ("0295419600", "+358295419600"),
        ("0046701234567", "+46701234567"),
        ("+46701234567", "+46701234567"),
        # Short and service numbers stay as dialled.
        ("112", "112"),
        ("116117", "116117"),
        ("201", "201"),
        ("0100", "0100"),
        ("358201", "358201"),
        ("*43#", "*43#"),
        # What cannot be a number of the public network is left alone.
        ("+12", "+12"),
        ("+0401234567", "+0401234567"),
        ("000401234567", "000401234567"),
        ("0" + "4" * 20, "0" + "4" * 20),
        ("+35840123456789012345", "+35840123456789012345"),
        ("040123456*", "040123456*"),
        # Names and rubbish come back clean.
        ("alice.smith", "alice.smith"),
        ("anna liisa\r\n", "annaliisa"),
        ("a\u2028\x00b", "ab"),
        ("\u0660\u0661", "\u0660\u0661"),
        ("", ""),
        (WITHHELD, WITHHELD),
        ("x" * 100, "x" * MAX_NUMBER),
    ],
)
def test_numbers_get_one_written_form(number: str, expected: str) -> None:
    assert normalise(number) == expected


def test_other_countries_dial_otherwise() -> None:
    america = IdentityConfig(
        country_code="1", international_prefix="011", national_prefix="1"
    )
    assert normalise("01146701234567", america) == "+46701234567"
    assert normalise("12025550123", america) == "+12025550123"
    denmark = IdentityConfig(country_code="45", national_prefix="")
    assert normalise("4533123456", denmark) == "+4533123456"
    assert normalise("33123456", denmark) == "33123456"
    bare = IdentityConfig(international_prefix="")
    assert normalise("00358401234567", bare) == "00358401234567"


@pytest.mark.parametrize(
    "section",
    [
        {"country_code": "+358"},
        {"country_code": ""},
        {"country_code": "0358"},
        {"national_prefix": "x"},
        {"international_prefix": "1234567"},
        {"country": "FI"},
    ],
)
def test_mistakes_in_the_configuration_are_named(section: dict[str, str]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(section, IdentityConfig)


@settings(max_examples=300)
@given(st.text(max_size=90) | st.text(alphabet="0123456789+ ()-./*#", max_size=25))
def test_normalising_again_changes_nothing(number: str) -> None:
    once = normalise(number)
    assert normalise(once) == once
    assert len(once) <= MAX_NUMBER
    assert once.isprintable()
    assert " " not in once


@settings(max_examples=100)
@given(st.from_regex(r"\A[1-9][0-9]{5,9}\Z"))
def test_all_ways_to_dial_a_number_are_one(national: str) -> None:
    forms = {f"0{national}", f"00358{national}", f"+358{national}"}
    assert {normalise(form, FINLAND) for form in forms} == {f"+358{national}"}


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("+358401234567", "+35840***67"),
        ("0401234567", "040***67"),
        ("12345678", "1***78"),
        ("1234567", "***"),
        ("201", "***"),
        ("", ""),
        (WITHHELD, WITHHELD),
        (UNDECIDED, UNDECIDED),
    ],
)
def test_masked_numbers(number: str, expected: str) -> None:
    assert mask(number) == expected


@given(st.text(alphabet="+0123456789", min_size=1, max_size=30))
def test_a_mask_hides_five_characters_or_all(number: str) -> None:
    shown = mask(number).replace("***", "", 1)
    assert len(shown) <= max(0, len(number) - 5)
    assert len(mask(number)) <= 11
