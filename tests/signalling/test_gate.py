import pytest

from agent.model.media import Address
from agent.signalling import gate as module
from agent.signalling.gate import ALL_STRANGERS, HEADERS_SEARCHED, MAX_PAUSE, Gate
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.limits import STRANGER, PeerLimits

LOCAL = Address("192.0.2.250", 5060)
PEERS = {
    "192.0.2.1": PeerLimits("pbx", messages=10.0),
    "192.0.2.2": PeerLimits("pbx", messages=10.0),
    "192.0.2.3": PeerLimits("free", messages=0.0),
}
INVITE = b"INVITE sip:%s@192.0.2.250 SIP/2.0\r\n"


def flow(host: str, transport: str = "udp", port: int = 5060) -> Flow:
    return Flow(transport, LOCAL, Address(host, port))


@pytest.fixture
def gate() -> Gate:
    return Gate(
        lambda flow: PEERS.get(flow.remote.host, STRANGER),
        lambda user: user == "112",
        lambda call_id: call_id == "urgent@h",
    )


def passed(gate: Gate, host: str, count: int, now: float, data: bytes = b"x") -> int:
    return sum(gate.admit(data, flow(host, port=1024 + n), now) for n in range(count))


def test_a_peer_has_its_rate_over_all_its_addresses(gate: Gate) -> None:
    assert passed(gate, "192.0.2.1", 15, 0.0) == 15
    assert passed(gate, "192.0.2.2", 15, 0.0) == 5
    assert passed(gate, "192.0.2.1", 50, 1.0) == 10
    assert passed(gate, "192.0.2.1", 50, 100.0) == 20
    assert gate.stats.dropped_peers == 10 + 40 + 30


def test_no_limit_is_none(gate: Gate) -> None:
    assert passed(gate, "192.0.2.3", 10_000, 0.0) == 10_000


def test_an_emergency_call_passes_whatever_the_rate(gate: Gate) -> None:
    passed(gate, "192.0.2.1", 100, 0.0)
    for uri in (
        b"sip:112@h",
        b"sips:112@h",
        b"tel:112",
        b"sip:%31%31%32@h",
        b"SIP:112@h",
    ):
        assert gate.admit(b"INVITE " + uri + b" SIP/2.0", flow("192.0.2.1"), 0.0)
    assert passed(gate, "192.0.2.1", 5, 0.0, INVITE % b"113") == 0
    assert passed(gate, "192.0.2.1", 5, 0.0, b"OPTIONS sip:112@h SIP/2.0") == 0
    passed(gate, "198.51.100.1", 1000, 0.0)
    assert passed(gate, "198.51.100.1", 5, 0.0, INVITE % b"112") == 0


@pytest.mark.parametrize("name", [b"Call-ID: ", b"CALL-ID:\t", b"i : "])
@pytest.mark.parametrize("start", [b"ACK sip:h", b"BYE sip:h", b"SIP/2.0 200 OK"])
def test_whatever_belongs_to_an_emergency_call_passes(
    gate: Gate, start: bytes, name: bytes
) -> None:
    passed(gate, "192.0.2.1", 100, 0.0)
    message = start + b" SIP/2.0\r\nVia: x\r\n" + name
    assert gate.admit(message + b"urgent@h\r\n", flow("192.0.2.1"), 0.0)
    for other in (b"urgent@h2\r\n", b"\r\n", b"x" * 9000 + b"urgent@h\r\n"):
        assert not gate.admit(message + other, flow("192.0.2.1"), 0.0)
    late = start + b" SIP/2.0\r\nX: " + b"x" * HEADERS_SEARCHED + b"\r\n" + name
    assert not gate.admit(late + b"urgent@h\r\n", flow("192.0.2.1"), 0.0)


def test_strangers_have_little_each_and_not_much_together(gate: Gate) -> None:
    each = int(STRANGER.messages * 2)
    assert passed(gate, "198.51.100.1", 1000, 0.0) == each
    total = sum(passed(gate, f"198.51.{n}.9", each, 0.0) for n in range(100))
    assert total <= STRANGER.messages * ALL_STRANGERS * 2
    assert passed(gate, "192.0.2.1", 5, 0.0) == 5  # a peer feels nothing of it
    assert gate.stats.dropped_peers == 0


def test_a_household_is_one_stranger(gate: Gate) -> None:
    each = int(STRANGER.messages * 2)
    hosts = [f"2001:db8:0:1::{n:x}" for n in range(1, 9)]
    assert sum(passed(gate, host, each, 0.0) for host in hosts) == each
    assert gate.allowance(flow("2001:db8:0:1::99", "tcp"), 0.0) == 0
    assert passed(gate, "2001:db8:0:2::1", each, 0.0) == each


def test_a_connection_is_left_unread_for_as_long_as_it_takes(gate: Gate) -> None:
    assert gate.pause(flow("192.0.2.1", "tcp"), 20, 0.0) == 0.0
    assert gate.pause(flow("192.0.2.1", "tcp"), 5, 0.0) == pytest.approx(0.5)
    assert gate.pause(flow("192.0.2.1", "tcp"), 50, 0.0) == MAX_PAUSE
    assert gate.pause(flow("192.0.2.1", "tcp"), 0, 0.0) == 0.0
    assert gate.stats.pauses == 2
    assert gate.pause(flow("192.0.2.3", "tcp"), 1000, 0.0) == 0.0


def test_of_a_stranger_s_connection_no_more_is_read_than_it_may_say(gate: Gate) -> None:
    each = int(STRANGER.messages * 2)
    stranger = flow("198.51.100.1", "tcp")
    assert gate.allowance(stranger, 0.0) == each
    gate.pause(stranger, each - 1, 0.0)
    assert gate.allowance(stranger, 0.0) == 1
    gate.pause(stranger, 51, 0.0)
    # Another connection helps nothing, only time does.
    assert gate.allowance(flow("198.51.100.1", "tcp", 7), 0.0) == 0
    assert gate.allowance(stranger, 2.0) == int(STRANGER.messages)
    for number in range(ALL_STRANGERS):
        gate.pause(flow(f"198.51.101.{number}", "tcp"), each, 10.0)
    assert gate.allowance(stranger, 10.0) == 0
    for peer in ("192.0.2.1", "192.0.2.3"):
        assert gate.allowance(flow(peer, "tcp"), 0.0) is None


def test_forged_sources_take_no_memory(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_SOURCES", 100)
    for number in range(1000):
        gate.admit(b"x", flow(f"198.51.{number % 250}.{number // 250}"), 0.0)
    assert len(gate) == 100
    assert len(gate._known) == 100
