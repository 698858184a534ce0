"""Whatever a peer sends and whatever the user does, in whatever order."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import given, settings, strategies as st

from agent.model.media import Address
from agent.signalling.sip.errors import LocalSipError
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.parser import parse_message
from agent.signalling.sip.transaction.layer import (
    RequestReceived,
    ResponseReceived,
    TransactionFailed,
    TransactionLayer,
)
from tests.signalling.sip.transaction.samples import (
    ALICE,
    BOB,
    FLOW,
    make_request,
    make_response,
)

MAX_TRANSACTIONS = 8
FLOWS = [
    Flow("udp", BOB, ALICE),
    Flow("udp", BOB, Address("192.0.2.66", 9)),
    Flow("tcp", BOB, Address("192.0.2.1", 40000)),
]
VIAS = [
    "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKa",
    "SIP/2.0/UDP 192.0.2.1;rport;branch=z9hG4bKb",
    "SIP/2.0/UDP 192.0.2.1:5060;branch=1",
    "SIP/2.0/TCP example.test, SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKa",
]

REQUEST = st.tuples(
    st.sampled_from(["INVITE", "ACK", "CANCEL", "BYE", "OPTIONS"]),
    st.sampled_from(VIAS),
    st.sampled_from([None, "bob"]),
    st.sampled_from(FLOWS),
)
STEP = st.one_of(
    REQUEST,
    st.tuples(st.just("answer"), st.sampled_from([100, 180, 200, 302, 486])),
    st.tuples(st.just("send"), st.sampled_from(["INVITE", "BYE"])),
    st.tuples(st.just("respond"), st.sampled_from([100, 180, 200, 302, 487])),
    st.tuples(st.just("cancel")),
    st.tuples(st.just("break"), st.sampled_from([FLOW, FLOWS[0]])),
    st.tuples(st.just("wait"), st.floats(0.0, 40.0)),
)


@dataclass
class Walker:
    layer: TransactionLayer
    now: float = 0.0
    asked: list[RequestReceived] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    on_wire: list[bytes] = field(default_factory=list)
    heard_from: set[str] = field(default_factory=set)
    ended: dict[str, object] = field(default_factory=dict)

    def take(self, step: tuple[object, ...]) -> None:
        match step:
            case ("wait", float(pause)):
                self.wait(pause)
            case ("break", Flow() as flow):
                self.layer.transport_failed(flow, self.now)
            case ("cancel",):
                for key in self.sent:
                    self.attempt(lambda key=key: self.layer.cancel(key, self.now))
            case ("send", str(method)):
                request = make_request(method)
                self.sent.append(self.layer.send_request(request, FLOW, self.now))
            case ("answer", int(status)):
                for event in self.asked:
                    response = make_response(event.request, status)
                    self.attempt(
                        lambda key=event.key, response=response: (
                            self.layer.send_response(key, response, self.now)
                        )
                    )
            case ("respond", int(status)):
                for data in self.on_wire:
                    request = parse_message(data)
                    response = make_response(request, status)  # type: ignore[arg-type]
                    self.layer.receive(response, FLOW, self.now)
            case (str(method), str(via), to_tag, Flow() as flow):
                self.heard_from.add(flow.remote.host)
                request = make_request(method, via=via, to_tag=to_tag)  # type: ignore[arg-type]
                data = parse_message(request.to_bytes())
                self.layer.receive(data, flow, self.now)
        self.settle()

    def attempt(self, call: Callable[[], None]) -> None:
        try:
            call()
        except LocalSipError:
            self.settle()

    def wait(self, pause: float) -> None:
        end = self.now + pause
        while (at := self.layer.get_timer()) is not None and at <= end:
            self.now = max(self.now, at)
            self.layer.handle_timer(self.now)
            self.settle()
        self.now = end

    def settle(self) -> None:
        while (event := self.layer.next_event()) is not None:
            if isinstance(event, RequestReceived):
                self.asked.append(event)
            elif isinstance(event, ResponseReceived):
                if event.response.status >= 200:
                    self.end(event.key, event.response.status)
            elif isinstance(event, TransactionFailed) and event.key in self.sent:
                self.end(event.key, event.reason)
        for data, flow in self.layer.data_to_send():
            if data.startswith(b"SIP/2.0"):
                # Nobody is answered who did not ask.
                assert flow.remote.host in self.heard_from
            elif flow == FLOW:
                self.on_wire.append(data)

    def end(self, key: str, how: object) -> None:
        # A 2xx to an INVITE may come again; nothing else may follow an end.
        assert key in self.sent
        assert self.ended.setdefault(key, how) == how


@settings(max_examples=300)
@given(st.lists(STEP, min_size=3, max_size=25))
def test_any_walk_keeps_the_promises(steps: list[tuple[object, ...]]) -> None:
    layer = TransactionLayer(rng=random.Random(1), max_transactions=MAX_TRANSACTIONS)
    walker = Walker(layer)
    for step in steps:
        walker.take(step)
        # Those of the peer, a CANCEL for each, and our own with their CANCELs.
        assert len(layer) <= 2 * (MAX_TRANSACTIONS + 2) + 2 * len(walker.sent)
    # Once the user has answered and cancelled everything, nothing stays.
    walker.take(("answer", 486))
    walker.take(("respond", 100))
    walker.take(("cancel",))
    walker.take(("wait", 200.0))
    assert len(layer) == 0
    assert layer.get_timer() is None
    assert set(walker.ended) == set(walker.sent)
