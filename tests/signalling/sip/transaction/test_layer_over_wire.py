"""Pairs of real layers over a wire that loses, delays, reorders and duplicates."""

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings, strategies as st

from agent.signalling.sip.message import response_to
from agent.signalling.sip.parser import parse_message
from agent.signalling.sip.transaction.layer import (
    AckReceived,
    CancelReceived,
    Event,
    RequestReceived,
    ResponseReceived,
    TransactionFailed,
    TransactionLayer,
)
from tests.fakes.wire import Fate, Wire, delay_first, delayed, lose, unreliable
from tests.signalling.sip.transaction.samples import ALICE, BOB, FLOW, make_request


@dataclass
class Party:
    """A layer whose user answers with `answers`, and acknowledges each 2xx."""

    layer: TransactionLayer
    wire: Wire
    answers: list[int] = field(default_factory=list)
    told: list[Event] = field(default_factory=list)
    acknowledged: bool = False

    def receive(self, event: Event, now: float) -> None:
        self.told.append(event)
        if isinstance(event, RequestReceived):
            for status in self.answers:
                response = response_to(event.request, status, to_tag="bob")
                self.layer.send_response(event.key, response, now)
        elif isinstance(event, CancelReceived):
            request = next(
                e.request for e in self.told if isinstance(e, RequestReceived)
            )
            response = response_to(request, 487, to_tag="bob")
            self.layer.send_response(event.key, response, now)
        elif isinstance(event, ResponseReceived):
            if event.response.cseq.method == "INVITE" and self._is_2xx(event):
                ack = make_request("ACK", to_tag="bob")
                self.layer.send_stateless(ack, event.flow, now)
        elif isinstance(event, AckReceived):
            self.acknowledged = True

    def statuses(self) -> list[int]:
        return [e.response.status for e in self.told if isinstance(e, ResponseReceived)]

    def requests(self) -> list[str]:
        return [e.request.method for e in self.told if isinstance(e, RequestReceived)]

    def failures(self) -> list[str]:
        return [e.reason for e in self.told if isinstance(e, TransactionFailed)]

    @staticmethod
    def _is_2xx(event: ResponseReceived) -> bool:
        return 200 <= event.response.status < 300


@dataclass
class Pair:
    wire: Wire
    alice: Party
    bob: Party


def make_pair(*answers: int, fate: Fate | None = None, transport: str = "udp") -> Pair:
    wire = Wire(transport=transport)
    if fate is not None:
        wire.fate = fate
    parties = []
    for number, address in enumerate((ALICE, BOB)):
        layer = TransactionLayer(rng=random.Random(number))
        party = Party(layer, wire)

        def receive(
            data: bytes, flow: object, now: float, layer: TransactionLayer = layer
        ) -> None:
            layer.receive(parse_message(data), flow, now)  # type: ignore[arg-type]

        wire.attach(address, layer, receive=receive, on_event=party.receive)
        parties.append(party)
    parties[1].answers = list(answers)
    return Pair(wire, *parties)


def test_refused_call() -> None:
    pair = make_pair(180, 486)
    pair.alice.layer.send_request(make_request(), FLOW, 0.0)
    pair.wire.run_until_idle()
    assert pair.wire.names() == ["INVITE", "100", "180", "486", "ACK"]
    assert pair.alice.statuses() == [100, 180, 486]
    # Timer D is the last: I ends after 5 s.
    assert pair.wire.now == 32.0
    assert len(pair.alice.layer) == len(pair.bob.layer) == 0


def test_accepted_call() -> None:
    pair = make_pair(200, fate=delayed(0.1))
    pair.alice.layer.send_request(make_request(), FLOW, 0.0)
    pair.wire.run_until_idle()
    assert pair.wire.names() == ["INVITE", "100", "200", "ACK"]
    assert pair.bob.acknowledged
    # Timer M began at 0.2 s, timer L at 0.1 s.
    assert pair.wire.now == pytest.approx(32.2)


def test_streams_linger_only_for_2xx() -> None:
    pair = make_pair(486, transport="tcp")
    flow = pair.wire.flow(ALICE, BOB)
    pair.alice.layer.send_request(make_request(), flow, 0.0)
    pair.wire.run_until_idle()
    assert pair.wire.names() == ["INVITE", "100", "486", "ACK"]
    assert pair.wire.now == 0.0


def test_lost_invite() -> None:
    pair = make_pair(486, fate=lose("INVITE", times=2))
    pair.alice.layer.send_request(make_request(), FLOW, 0.0)
    pair.wire.run_until_idle()
    assert pair.wire.sent_at("INVITE") == [0.0, 0.5, 1.5]
    assert pair.alice.statuses() == [100, 486]


def test_lost_100_and_refusal() -> None:
    fate = lose("100", fate=lose("486", times=2))
    pair = make_pair(486, fate=fate)
    pair.alice.layer.send_request(make_request(), FLOW, 0.0)
    pair.wire.run_until_idle()
    # At 0.5 s the INVITE comes again and gets the 486, lost, and the server's
    # timer G sends another.
    assert pair.wire.names() == ["INVITE", "100", "486", "INVITE", "486", "486", "ACK"]
    assert pair.alice.statuses() == [486]
    assert pair.bob.requests() == ["INVITE"]
    assert pair.bob.failures() == []


def test_lost_ack() -> None:
    pair = make_pair(486, fate=lose("ACK", times=2))
    pair.alice.layer.send_request(make_request(), FLOW, 0.0)
    pair.wire.run_until_idle()
    assert pair.wire.sent_at("486") == [0.0, 0.5, 1.5]
    assert pair.wire.sent_at("ACK") == [0.0, 0.5, 1.5]
    assert pair.alice.statuses() == [100, 486]


def test_peer_is_gone() -> None:
    pair = make_pair()
    pair.wire.detach(BOB)
    pair.alice.layer.send_request(make_request(), FLOW, 0.0)
    pair.wire.run_until_idle()
    assert pair.wire.sent_at("INVITE") == [0.0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert pair.alice.failures() == ["timeout"]
    assert pair.wire.now == 32.0


def test_cancelled_call() -> None:
    pair = make_pair(180)
    key = pair.alice.layer.send_request(make_request(), FLOW, 0.0)
    pair.wire.run(until=3.0)
    pair.alice.layer.cancel(key, pair.wire.now)
    pair.wire.run_until_idle()
    assert pair.wire.names()[3:] == ["CANCEL", "200", "487", "ACK"]
    assert pair.alice.statuses() == [100, 180, 487]
    assert pair.alice.failures() == pair.bob.failures() == []


def test_cancel_overtakes_the_provisional() -> None:
    pair = make_pair(180, fate=delay_first("180", 2.0, fate=delayed(0.01)))
    key = pair.alice.layer.send_request(make_request(), FLOW, 0.0)
    pair.alice.layer.cancel(key, 0.0)
    pair.wire.run_until_idle()
    assert pair.alice.statuses() == [100, 487]
    assert pair.alice.layer.stats.dropped_responses == 0


def test_refusal_overtakes_the_provisional() -> None:
    pair = make_pair(180, 486, fate=delay_first("180", 2.0))
    pair.alice.layer.send_request(make_request(), FLOW, 0.0)
    pair.wire.run_until_idle()
    assert pair.alice.statuses() == [100, 486]


def test_non_invite_with_lost_answer() -> None:
    pair = make_pair(200, fate=lose("200", times=3))
    pair.alice.layer.send_request(make_request("BYE"), FLOW, 0.0)
    pair.wire.run_until_idle()
    assert pair.wire.sent_at("BYE") == [0.0, 0.5, 1.5, 3.5]
    assert pair.bob.requests() == ["BYE"]
    assert pair.alice.statuses() == [200]


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32),
    request_and_final=st.sampled_from(
        [("INVITE", 486), ("OPTIONS", 200), ("OPTIONS", 486)]
    ),
)
def test_one_request_one_outcome_however_bad_the_wire(
    seed: int, request_and_final: tuple[str, int]
) -> None:
    method, final = request_and_final
    fate = unreliable(seed=seed, loss=0.3, duplicate=0.2, delay=0.05, jitter=2.0)
    pair = make_pair(final, fate=fate)
    pair.alice.layer.send_request(make_request(method), FLOW, 0.0)
    pair.wire.run_until_idle()
    finals = [status for status in pair.alice.statuses() if status >= 200]
    assert set(finals) <= {final}
    assert len(finals) + len(pair.alice.failures()) == 1
    assert len(pair.bob.requests()) <= 1
    assert len(pair.alice.layer) == len(pair.bob.layer) == 0
    assert pair.alice.layer.get_timer() is pair.bob.layer.get_timer() is None


@pytest.mark.parametrize("seed", range(30))
def test_2xx_is_the_users_to_repeat_until_its_ack(seed: int) -> None:
    fate = unreliable(seed=seed, loss=0.3, duplicate=0.2, delay=0.05, jitter=0.2)
    pair = make_pair(fate=fate)
    pair.alice.layer.send_request(make_request(), FLOW, 0.0)
    pair.wire.run(until=20.0)
    if not pair.bob.told:
        return
    (invite,) = pair.bob.told
    assert isinstance(invite, RequestReceived)
    accepted = response_to(invite.request, 200, to_tag="bob")
    for at in (20.0, 20.5, 21.5, 23.5, 27.5, 31.5, 35.5, 39.5, 43.5, 47.5, 51.5):
        pair.wire.run(until=at)
        if not pair.bob.acknowledged:
            pair.bob.layer.send_response(invite.key, accepted, at)
    pair.wire.run(until=100.0)
    assert 200 in pair.alice.statuses()
    assert pair.bob.acknowledged
    assert len(pair.alice.layer) == len(pair.bob.layer) == 0


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32), pause=st.floats(0.0, 3.0))
def test_cancel_over_a_bad_wire(seed: int, pause: float) -> None:
    fate = unreliable(seed=seed, loss=0.3, duplicate=0.2, delay=0.05, jitter=1.0)
    pair = make_pair(180, fate=fate)
    key = pair.alice.layer.send_request(make_request(), FLOW, 0.0)
    pair.wire.run(until=pause)
    pair.alice.layer.cancel(key, pair.wire.now)
    pair.wire.run(until=400.0)
    finals = [status for status in pair.alice.statuses() if status >= 200]
    assert finals in ([487], [])
    assert len(finals) + len(pair.alice.failures()) == 1
    assert len(pair.alice.layer) == 0


def test_thousands_of_transactions_at_once() -> None:
    fate = unreliable(seed=7, loss=0.3, delay=0.02, jitter=0.2)
    pair = make_pair(180, 486, fate=fate)
    for number in range(1000):
        request = make_request(call_id=f"call-{number}")
        pair.alice.layer.send_request(request, FLOW, 0.0)
    pair.wire.run_until_idle()
    finals = pair.alice.statuses().count(486)
    assert finals + pair.alice.failures().count("timeout") == 1000
    assert finals > 990
    assert len(pair.alice.layer) == len(pair.bob.layer) == 0
