import pytest

from agent.model.media import Address
from agent.signalling.sip.flow import Flow, Served

ALICE = Address("192.0.2.1", 5060)
BOB = Address("192.0.2.2", 5070)


@pytest.mark.parametrize(
    ("transport", "reliable"), [("udp", False), ("tcp", True), ("tls", True)]
)
def test_only_udp_loses(transport: str, reliable: bool) -> None:
    assert Flow(transport, ALICE, BOB).reliable is reliable


def test_flows_are_values() -> None:
    assert Flow("udp", ALICE, BOB) == Flow("udp", ALICE, BOB)
    assert len({Flow("udp", ALICE, BOB), Flow("udp", BOB, ALICE)}) == 2


def test_what_is_served_is_known_by_transport_and_family() -> None:
    six = Address("2001:db8::1", 5060)
    served = Served([("udp", ALICE), ("udp", BOB), ("tcp", six)])
    assert served.towards("udp", BOB) == ALICE
    assert served.towards("tcp", six) == six
    assert served.towards("tcp", BOB) is None
    assert Served().towards("udp", BOB) is None
