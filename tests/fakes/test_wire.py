from dataclasses import dataclass, field

import pytest

from agent.model.media import Address
from agent.signalling.sip.flow import Flow
from tests.fakes.wire import (
    ManualClock,
    Packet,
    Wire,
    delay_first,
    delayed,
    lose,
    unreliable,
)

ALICE = Address("192.0.2.1", 5060)
BOB = Address("192.0.2.2", 5060)


@dataclass
class Ticker:
    """Sends its name at each of `times`, and tells what it receives."""

    own: Address
    peer: Address
    times: list[float] = field(default_factory=list)
    received: list[tuple[float, str]] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    outbox: list[tuple[bytes, Flow]] = field(default_factory=list)
    echo: bool = False

    def get_timer(self) -> float | None:
        return self.times[0] if self.times else None

    def handle_timer(self, now: float) -> None:
        assert now == self.times[0]
        self.send(f"TICK {self.times.pop(0)}")

    def data_to_send(self) -> list[tuple[bytes, Flow]]:
        outbox, self.outbox = self.outbox, []
        return outbox

    def next_event(self) -> str | None:
        return self.told.pop(0) if self.told else None

    def send(self, text: str) -> None:
        self.outbox.append((text.encode(), Flow("udp", self.own, self.peer)))

    def receive(self, data: bytes, flow: Flow, now: float) -> None:
        assert flow == Flow("udp", self.own, self.peer)
        self.received.append((now, data.decode()))
        self.told.append(data.decode())
        if self.echo:
            self.send(data.decode())


def make_wire(*times: float) -> tuple[Wire, Ticker, Ticker]:
    wire = Wire()
    alice, bob = Ticker(ALICE, BOB, list(times)), Ticker(BOB, ALICE)
    wire.attach(ALICE, alice, receive=alice.receive)
    wire.attach(BOB, bob, receive=bob.receive)
    return wire, alice, bob


def test_timers_and_arrivals_happen_at_their_time() -> None:
    wire, _, bob = make_wire(1.0, 2.0)
    wire.fate = delayed(0.25)
    wire.run(until=1.0)
    assert bob.received == []
    wire.run(until=5.0)
    assert bob.received == [(1.25, "TICK 1.0"), (2.25, "TICK 2.0")]
    assert wire.now == 5.0
    assert wire.sent_at("TICK") == [1.0, 2.0]


def test_idle_is_when_nothing_can_happen() -> None:
    wire, _, bob = make_wire(1.0, 100.0)
    wire.run_until_idle()
    assert wire.now == 100.0
    assert len(bob.received) == 2
    with pytest.raises(AssertionError):
        make_wire(4000.0)[0].run_until_idle()


def test_what_was_sent_between_runs_leaves_with_the_next() -> None:
    wire, alice, bob = make_wire()
    alice.send("HELLO")
    wire.run(until=0.0)
    assert bob.received == [(0.0, "HELLO")]


def test_lost_by_name_and_by_predicate() -> None:
    wire, alice, bob = make_wire()
    wire.fate = lose("A", fate=lose(lambda packet: packet.data == b"B", times=2))
    for text in ("A", "A", "B", "B", "B", "C"):
        alice.send(text)
    wire.run(until=1.0)
    assert [text for _, text in bob.received] == ["A", "B", "C"]
    assert [packet.lost for packet in wire.log] == [
        True,
        False,
        True,
        True,
        False,
        False,
    ]


def test_held_back_is_overtaken() -> None:
    wire, alice, bob = make_wire()
    wire.fate = delay_first("A", 1.0)
    for text in ("A", "A", "B"):
        alice.send(text)
    wire.run(until=2.0)
    assert [text for _, text in bob.received] == ["A", "B", "A"]


def test_chance_is_repeatable() -> None:
    runs = []
    for _ in range(2):
        wire, alice, bob = make_wire()
        wire.fate = unreliable(seed=3, loss=0.3, duplicate=0.3, delay=0.1, jitter=0.5)
        for number in range(100):
            alice.send(str(number))
        wire.run(until=2.0)
        runs.append(bob.received)
    assert runs[0] == runs[1]
    texts = [text for _, text in runs[0]]
    assert len(set(texts)) < len(texts)
    assert 50 < len(set(texts)) < 90
    assert texts != sorted(texts, key=int)
    assert all(0.1 <= at <= 0.6 for at, _ in runs[0])


def test_events_may_cause_events() -> None:
    wire = Wire()
    alice, bob = Ticker(ALICE, BOB), Ticker(BOB, ALICE)
    heard: list[tuple[str, float]] = []

    def on_bob(event: str, now: float) -> None:
        heard.append((event, now))
        alice.told.append(f"BOB HEARD {event}")

    wire.attach(
        ALICE,
        alice,
        receive=alice.receive,
        on_event=lambda e, now: heard.append((e, now)),
    )
    wire.attach(BOB, bob, receive=bob.receive, on_event=on_bob)
    alice.send("HELLO")
    wire.run(until=0.0)
    assert heard == [("HELLO", 0.0), ("BOB HEARD HELLO", 0.0)]


def test_nobody_there() -> None:
    wire, alice, bob = make_wire()
    wire.detach(BOB)
    alice.send("HELLO")
    wire.run(until=1.0)
    assert bob.received == []
    assert wire.names() == ["HELLO"]


def test_strangers_can_inject() -> None:
    wire, _, bob = make_wire()
    wire.inject(b"SIP/2.0 180 Ringing\r\n\r\n", ALICE, BOB)
    wire.run(until=0.0)
    assert wire.names(source=ALICE) == ["180"]
    assert wire.names(source=BOB) == []
    assert len(bob.received) == 1


def test_endless_echo_is_found() -> None:
    wire, alice, bob = make_wire()
    alice.echo = bob.echo = True
    alice.send("HELLO")
    with pytest.raises(AssertionError):
        wire.run(until=1.0)


def test_time_does_not_run_backwards() -> None:
    clock = ManualClock(5.0)
    with pytest.raises(ValueError, match="backwards"):
        clock.advance_to(4.0)


def test_packet_names() -> None:
    packet = Packet(0, 0.0, ALICE, BOB, b"SIP/2.0 200 OK\r\nVia: x\r\n\r\n")
    assert packet.name == "200"
    assert packet.start_line == "SIP/2.0 200 OK"
    assert packet.lost
