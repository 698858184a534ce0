import pytest

from agent.signalling.sip import core as sip
from agent.signalling.sip.errors import LocalSipError
from agent.signalling.sip.message import Request
from agent.signalling.sip.outside import new_request
from agent.signalling.sip.uri import NameAddr, parse_uri
from tests.fakes.wire import Wire
from tests.signalling.sip.pair import ALICE, BOB, Peer, Phone, new_core

BOB_URI = parse_uri(f"sip:{BOB}")
ALICE_NAME = NameAddr(None, parse_uri("sip:alice@example.com")).with_tag("tag")


def options(method: str = "OPTIONS", **more: object) -> Request:
    arguments = {
        "from_": ALICE_NAME,
        "to": NameAddr(None, BOB_URI).with_tag("not-ours"),
        "call_id": "call",
        "cseq": 7,
    }
    return new_request(method, BOB_URI, **(arguments | more))  # type: ignore[arg-type]


def asking(request: Request) -> tuple[Phone, Peer, str]:
    wire = Wire()
    alice, peer = Phone(wire, ALICE, new_core(1)), Peer(wire, BOB)
    name = alice.core.request(request, wire.flow(ALICE, BOB), wire.now)
    wire.run(0.0)
    return alice, peer, name


def test_a_request_is_written_as_section_8_1_1_says() -> None:
    request = options(
        route=[parse_uri("sip:proxy;lr"), parse_uri("sip:next;lr")],
        max_forwards=9,
        headers=[("Accept", "application/sdp")],
    )
    assert list(request.headers) == [
        ("Max-Forwards", "9"),
        ("Route", "<sip:proxy;lr>"),
        ("Route", "<sip:next;lr>"),
        ("To", f"<sip:{BOB}>"),
        ("From", "<sip:alice@example.com>;tag=tag"),
        ("Call-ID", "call"),
        ("CSeq", "7 OPTIONS"),
        ("Accept", "application/sdp"),
    ]


def test_the_final_response_is_told_and_no_other() -> None:
    request = options()
    alice, peer, name = asking(request)
    peer.respond(peer.request("OPTIONS"), 100, ALICE)
    assert alice.events == []
    peer.respond(peer.request("OPTIONS"), 486, ALICE)
    [event] = alice.events
    assert isinstance(event, sip.RequestAnswered)
    assert (event.session, event.status) == (name, 486)
    assert event.response is not None
    assert event.request is request
    assert len(alice.core._outside) == 0


def test_two_user_agents_ask_each_other() -> None:
    wire = Wire()
    alice, bob = Phone(wire, ALICE, new_core(1)), Phone(wire, BOB, new_core(2))
    names = [
        alice.core.request(options(call_id=str(n)), wire.flow(ALICE, BOB), 0.0)
        for n in range(3)
    ]
    wire.run(0.0)
    assert [event.session for event in alice.events] == names
    assert {event.status for event in alice.events} == {200}
    assert bob.events == []


def test_silence_counts_as_408_and_a_broken_network_as_503() -> None:
    alice, _, name = asking(options())
    alice.wire.run(32.0)
    assert [(e.session, e.status, e.response) for e in alice.events] == [
        (name, 408, None)
    ]
    alice, _, _ = asking(options())
    alice.core.transport_failed(alice.wire.flow(ALICE, BOB), 0.0)
    alice.wire.run(0.0)
    assert [event.status for event in alice.events] == [503]
    assert len(alice.core._outside) == 0


def test_a_transaction_that_is_not_ours_says_nothing() -> None:
    alice, peer, _ = asking(options())
    peer.send(peer.new_request("INVITE", body=b"v=0"), ALICE)
    alice.core.refuse(alice.session, alice.wire.now, status=486)
    alice.events.clear()
    alice.wire.run(31.0)  # timer H of that INVITE, whose 486 gets no ACK
    assert alice.events == []


def test_sessions_begin_otherwise() -> None:
    wire = Wire()
    alice = Phone(wire, ALICE, new_core(1))
    for method in ("INVITE", "ACK"):
        with pytest.raises(LocalSipError):
            alice.core.request(options(method), wire.flow(ALICE, BOB), 0.0)
    assert len(alice.core._outside) == 0
