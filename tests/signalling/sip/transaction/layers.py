"""Transaction layers with a call under way, and what Alice's and Bob's ends see."""

import random
from typing import Any

from agent.signalling.sip.flow import Flow
from agent.signalling.sip.message import Request, Response, response_to
from agent.signalling.sip.transaction.layer import (
    RequestReceived,
    TransactionLayer,
)
from tests.signalling.sip.transaction.samples import (
    ALICE,
    BOB,
    FLOW,
    layer_events,
    make_request,
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


def respond(status: int, via: str, method: str = "INVITE") -> Response:
    return response_to(make_request(method, via=via), status, to_tag="bob")
