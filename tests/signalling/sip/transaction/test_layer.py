"""The layer as a server, and what is neither server nor client."""

import pytest

from agent.model.media import Address
from agent.signalling.sip.errors import LocalSipError
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.message import Response
from agent.signalling.sip.parser import parse_message
from agent.signalling.sip.transaction.layer import (
    AckReceived,
    CancelReceived,
    RequestReceived,
    TransactionFailed,
)
from agent.signalling.sip.transaction.machine import FailureReason
from tests.signalling.sip.transaction.layers import (
    FROM_ALICE,
    OLD_VIA,
    VIA,
    make_layer,
    receive_invite,
    respond,
    send_invite,
)
from tests.signalling.sip.transaction.samples import (
    ALICE,
    BOB,
    FLOW,
    layer_events,
    make_request,
    make_response,
    sent,
    statuses,
)


def test_invite_is_told_once_and_answered_100_at_once() -> None:
    layer = make_layer()
    request = make_request(via="SIP/2.0/UDP 10.0.0.1;rport;branch=z9hG4bKa")
    request.headers.add("Timestamp", "54")
    layer.receive(request, FROM_ALICE, 0.0)
    assert layer_events(layer) == [RequestReceived("t1", request, FROM_ALICE)]
    via = "SIP/2.0/UDP 10.0.0.1;rport=5060;branch=z9hG4bKa;received=192.0.2.1"
    assert request.headers.get("Via") == via
    ((data, flow),) = layer.data_to_send()
    trying = parse_message(data)
    assert isinstance(trying, Response)
    assert trying.status == 100
    assert trying.to.tag is None
    assert trying.headers.get("Via") == via
    assert trying.headers.get("Timestamp") == "54"
    assert flow == FROM_ALICE


def test_retransmitted_invite_is_answered_and_not_told() -> None:
    layer = make_layer()
    event = receive_invite(layer)
    layer.send_response(event.key, make_response(event.request, 180), 0.1)
    assert statuses(layer) == [180]
    layer.receive(make_request(via=VIA), FROM_ALICE, 0.5)
    assert statuses(layer) == [180]
    assert layer_events(layer) == []
    assert layer.stats.retransmissions == 1
    assert layer.stats.requests == 1


def test_other_requests_are_told_and_not_answered() -> None:
    layer = make_layer()
    request = make_request("OPTIONS", via=VIA)
    layer.receive(request, FROM_ALICE, 0.0)
    assert layer_events(layer) == [RequestReceived("t1", request, FROM_ALICE)]
    assert layer.data_to_send() == []
    layer.send_response("t1", make_response(request, 200), 0.1)
    layer.receive(make_request("OPTIONS", via=VIA), FROM_ALICE, 1.0)
    assert statuses(layer) == [200, 200]
    assert layer.get_timer() == 32.1
    layer.handle_timer(32.1)
    assert len(layer) == 0
    assert layer.get_timer() is None


def test_unanswered_request_is_given_up() -> None:
    layer = make_layer()
    layer.receive(make_request("OPTIONS", via=VIA), FROM_ALICE, 0.0)
    layer_events(layer)
    layer.handle_timer(32.0)
    assert layer_events(layer) == [TransactionFailed("t1", FailureReason.TIMEOUT)]
    assert layer.stats.failures == 1
    assert len(layer) == 0


def test_ack_for_a_refusal_is_absorbed() -> None:
    layer = make_layer()
    event = receive_invite(layer)
    layer.send_response(event.key, make_response(event.request, 486), 0.1)
    assert layer.get_timer() == 0.6
    layer.receive(make_request("ACK", via=VIA, to_tag="bob"), FROM_ALICE, 0.2)
    assert layer_events(layer) == []
    assert layer.get_timer() == 5.2
    layer.handle_timer(5.2)
    assert len(layer) == 0


def test_refusal_without_ack_fails() -> None:
    layer = make_layer()
    event = receive_invite(layer)
    layer.send_response(event.key, make_response(event.request, 486), 0.0)
    while (at := layer.get_timer()) is not None:
        layer.handle_timer(at)
    assert statuses(layer) == [486] * 11
    assert layer_events(layer) == [TransactionFailed(event.key, FailureReason.NO_ACK)]


def test_ack_for_a_2xx_is_told() -> None:
    layer = make_layer()
    event = receive_invite(layer)
    layer.send_response(event.key, make_response(event.request, 200), 0.1)
    other_branch = VIA.replace("bKa", "bKb")
    ack = make_request("ACK", via=other_branch, to_tag="bob")
    layer.receive(ack, FROM_ALICE, 0.2)
    assert layer_events(layer) == [AckReceived(ack, FROM_ALICE)]
    # Some put the INVITE's branch into it.
    ack = make_request("ACK", via=VIA, to_tag="bob")
    layer.receive(ack, FROM_ALICE, 0.3)
    assert layer_events(layer) == [AckReceived(ack, FROM_ALICE)]
    assert statuses(layer) == [200]
    assert layer.get_timer() == 32.1


def test_2xx_is_sent_again_by_the_user_only() -> None:
    layer = make_layer()
    event = receive_invite(layer)
    accepted = make_response(event.request, 200)
    layer.send_response(event.key, accepted, 0.0)
    layer.receive(make_request(via=VIA), FROM_ALICE, 0.5)
    assert statuses(layer) == [200]
    layer.send_response(event.key, accepted, 0.5)
    assert statuses(layer) == [200]
    layer.handle_timer(32.0)
    with pytest.raises(LocalSipError):
        layer.send_response(event.key, accepted, 32.0)


def test_ack_out_of_nowhere_is_told() -> None:
    layer = make_layer()
    ack = make_request("ACK", via=VIA, to_tag="bob")
    layer.receive(ack, FROM_ALICE, 0.0)
    assert layer_events(layer) == [AckReceived(ack, FROM_ALICE)]
    assert layer.data_to_send() == []
    assert len(layer) == 0


def test_unknown_key_and_wrong_order_are_our_fault() -> None:
    layer = make_layer()
    event = receive_invite(layer)
    response = make_response(event.request, 486)
    with pytest.raises(LocalSipError):
        layer.send_response("t99", response, 0.0)
    layer.send_response(event.key, response, 0.0)
    with pytest.raises(LocalSipError):
        layer.send_response(event.key, make_response(event.request, 200), 0.0)
    assert statuses(layer) == [486]
    key, _ = send_invite(layer)
    with pytest.raises(LocalSipError):
        layer.send_response(key, response, 0.0)


def test_client_older_than_rfc_3261() -> None:
    layer = make_layer()
    event = receive_invite(layer, OLD_VIA)
    layer.receive(make_request(via=OLD_VIA), FROM_ALICE, 0.5)
    assert statuses(layer) == [100]
    layer.receive(make_request("CANCEL", via=OLD_VIA), FROM_ALICE, 0.6)
    assert [type(e) for e in layer_events(layer)] == [CancelReceived]
    layer.send_response(event.key, make_response(event.request, 487), 0.6)
    assert statuses(layer) == [200, 487]
    ack = make_request("ACK", via=OLD_VIA, to_tag="other")
    layer.receive(ack, FROM_ALICE, 0.7)
    assert layer_events(layer) == [AckReceived(ack, FROM_ALICE)]
    layer.receive(make_request("ACK", via=OLD_VIA, to_tag="bob"), FROM_ALICE, 0.7)
    assert layer_events(layer) == []
    layer.handle_timer(5.7)
    assert [at for at in (layer.get_timer(),) if at] == [32.6]
    layer.handle_timer(32.6)
    assert len(layer) == 0
    layer.receive(make_request("ACK", via=OLD_VIA, to_tag="bob"), FROM_ALICE, 33.0)
    assert [type(e) for e in layer_events(layer)] == [AckReceived]


def test_answers_never_go_to_a_third_party() -> None:
    layer = make_layer()
    via = "SIP/2.0/UDP 198.51.100.7:53;maddr=198.51.100.8;branch=z9hG4bKa"
    layer.receive(make_request(via=via), FROM_ALICE, 0.0)
    layer.receive(make_request("CANCEL", via=f"{via}b"), FROM_ALICE, 0.0)
    hosts = {flow.remote.host for _, flow in layer.data_to_send()}
    assert hosts == {"192.0.2.1"}


def test_stream_is_answered_on_itself_and_absorbs_nothing() -> None:
    layer = make_layer()
    flow = Flow("tcp", BOB, Address("192.0.2.1", 40000))
    request = make_request("OPTIONS", via=VIA.replace("UDP", "TCP"))
    layer.receive(request, flow, 0.0)
    layer.send_response("t1", make_response(request, 200), 0.0)
    assert [to for _, to in layer.data_to_send()] == [flow]
    assert layer.get_timer() == 0.0
    layer.handle_timer(0.0)
    assert len(layer) == 0


# --- neither


def test_ack_for_a_2xx_gets_a_new_branch() -> None:
    layer = make_layer()
    _, invite = send_invite(layer)
    layer.receive(make_response(invite, 200), FLOW, 0.1)
    layer.send_stateless(make_request("ACK", to_tag="bob"), FLOW, 0.1)
    (ack,) = sent(layer)
    assert ack.top_via.branch != invite.top_via.branch
    assert ack.top_via.host == "192.0.2.1"


def test_stateless_response_goes_where_the_via_says() -> None:
    layer = make_layer()
    via = "SIP/2.0/UDP 10.0.0.1:5070;branch=z9hG4bKa"
    response = respond(400, via)
    layer.send_stateless(response, FROM_ALICE, 0.0)
    ((data, flow),) = layer.data_to_send()
    assert flow == Flow("udp", BOB, Address("192.0.2.1", 5070))
    assert parse_message(data).top_via.received == "192.0.2.1"
    assert response.headers.get("Via") == via


def test_transport_failure_is_told_to_whom_it_concerns() -> None:
    layer = make_layer()
    key, _ = send_invite(layer)
    elsewhere = Flow("udp", ALICE, Address("192.0.2.77", 5060))
    layer.send_request(make_request("OPTIONS"), elsewhere, 0.0)
    layer.transport_failed(FLOW, 0.1)
    assert layer_events(layer) == [TransactionFailed(key, FailureReason.TRANSPORT)]
    assert len(layer) == 1


def test_a_lost_connection_fails_what_nobody_has_answered() -> None:
    layer = make_layer()
    asked = layer.send_request(make_request("OPTIONS"), FLOW, 0.0)
    sent(layer)
    _, invite = send_invite(layer)
    layer.receive(make_response(invite, 180), FLOW, 0.1)
    layer_events(layer)
    layer.connection_lost(Flow("udp", FLOW.local, Address("192.0.2.9", 9)), 0.2)
    assert layer_events(layer) == []
    layer.connection_lost(FLOW, 0.2)
    assert layer_events(layer) == [TransactionFailed(asked, FailureReason.TRANSPORT)]
    assert len(layer) == 1


def test_transport_failure_does_not_end_an_incoming_call() -> None:
    layer = make_layer()
    event = receive_invite(layer)
    layer.transport_failed(FROM_ALICE, 0.1)
    assert layer_events(layer) == [
        TransactionFailed(event.key, FailureReason.TRANSPORT)
    ]
    layer.send_response(event.key, make_response(event.request, 486), 0.2)
    assert statuses(layer) == [486]
