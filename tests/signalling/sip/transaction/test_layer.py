import random
from typing import Any

import pytest

from agent.model.media import Address
from agent.signalling.sip.errors import LocalSipError
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.message import Request, Response, response_to
from agent.signalling.sip.parser import parse_message
from agent.signalling.sip.transaction.layer import (
    DROP,
    AckReceived,
    CancelReceived,
    RequestReceived,
    ResponseReceived,
    StrayResponse,
    TransactionFailed,
    TransactionLayer,
)
from agent.signalling.sip.transaction.machine import FailureReason
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


def make_layer(**options: Any) -> TransactionLayer:
    return TransactionLayer(rng=random.Random(1), **options)


def receive_invite(layer: TransactionLayer, via: str = VIA) -> RequestReceived:
    """A new INVITE from Alice at 0, its 100 taken off."""
    layer.receive(make_request(via=via), FROM_ALICE, 0.0)
    (event,) = layer_events(layer)
    assert isinstance(event, RequestReceived)
    assert statuses(layer) == [100]
    return event


def send_invite(layer: TransactionLayer) -> tuple[str, Request]:
    """An INVITE from Alice at 0, with what was put on the wire."""
    key = layer.send_request(make_request(), FLOW, 0.0)
    (invite,) = sent(layer)
    assert isinstance(invite, Request)
    return key, invite


# --- as server


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


def test_cancel_is_answered_and_told() -> None:
    layer = make_layer()
    event = receive_invite(layer)
    layer.send_response(event.key, make_response(event.request, 180), 0.0)
    layer.data_to_send()
    cancel = make_request("CANCEL", via=VIA)
    layer.receive(cancel, FROM_ALICE, 1.0)
    assert layer_events(layer) == [CancelReceived(event.key, cancel)]
    (answer,) = sent(layer)
    assert isinstance(answer, Response)
    assert (answer.status, answer.cseq.method) == (200, "CANCEL")
    assert answer.to.tag == "bob"
    layer.send_response(event.key, make_response(event.request, 487), 1.0)
    assert statuses(layer) == [487]
    layer.receive(make_request("CANCEL", via=VIA), FROM_ALICE, 1.5)
    assert layer_events(layer) == []
    assert statuses(layer) == [200]


def test_cancel_before_any_tag_gets_one() -> None:
    layer = make_layer()
    event = receive_invite(layer)
    layer.receive(make_request("CANCEL", via=VIA), FROM_ALICE, 1.0)
    (answer,) = sent(layer)
    assert answer.to.tag
    assert [type(e) for e in layer_events(layer)] == [CancelReceived]
    assert layer.next_event() is None
    layer.send_response(event.key, make_response(event.request, 487), 1.0)


@pytest.mark.parametrize("status", [200, 486])
def test_cancel_after_a_final_response_has_no_effect(status: int) -> None:
    layer = make_layer()
    event = receive_invite(layer)
    layer.send_response(event.key, make_response(event.request, status), 0.0)
    layer.data_to_send()
    layer.receive(make_request("CANCEL", via=VIA), FROM_ALICE, 0.1)
    assert statuses(layer) == [200]
    assert layer_events(layer) == []


def test_cancel_of_nothing_is_answered_481() -> None:
    layer = make_layer()
    for _ in range(100):
        layer.receive(make_request("CANCEL", via=VIA), FROM_ALICE, 0.0)
    answers = sent(layer)
    assert len(answers) == 100
    assert isinstance(answers[0], Response)
    assert answers[0].status == 481
    assert answers[0].to.tag
    assert layer_events(layer) == []
    assert len(layer) == 0
    assert layer.stats.unmatched_cancels == 100


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


# --- as client


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


def respond(status: int, via: str, method: str = "INVITE") -> Response:
    return response_to(make_request(method, via=via), status, to_tag="bob")


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


def test_cancel_waits_for_a_provisional() -> None:
    layer = make_layer()
    key, invite = send_invite(layer)
    layer.cancel(key, 0.1, [("Reason", "Q.850;cause=16")])
    layer.cancel(key, 0.2)
    assert layer.data_to_send() == []
    layer.receive(make_response(invite, 100, to_tag=None), FLOW, 0.3)
    (cancel,) = sent(layer)
    assert isinstance(cancel, Request)
    assert cancel.method == "CANCEL"
    assert cancel.top_via == invite.top_via
    assert len(cancel.vias) == 1
    assert cancel.headers.get("Reason") == "Q.850;cause=16"
    assert len(layer_events(layer)) == 1

    layer.receive(make_response(cancel, 200), FLOW, 0.4)
    assert layer_events(layer) == []
    terminated = make_response(invite, 487)
    layer.receive(terminated, FLOW, 0.4)
    assert layer_events(layer) == [ResponseReceived(key, terminated, FLOW)]
    assert methods(layer) == ["ACK"]


def test_cancel_after_a_provisional_goes_at_once_and_once() -> None:
    layer = make_layer()
    key, invite = send_invite(layer)
    layer.receive(make_response(invite, 180), FLOW, 0.3)
    layer.cancel(key, 1.0)
    layer.cancel(key, 1.1)
    assert methods(layer) == ["CANCEL"]
    layer.receive(make_response(invite, 180), FLOW, 1.2)
    assert layer.data_to_send() == []


def test_cancelled_and_silent_fails_after_64_t1() -> None:
    layer = make_layer()
    key, invite = send_invite(layer)
    layer.receive(make_response(invite, 180), FLOW, 0.0)
    layer.cancel(key, 100.0)
    layer_events(layer)
    while (at := layer.get_timer()) is not None and at < 132.0:
        layer.handle_timer(at)
    assert methods(layer) == ["CANCEL"] * 11
    assert layer_events(layer) == []
    layer.handle_timer(132.0)
    # The CANCEL's own timeout is not told.
    assert layer_events(layer) == [TransactionFailed(key, FailureReason.TIMEOUT)]
    assert len(layer) == 0


def test_2xx_crossing_the_cancel_is_told() -> None:
    layer = make_layer()
    key, invite = send_invite(layer)
    layer.receive(make_response(invite, 180), FLOW, 0.1)
    layer.cancel(key, 1.0)
    accepted = make_response(invite, 200)
    layer.receive(accepted, FLOW, 1.1)
    assert layer_events(layer)[-1] == ResponseReceived(key, accepted, FLOW)


@pytest.mark.parametrize("status", [200, 486])
def test_no_cancel_after_a_final_response(status: int) -> None:
    layer = make_layer()
    key, invite = send_invite(layer)
    layer.receive(make_response(invite, status), FLOW, 0.1)
    layer.data_to_send()
    layer.cancel(key, 0.2)
    assert layer.data_to_send() == []
    layer.handle_timer(32.1)
    layer.cancel(key, 33.0)
    assert layer.data_to_send() == []


def test_held_cancel_is_dropped_with_a_final_response() -> None:
    layer = make_layer()
    key, invite = send_invite(layer)
    layer.cancel(key, 0.1)
    layer.receive(make_response(invite, 486), FLOW, 0.2)
    assert methods(layer) == ["ACK"]


def test_only_our_invites_can_be_cancelled() -> None:
    layer = make_layer()
    event = receive_invite(layer)
    with pytest.raises(LocalSipError):
        layer.cancel(event.key, 0.0)
    key = layer.send_request(make_request("OPTIONS"), FLOW, 0.0)
    with pytest.raises(LocalSipError):
        layer.cancel(key, 0.0)


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
