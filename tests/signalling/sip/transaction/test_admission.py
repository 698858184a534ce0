"""What one peer may have of the layer, and what a stranger is told."""

import random

from agent.signalling.sip.flow import Flow
from agent.signalling.sip.limits import STRANGER, PeerLimits
from agent.signalling.sip.message import Request
from agent.signalling.sip.transaction.layer import (
    DROP,
    CancelReceived,
    RequestReceived,
    TransactionLayer,
)
from agent.signalling.sip.uri import parse_uri
from tests.signalling.sip.transaction.layers import FROM_ALICE, VIA, make_layer
from tests.signalling.sip.transaction.samples import (
    FLOW,
    layer_events,
    make_request,
    make_response,
    methods,
    statuses,
)


def limited(share: int) -> TransactionLayer:
    limits = PeerLimits("alice", messages=0.0, transactions=share)
    return TransactionLayer(
        rng=random.Random(1),
        limits_of=lambda flow: limits if flow.remote == FROM_ALICE.remote else STRANGER,
        is_emergency=lambda user: user == "112",
    )


def ask(
    layer: TransactionLayer,
    number: int,
    *,
    user: str = "bob",
    to_tag: str | None = None,
    method: str = "OPTIONS",
) -> list[int]:
    """One request of Alice's; returns the statuses sent."""
    via = f"SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx{number}"
    request = make_request(method, via=via, to_tag=to_tag)
    request.uri = parse_uri(f"sip:{user}@192.0.2.2")
    layer.receive(request, FROM_ALICE, 0.0)
    return statuses(layer)


def test_a_peer_has_its_share_of_transactions_and_more_for_dialogs() -> None:
    layer = limited(4)
    assert [ask(layer, n) for n in range(5)] == [[], [], [], [], [503]]
    assert layer.stats.overload == 1
    assert ask(layer, 5, to_tag="x") == []
    assert ask(layer, 6, to_tag="x") == [503]
    assert ask(layer, 7, user="112") == [503]
    assert ask(layer, 8, user="112", method="INVITE") == [100]
    for event in layer_events(layer):
        layer.send_response(event.key, make_response(event.request, 200), 0.1)
    statuses(layer)
    layer.handle_timer(40.0)
    assert len(layer) == 0
    assert layer.table.per_peer["alice"] == 0
    assert ask(layer, 9) == []


def test_a_stranger_is_never_told_more_than_it_said() -> None:
    def refuse(request: Request, _flow: Flow, _now: float) -> int:
        return 403

    layer = TransactionLayer(
        rng=random.Random(1), admit=refuse, limits_of=lambda _: STRANGER
    )

    def request(number: int) -> Request:
        via = f"SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx{number}"
        return make_request("OPTIONS", via=via)

    short = request(1)
    for name in ("Max-Forwards", "Contact", "Content-Length"):
        short.headers.remove(name)
    layer.receive(short, FROM_ALICE, 0.0)
    assert statuses(layer) == []
    assert layer.stats.larger_answers == 1
    long = request(2)
    long.headers.add("User-Agent", "x" * 200)
    layer.receive(long, FROM_ALICE, 0.0)
    assert statuses(layer) == [403]
    by_tcp = Flow("tcp", FROM_ALICE.local, FROM_ALICE.remote, inbound=True)
    short = request(3)
    short.headers.remove("Max-Forwards")
    layer.receive(short, by_tcp, 0.0)
    assert statuses(layer) == [403]


def test_full_table_refuses_calls_but_lets_them_end() -> None:
    layer = make_layer(max_transactions=4)
    for number in range(6):
        layer.receive(make_request(via=f"{VIA}{number}"), FROM_ALICE, 0.0)
    assert statuses(layer) == [100, 100, 100, 100, 503, 503]
    assert layer.stats.overload == 2
    assert len(layer_events(layer)) == 4
    bye = make_request("BYE", via=f"{VIA}bye", to_tag="bob")
    layer.receive(bye, FROM_ALICE, 0.0)
    assert [type(e) for e in layer_events(layer)] == [RequestReceived]
    layer.receive(make_request("CANCEL", via=f"{VIA}0"), FROM_ALICE, 0.0)
    assert [type(e) for e in layer_events(layer)] == [CancelReceived]
    assert statuses(layer) == [200]
    bye = make_request("BYE", via=f"{VIA}bye2", to_tag="bob")
    layer.receive(bye, FROM_ALICE, 0.0)
    assert statuses(layer) == [503]
    layer.send_request(make_request("BYE"), FLOW, 0.0)
    assert methods(layer) == ["BYE"]


def test_admission_comes_before_any_state() -> None:
    verdicts: dict[str, int | None] = {"a": 403, "b": DROP, "c": None}
    asked: list[Flow] = []

    def admit(request: Request, flow: Flow, _now: float) -> int | None:
        asked.append(flow)
        return verdicts[request.call_id]

    layer = make_layer(admit=admit)
    for call_id in "abc":
        via = f"{VIA}{call_id}"
        layer.receive(make_request(via=via, call_id=call_id), FROM_ALICE, 0.0)
    assert statuses(layer) == [403, 100]
    assert len(layer_events(layer)) == 1
    assert len(layer) == 1
    assert layer.stats.refused == 2
    # Not about what belongs to something known, nor about ACK and CANCEL.
    layer.receive(make_request(via=f"{VIA}c", call_id="c"), FROM_ALICE, 0.0)
    layer.receive(make_request("ACK", via=f"{VIA}x"), FROM_ALICE, 0.0)
    layer.receive(make_request("CANCEL", via=f"{VIA}x"), FROM_ALICE, 0.0)
    assert asked == [FROM_ALICE] * 3


def test_nothing_of_an_emergency_call_is_one_too_many() -> None:
    layer = make_layer(
        max_transactions=1,
        is_emergency=lambda user: user == "112",
        in_emergency=lambda call_id: call_id == "emergency",
    )
    for number in range(3):
        layer.receive(make_request(via=f"{VIA}{number}"), FROM_ALICE, 0.0)
    assert statuses(layer) == [100, 503, 503]
    invite = make_request(via=f"{VIA}112")
    invite.uri = parse_uri("sip:112@192.0.2.2")
    layer.receive(invite, FROM_ALICE, 0.0)
    assert statuses(layer) == [100]
    for call_id in ("emergency", "another"):
        via = f"{VIA}{call_id}"
        bye = make_request("BYE", via=via, to_tag="bob", call_id=call_id)
        layer.receive(bye, FROM_ALICE, 0.0)
    assert statuses(layer) == [503]
    last = layer_events(layer)[-1]
    assert isinstance(last, RequestReceived)
    assert last.request.call_id == "emergency"
