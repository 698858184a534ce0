import pytest
from hypothesis import given, strategies as st

from agent.identity.addresses import MAX_ADDRESS, is_number, is_sos, number_in
from agent.identity.numbers import FINLAND, normalise


@pytest.mark.parametrize(
    ("address", "number"),
    [
        ("sip:0401234567@192.0.2.1", "+358401234567"),
        ("sips:0401234567@host:5061;user=phone", "+358401234567"),
        ("SIP:+358401234567@[2001:db8::1]:5060", "+358401234567"),
        ("tel:+358-40-123 4567;phone-context=x", "+358401234567"),
        ("tel:201", "201"),
        ("0401234567", "+358401234567"),
        ("0401234567@192.0.2.1", "+358401234567"),
        ('"Virtanen, <A>" <sip:201@pbx.example;x=y>;tag=1', "201"),
        ("<sip:201@pbx.example>", "201"),
        ("sip:+358401234567;user=phone", "+358401234567"),
        ("sip:%2B358401234567;npdi@host", "+358401234567"),
        ("sip:201:secret@host", "201"),
        ("sip:alice@atlanta.com", "alice"),
        ("Extension-016190619@speechpath.ie", "Extension-016190619"),
        ("EE5C7EF0", "EE5C7EF0"),
        ("sip:pbx.example", ""),
        ("sip:anonymous@anonymous.invalid", ""),
        ("sip:Anonymous@host", ""),
        ("sip:0401234567@anonymous.invalid", ""),
        ("unavailable", ""),
        ("", ""),
        ("<>", ""),
        ("  ", ""),
    ],
)
def test_numbers_and_users_in_addresses(address: str, number: str) -> None:
    assert number_in(address, FINLAND) == number


def test_a_long_address_is_cut() -> None:
    assert number_in('"' + "a" * MAX_ADDRESS + '" <sip:1@h>', FINLAND) != "1"


def test_which_are_numbers() -> None:
    assert is_number("+358401234567")
    assert is_number("*21#")
    assert not is_number("alice")
    assert not is_number("")


def test_which_are_of_emergency_services() -> None:
    for address in ("urn:service:sos", "URN:service:SOS.fire", "<urn:service:sos>"):
        assert is_sos(address)
    for address in ("urn:service:sosial", "urn:service:sos-x", "sip:sos@host", ""):
        assert not is_sos(address)


@given(st.text())
def test_whatever_comes_is_a_number_as_we_write_it(address: str) -> None:
    number = number_in(address, FINLAND)
    assert normalise(number) == number
