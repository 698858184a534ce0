"""CANCEL in both directions (RFC 3261 section 9)."""

import pytest

from agent.signalling.sip.errors import LocalSipError
from agent.signalling.sip.message import Request, Response
from agent.signalling.sip.transaction.layer import (
    CancelReceived,
    ResponseReceived,
    TransactionFailed,
)
from agent.signalling.sip.transaction.machine import FailureReason
from tests.signalling.sip.transaction.layers import (
    FROM_ALICE,
    VIA,
    make_layer,
    receive_invite,
    send_invite,
)
from tests.signalling.sip.transaction.samples import (
    FLOW,
    layer_events,
    make_request,
    make_response,
    methods,
    sent,
    statuses,
)


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
