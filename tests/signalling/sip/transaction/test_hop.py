import pytest

from agent.model.media import Address
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.headers import Headers, parse_via
from agent.signalling.sip.transaction.hop import (
    push_via,
    response_flow,
    sent_by,
    stamp,
)
from tests.signalling.sip.transaction.samples import ALICE, BOB, FLOW, make_request

FROM_ALICE = Flow("udp", BOB, ALICE)
"Bob's flow, by which Alice's requests reach him."


def test_our_via_asks_for_rport() -> None:
    request = make_request(via="SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKold")
    pushed = push_via(request, "z9hG4bKnew", FLOW)
    assert pushed.headers.get_all("Via") == [
        "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKnew;rport",
        "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKold",
    ]
    assert len(request.vias) == 1


def test_our_via_over_ipv6_and_tls() -> None:
    flow = Flow("tls", Address("2001:db8::1", 5061), Address("2001:db8::2", 5061))
    pushed = push_via(make_request(), "z9hG4bKnew", flow)
    assert pushed.headers.get("Via") == (
        "SIP/2.0/TLS [2001:db8::1]:5061;branch=z9hG4bKnew;rport"
    )


@pytest.mark.parametrize(
    ("sent", "received"),
    [
        # Nothing to add: the sent-by is where it came from.
        ("192.0.2.1;branch=b", "192.0.2.1;branch=b"),
        ("192.0.2.1:5070;branch=b", "192.0.2.1:5070;branch=b"),
        # RFC 3261 section 18.2.1: a name, or another address.
        ("alice.example;branch=b", "alice.example;branch=b;received=192.0.2.1"),
        ("10.0.0.1;branch=b", "10.0.0.1;branch=b;received=192.0.2.1"),
        # RFC 3581 section 4: asked for, so both are written.
        (
            "192.0.2.1;rport;branch=b",
            "192.0.2.1;rport=5060;branch=b;received=192.0.2.1",
        ),
        # What the sender claims of itself is not believed.
        (
            "192.0.2.1;received=203.0.113.1;branch=b",
            "192.0.2.1;received=192.0.2.1;branch=b",
        ),
        (
            "10.0.0.1;rport=9;received=203.0.113.1;branch=b",
            "10.0.0.1;rport=5060;received=192.0.2.1;branch=b",
        ),
    ],
)
def test_stamp(sent: str, received: str) -> None:
    headers = Headers([("Via", f"SIP/2.0/UDP {sent}")])
    stamp(headers, parse_via(f"SIP/2.0/UDP {sent}"), FROM_ALICE)
    assert headers.get_all("Via") == [f"SIP/2.0/UDP {received}"]


def test_stamp_leaves_the_other_hops() -> None:
    top = "SIP/2.0/UDP 10.0.0.1;branch=b"
    rest = "SIP/2.0/UDP 10.0.0.2;branch=c"
    headers = Headers([("Via", f"{top}, {rest}"), ("Via", "SIP/2.0/UDP 10.0.0.3")])
    stamp(headers, parse_via(top), FROM_ALICE)
    assert headers.get_all("Via") == [
        f"{top};received=192.0.2.1",
        rest,
        "SIP/2.0/UDP 10.0.0.3",
    ]


def test_stamp_twice_is_stamp_once() -> None:
    headers = Headers([("Via", "SIP/2.0/UDP 10.0.0.1;rport;branch=b")])
    for _ in range(2):
        stamp(headers, parse_via(headers.get_all("Via")[0]), FROM_ALICE)
    assert headers.get_all("Via") == [
        "SIP/2.0/UDP 10.0.0.1;rport=5060;branch=b;received=192.0.2.1"
    ]


@pytest.mark.parametrize(
    ("via", "port"),
    [
        ("192.0.2.1;branch=b", 5060),
        ("192.0.2.1:5060;branch=b", 5060),
        ("192.0.2.1:5070;branch=b", 5070),
        ("10.0.0.1:5070;branch=b", 5070),
        ("192.0.2.1:5070;rport;branch=b", 40000),
        ("192.0.2.1:5070;rport=1;branch=b", 40000),
    ],
)
def test_responses_go_to_where_the_request_came_from(via: str, port: int) -> None:
    flow = Flow("udp", BOB, Address("192.0.2.1", 40000))
    found = response_flow(parse_via(f"SIP/2.0/UDP {via}"), flow)
    assert found == Flow("udp", BOB, Address("192.0.2.1", port))


def test_sent_by_port_that_is_the_source_port() -> None:
    via = parse_via("SIP/2.0/UDP 192.0.2.1:5060;branch=b")
    assert response_flow(via, FROM_ALICE) is FROM_ALICE


def test_no_third_party_is_aimed_at() -> None:
    via = parse_via("SIP/2.0/UDP 198.51.100.7:53;maddr=198.51.100.8;branch=b")
    assert response_flow(via, FROM_ALICE).remote.host == "192.0.2.1"


def test_streams_answer_on_the_stream() -> None:
    flow = Flow("tcp", BOB, Address("192.0.2.1", 40000))
    via = parse_via("SIP/2.0/TCP 192.0.2.1:5060;branch=b")
    assert response_flow(via, flow) is flow
    theirs = Flow("tcp", BOB, Address("192.0.2.1", 40000), inbound=True)
    found = response_flow(via, theirs)
    assert found == theirs
    assert found.fallback == Address("192.0.2.1", 5060)


@pytest.mark.parametrize(
    ("via", "expected"),
    [
        ("SIP/2.0/UDP Alice.Example", ("alice.example", 5060)),
        ("SIP/2.0/TLS alice.example", ("alice.example", 5061)),
        ("SIP/2.0/TLS alice.example:5060", ("alice.example", 5060)),
        ("SIP/2.0/SCTP [2001:DB8::1]", ("2001:db8::1", 5060)),
    ],
)
def test_sent_by(via: str, expected: tuple[str, int]) -> None:
    assert sent_by(parse_via(via)) == expected
