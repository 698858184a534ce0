"""The layer as a client: requests of ours and their responses."""

import pytest

from agent.signalling.sip.errors import LocalSipError
from agent.signalling.sip.message import Request, Response
from agent.signalling.sip.parser import parse_message
from agent.signalling.sip.transaction.layer import (
    ResponseReceived,
    StrayResponse,
    TransactionFailed,
)
from agent.signalling.sip.transaction.machine import FailureReason
from tests.signalling.sip.transaction.layers import make_layer, respond, send_invite
from tests.signalling.sip.transaction.samples import (
    FLOW,
    layer_events,
    make_request,
    make_response,
    methods,
    sent,
)


def test_request_gets_our_via_and_its_responses_are_told() -> None:
    layer = make_layer()
    request = make_request("OPTIONS")
    key = layer.send_request(request, FLOW, 0.0)
    ((data, flow),) = layer.data_to_send()
    assert flow == FLOW
    options = parse_message(data)
    assert isinstance(options, Request)
    via = options.top_via
    assert (via.host, via.port, via.transport) == ("192.0.2.1", 5060, "UDP")
    assert via.branch is not None
    assert via.branch.startswith("z9hG4bK")
    assert "rport" in via.params
    assert "Via" not in request.headers
    trying = make_response(options, 100, to_tag=None)
    final = make_response(options, 200)
    layer.receive(trying, FLOW, 0.1)
    layer.receive(final, FLOW, 0.2)
    layer.receive(final, FLOW, 0.3)
    assert layer_events(layer) == [
        ResponseReceived(key, trying, FLOW),
        ResponseReceived(key, final, FLOW),
    ]
    assert layer.stats.responses == 3
    assert layer.get_timer() == 5.2
    layer.handle_timer(5.2)
    assert len(layer) == 0


def test_refusal_is_acknowledged() -> None:
    layer = make_layer()
    key, invite = send_invite(layer)
    refusal = make_response(invite, 486)
    layer.receive(refusal, FLOW, 0.1)
    assert layer_events(layer) == [ResponseReceived(key, refusal, FLOW)]
    (ack,) = sent(layer)
    assert ack.top_via == invite.top_via
    assert ack.to.tag == "bob"


def test_every_2xx_of_a_fork_is_told_and_then_stray() -> None:
    layer = make_layer()
    key, invite = send_invite(layer)
    first = make_response(invite, 200)
    second = make_response(invite, 200, to_tag="carol")
    layer.receive(first, FLOW, 0.1)
    layer.receive(second, FLOW, 10.0)
    assert layer_events(layer) == [
        ResponseReceived(key, first, FLOW),
        ResponseReceived(key, second, FLOW),
    ]
    layer.handle_timer(32.1)
    assert len(layer) == 0
    layer.receive(second, FLOW, 33.0)
    assert layer_events(layer) == [StrayResponse(second, FLOW)]
    assert layer.stats.dropped_responses == 0


OURS = "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKours"
FOREIGN = "SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bKours"


@pytest.mark.parametrize(
    "response",
    [
        respond(180, OURS),
        respond(486, OURS),
        respond(200, OURS, "BYE"),
        respond(200, "SIP/2.0/UDP 192.0.2.1:5060", "BYE"),
        respond(200, FOREIGN),
        respond(200, f"{OURS}, {FOREIGN}"),
    ],
)
def test_response_to_nothing_of_ours_is_dropped(response: Response) -> None:
    layer = make_layer()
    layer.receive(response, FLOW, 0.0)
    assert layer_events(layer) == []
    assert layer.data_to_send() == []
    assert layer.stats.dropped_responses == 1


def test_response_by_another_name_or_for_others_too_is_dropped() -> None:
    layer = make_layer()
    _, invite = send_invite(layer)
    renamed = make_response(invite, 200)
    renamed.headers.set("Via", str(invite.top_via).replace("192.0.2.1", "192.0.2.9"))
    layer.receive(renamed, FLOW, 0.1)
    passed_on = make_response(invite, 200)
    passed_on.headers.add("Via", FOREIGN)
    layer.receive(passed_on, FLOW, 0.1)
    assert layer_events(layer) == []
    assert layer.stats.dropped_responses == 2
    assert layer.get_timer() == 0.5


def test_unanswered_request_fails() -> None:
    layer = make_layer()
    key = layer.send_request(make_request("BYE"), FLOW, 0.0)
    while (at := layer.get_timer()) is not None:
        layer.handle_timer(at)
    assert methods(layer) == ["BYE"] * 11
    assert layer_events(layer) == [TransactionFailed(key, FailureReason.TIMEOUT)]
    assert len(layer) == 0


@pytest.mark.parametrize("method", ["ACK", "CANCEL"])
def test_no_transaction_begins_with(method: str) -> None:
    with pytest.raises(LocalSipError):
        make_layer().send_request(make_request(method), FLOW, 0.0)
