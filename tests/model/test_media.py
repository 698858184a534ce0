import pytest

from agent.model.media import Address, ip_of


def test_an_address_is_written_with_its_brackets() -> None:
    assert str(Address("::1", 5060)) == "[::1]:5060"
    assert str(Address("192.0.2.1", 5060)) == "192.0.2.1:5060"


def test_a_literal_is_read_and_a_name_is_not() -> None:
    assert ip_of("2001:DB8::1").compressed == "2001:db8::1"
    assert ip_of("192.0.2.1") is ip_of("192.0.2.1")
    for _ in range(2):
        with pytest.raises(ValueError, match=r"host\.example"):
            ip_of("host.example")
