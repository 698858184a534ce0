import pytest

from agent.signalling.sip.message import response_to
from agent.signalling.sip.transaction.events import (
    AckReceived,
    CancelReceived,
    Event,
    RequestReceived,
    ResponseReceived,
    StrayResponse,
    TransactionFailed,
)
from agent.signalling.sip.transaction.machine import FailureReason
from tests.signalling.sip.transaction.samples import FLOW, make_request

REQUEST = make_request(via="SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa")
RESPONSE = response_to(REQUEST, 200, to_tag="bob")


@pytest.mark.parametrize(
    "event",
    [
        RequestReceived("t1", REQUEST, FLOW),
        AckReceived(REQUEST, FLOW),
        CancelReceived("t1", REQUEST),
        ResponseReceived("t1", RESPONSE, FLOW),
        StrayResponse(RESPONSE, FLOW),
        TransactionFailed("t1", FailureReason.TIMEOUT),
    ],
)
def test_events_name_nobody(event: Event) -> None:
    assert "alice" not in repr(event)
    assert "bob" not in repr(event)


def test_a_failure_is_as_good_as_a_response() -> None:
    reasons = FailureReason.TIMEOUT, FailureReason.TRANSPORT
    assert [TransactionFailed("t1", r).status for r in reasons] == [408, 503]


def test_reasons_are_words() -> None:
    assert [str(reason) for reason in FailureReason] == [
        "timeout",
        "transport",
        "no-ack",
    ]
