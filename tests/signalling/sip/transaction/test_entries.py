"""Transactions saved in each of their states, and gone on with by another layer."""

import random

from agent.signalling.sip.flow import Flow
from agent.signalling.sip.transaction.layer import (
    AckReceived,
    RequestReceived,
    ResponseReceived,
    TransactionFailed,
    TransactionLayer,
)
from tests.signalling.sip.transaction.samples import (
    ALICE,
    BOB,
    FLOW,
    layer_events,
    make_request,
    make_response,
    methods,
    sent,
    statuses,
)

FROM_ALICE = Flow("udp", BOB, ALICE)
VIA = "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKa"
OLD_VIA = "SIP/2.0/UDP 192.0.2.1:5060;branch=1"


def new_layer(seed: int = 1) -> TransactionLayer:
    layer = TransactionLayer(rng=random.Random(seed))
    layer.table.track(set())
    return layer


def next_life(layer: TransactionLayer, now: float) -> TransactionLayer:
    successor = new_layer(2)
    successor.table.keep_free(layer.table.count)
    successor.resume(*layer.table.save("s"), "s", now)
    return successor


def receive(method: str, via: str = VIA) -> tuple[TransactionLayer, RequestReceived]:
    """A layer that has got a request of Alice's, and sent what it says at once."""
    layer = new_layer()
    layer.receive(make_request(method, via=via), FROM_ALICE, 0.0)
    (event,) = layer_events(layer)
    assert isinstance(event, RequestReceived)
    layer.own(event.key, "s")
    layer.data_to_send()
    return layer, event


def test_an_answered_request_gets_the_same_answer_again() -> None:
    layer, event = receive("BYE")
    layer.send_response(event.key, make_response(event.request, 200), 1.0)
    layer = next_life(layer, 2.0)
    assert layer.data_to_send() == []
    layer.receive(make_request("BYE", via=VIA), FROM_ALICE, 3.0)
    assert statuses(layer) == [200]
    assert layer_events(layer) == []
    assert layer.get_timer() == 33.0


def test_an_unanswered_request_is_answered_by_the_next_process() -> None:
    layer, event = receive("UPDATE")
    layer = next_life(layer, 2.0)
    layer.receive(make_request("UPDATE", via=VIA), FROM_ALICE, 3.0)
    assert layer_events(layer) == []
    layer.send_response(event.key, make_response(event.request, 200), 3.0)
    assert statuses(layer) == [200]


def test_a_refused_invite_of_an_old_client_gets_its_ack() -> None:
    layer, event = receive("INVITE", OLD_VIA)
    layer.send_response(event.key, make_response(event.request, 486), 0.1)
    layer = next_life(layer, 0.2)
    layer.handle_timer(layer.get_timer() or 0.0)
    assert statuses(layer) == [486]
    ack = make_request("ACK", via=OLD_VIA, to_tag="bob")
    layer.receive(ack, FROM_ALICE, 1.0)
    assert layer_events(layer) == []
    layer.handle_timer(60.0)
    assert len(layer) == 0


def test_an_accepted_invite_passes_its_ack() -> None:
    layer, event = receive("INVITE")
    layer.send_response(event.key, make_response(event.request, 200), 0.1)
    layer = next_life(layer, 0.2)
    layer.receive(make_request(via=VIA), FROM_ALICE, 0.5)
    assert layer.data_to_send() == []
    ack = make_request("ACK", via=VIA, to_tag="bob")
    layer.receive(ack, FROM_ALICE, 1.0)
    assert layer_events(layer) == [AckReceived(ack, FROM_ALICE)]


def test_what_had_no_response_is_sent_again_at_once_and_on() -> None:
    layer = new_layer()
    key = layer.send_request(make_request("BYE"), FLOW, 0.0, owner="s", patience=12)
    ((first, _),) = layer.data_to_send()
    layer = next_life(layer, 0.1)
    assert layer.data_to_send() == [(first, FLOW)]
    layer.handle_timer(0.5)
    assert layer.data_to_send() == [(first, FLOW)]
    layer.handle_timer(6.0)
    (event,) = layer_events(layer)
    assert isinstance(event, TransactionFailed)
    assert event.key == key
    assert layer.send_request(make_request("BYE"), FLOW, 7.0) == "t2"


def test_what_rings_is_not_sent_again_and_can_be_cancelled() -> None:
    layer = new_layer()
    key = layer.send_request(make_request(), FLOW, 0.0, owner="s")
    (invite,) = sent(layer)
    layer.receive(make_response(invite, 180), FLOW, 0.1)  # type: ignore[arg-type]
    layer = next_life(layer, 1.0)
    assert layer.data_to_send() == []
    layer.cancel(key, 2.0)
    assert methods(layer) == ["CANCEL"]
    layer = next_life(layer, 2.1)
    assert methods(layer) == ["CANCEL"]
    response = make_response(invite, 487)  # type: ignore[arg-type]
    layer.receive(response, FLOW, 3.0)
    assert methods(layer) == ["ACK"]
    assert layer_events(layer) == [ResponseReceived(key, response, FLOW)]


def test_a_cancel_that_waits_goes_once_it_rings() -> None:
    layer = new_layer()
    key = layer.send_request(make_request(), FLOW, 0.0, owner="s")
    (invite,) = sent(layer)
    layer.cancel(key, 0.1)
    layer = next_life(layer, 0.2)
    assert methods(layer) == ["INVITE"]
    layer.receive(make_response(invite, 180), FLOW, 0.3)  # type: ignore[arg-type]
    assert methods(layer) == ["CANCEL"]


def test_an_old_deadline_is_kept_to_at_once() -> None:
    layer = new_layer()
    layer.send_request(make_request(), FLOW, 0.0, owner="s")
    layer = next_life(layer, 40.0)
    layer.handle_timer(40.0)
    (event,) = layer_events(layer)
    assert isinstance(event, TransactionFailed)
    assert len(layer) == 0


def test_what_belongs_to_nobody_is_not_saved() -> None:
    layer = new_layer()
    layer.send_request(make_request("OPTIONS"), FLOW, 0.0)
    assert len(next_life(layer, 1.0)) == 0
