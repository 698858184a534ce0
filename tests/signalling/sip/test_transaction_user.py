import random
from typing import Any

import pytest

from agent.model.media import Address
from agent.signalling.sip.errors import LocalSipError
from agent.signalling.sip.events import Cancelled
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.message import Request
from agent.signalling.sip.parser import parse_message
from agent.signalling.sip.resending import Resending
from agent.signalling.sip.timers import DEFAULT_TIMERS
from agent.signalling.sip.transaction.layer import RequestReceived, TransactionLayer
from agent.signalling.sip.transaction_user import TransactionUser
from tests.signalling.sip.transaction.samples import make_request

FLOW = Flow("udp", Address("192.0.2.2", 5060), Address("192.0.2.1", 5060))


def new(seed: int = 1, **more: Any) -> tuple[TransactionUser, TransactionLayer]:
    layer = TransactionLayer(rng=random.Random(seed))
    user = TransactionUser(
        layer,
        resending=Resending(layer, None),
        rng=random.Random(seed),
        timers=DEFAULT_TIMERS,
        product="agent/1",
        allow=("INVITE", "ACK"),
        supported=("timer",),
        **more,
    )
    return user, layer


def received(layer: TransactionLayer, method: str = "OPTIONS") -> tuple[str, Request]:
    via = "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKx;rport"
    data = make_request(method, via=via).to_bytes()
    layer.receive(parse_message(data), FLOW, 0.0)
    event = layer.next_event()
    assert isinstance(event, RequestReceived)
    return event.key, event.request


def sent(layer: TransactionLayer) -> list[str]:
    return [data.split(b"\r\n")[0].decode() for data, _ in layer.data_to_send()]


def test_a_request_names_the_product_and_its_owner() -> None:
    user, layer = new()
    key = user.send_request(make_request("OPTIONS"), FLOW, 0.0, owner="s1")
    assert user.owner(key) == "s1"
    data = layer.data_to_send()[0][0]
    assert parse_message(data).headers.get("User-Agent") == "agent/1"
    user.disown(key)
    user.disown(key)
    assert user.owner(key) is None


def test_a_request_may_have_no_owner() -> None:
    user, _ = new()
    key = user.send_request(make_request("OPTIONS"), FLOW, 0.0, owner=None)
    assert user.owner(key) is None


def test_a_final_response_ends_the_ownership() -> None:
    user, layer = new()
    key, request = received(layer)
    user.own(key, "s1")
    user.respond(key, request, 183, 0.0, to_tag="t")
    assert user.owner(key) == "s1"
    response = user.respond(
        key, request, 200, 0.0, reason="Fine", to_tag="t", body=b"v=0"
    )
    assert user.owner(key) is None
    assert response.headers.get("Server") == "agent/1"
    assert response.content_type == "application/sdp"
    assert response.to.tag == "t"
    assert sent(layer) == ["SIP/2.0 183 Session Progress", "SIP/2.0 200 Fine"]


def test_a_broken_header_sends_nothing() -> None:
    user, layer = new()
    key, request = received(layer)
    user.own(key, "s1")
    with pytest.raises(LocalSipError):
        user.respond(key, request, 200, 0.0, headers=[("X", "a\r\nb: c")])
    assert user.owner(key) == "s1"
    assert sent(layer) == []


def test_a_2xx_is_sent_again_and_acknowledged() -> None:
    user, layer = new()
    key, request = received(layer, "INVITE")
    response = user.respond(key, request, 200, 0.0, to_tag="t")
    user.respond_again(key, response, 0.5)
    assert sent(layer) == ["SIP/2.0 100 Trying", *["SIP/2.0 200 OK"] * 2]
    user.send_ack(make_request("ACK"), FLOW, 0.6)
    assert sent(layer) == ["ACK sip:bob@192.0.2.2 SIP/2.0"]


def test_an_invite_is_cancelled() -> None:
    user, layer = new()
    key = user.send_request(make_request("INVITE"), FLOW, 0.0, owner="s1")
    user.cancel(key, 0.0, ())
    # It waits for a provisional response.
    assert sent(layer) == ["INVITE sip:bob@192.0.2.2 SIP/2.0"]


def test_what_is_drawn_is_in_its_range() -> None:
    user, _ = new()
    assert len({user.new_tag() for _ in range(100)}) == 100
    assert all(0 < user.new_cseq() < 2**16 for _ in range(100))
    delays = {user.retry_after() for _ in range(200)}
    assert delays == {("Retry-After", str(seconds)) for seconds in range(11)}


def test_capabilities_and_events() -> None:
    user, _ = new()
    assert user.capabilities == (
        ("Allow", "INVITE, ACK"),
        ("Accept", "application/sdp"),
        ("Supported", "timer"),
    )
    user.emit(Cancelled("s1"))
    assert list(user.events) == [Cancelled("s1")]


def test_no_session_gets_a_name_that_another_process_has_given() -> None:
    user, _ = new()
    for taken in ("s4", "s7f-9", "x"):
        user.keep_free(taken)
    assert user.new_session() == "s5"
    other, _ = new(session_names="s7f-")
    for taken in ("s12", "s7f-2", "s7f-x"):
        other.keep_free(taken)
    assert other.new_session() == "s7f-3"
