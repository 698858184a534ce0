import pytest

from agent.model.media import Address
from agent.signalling.sip.dialog import Dialog, route_request
from agent.signalling.sip.errors import LocalSipError
from agent.signalling.sip.flow import Flow, Served
from agent.signalling.sip.headers import Headers
from agent.signalling.sip.message import Request, Response, response_to
from agent.signalling.sip.uri import NameAddr, parse_uri

FLOW = Flow("udp", Address("192.0.2.1", 5060), Address("192.0.2.2", 5060))
FLOW6 = Flow("udp", Address("2001:db8::1", 5060), Address("2001:db8::2", 5060))
CONTACT = parse_uri("sip:us@192.0.2.1")
P1 = "<sip:p1.example.com;lr>"
P2 = "<sip:p2.example.com;lr>"


def invite(
    *headers: tuple[str, str], contact: str | None = "sip:b@192.0.2.9"
) -> Request:
    lines = [
        ("From", "Alice <sip:alice@example.com>;tag=a1"),
        ("To", "Bob <sip:bob@example.com>"),
        ("Call-ID", "call-1"),
        ("CSeq", "7 INVITE"),
        *headers,
    ]
    if contact is not None:
        lines.append(("Contact", f"<{contact}>"))
    return Request("INVITE", parse_uri("sip:bob@192.0.2.2"), Headers(lines))


def answer(
    *headers: tuple[str, str], contact: str | None = "sip:bob@192.0.2.7:5070"
) -> Response:
    lines = list(headers)
    if contact is not None:
        lines.append(("Contact", f"<{contact}>"))
    return response_to(invite(), 200, to_tag="b1", headers=lines)


def uas(*headers: tuple[str, str], contact: str | None = "sip:b@192.0.2.9") -> Dialog:
    return Dialog.uas(
        invite(*headers, contact=contact), local_tag="b1", contact=CONTACT, local_cseq=3
    )


def uac(
    *headers: tuple[str, str], contact: str | None = "sip:bob@192.0.2.7:5070"
) -> Dialog:
    return Dialog.uac(invite(), answer(*headers, contact=contact), contact=CONTACT)


def with_target(uri: str) -> Dialog:
    return uac(contact=uri)


def test_uas_keeps_the_order_of_the_route_set() -> None:
    dialog = uas(("Record-Route", P1), ("Record-Route", P2))
    request = dialog.request("BYE")
    assert request.headers.get_all("Route") == [P1, P2]
    assert str(request.uri) == "sip:b@192.0.2.9"
    assert request.headers.get("From") == '"Bob" <sip:bob@example.com>;tag=b1'
    assert request.headers.get("To") == '"Alice" <sip:alice@example.com>;tag=a1'
    assert request.call_id == "call-1"
    assert (request.cseq.number, request.cseq.method) == (4, "BYE")
    assert request.max_forwards == 70
    assert dialog.remote_cseq == 7


def test_uac_reverses_the_order_of_the_route_set() -> None:
    dialog = uac(("Record-Route", f"{P1}, {P2}"))
    request = dialog.request("BYE")
    assert request.headers.get_all("Route") == [P2, P1]
    assert str(request.uri) == "sip:bob@192.0.2.7:5070"
    assert request.headers.get("From") == '"Alice" <sip:alice@example.com>;tag=a1'
    assert request.headers.get("To") == '"Bob" <sip:bob@example.com>;tag=b1'
    assert dialog.local.tag == "a1"
    assert request.cseq.number == 8
    assert dialog.remote_cseq is None
    assert dialog.remote_tag == "b1"


def test_strict_router_is_asked_for_itself() -> None:
    dialog = uac(("Record-Route", f"{P1}, <sip:old.example.com>"))
    request = dialog.request("INFO")
    assert str(request.uri) == "sip:old.example.com"
    assert request.headers.get_all("Route") == [P1, "<sip:bob@192.0.2.7:5070>"]


def test_without_routes_the_target_is_asked() -> None:
    target = parse_uri("sip:x@192.0.2.3")
    assert route_request(target, []) == (target, ())
    loose = NameAddr(None, parse_uri("sip:p;lr"))
    assert route_request(target, [loose]) == (target, (loose,))


def test_without_contact_what_worked_is_the_target() -> None:
    assert str(uac(contact=None).remote_target) == "sip:bob@192.0.2.2"
    assert str(uas(contact=None).remote_target) == "sip:alice@example.com"


def test_numbers_rise_and_an_ack_takes_its_invites() -> None:
    dialog = uac()
    numbers = [dialog.request(method).cseq.number for method in ("INFO", "INVITE")]
    assert numbers == [8, 9]
    ack = dialog.ack(9, body=b"v=0\r\n")
    assert (ack.cseq.number, ack.method) == (9, "ACK")
    assert ack.content_type == "application/sdp"
    assert dialog.request("BYE").cseq.number == 10


def test_a_request_that_cannot_be_made_uses_no_number() -> None:
    dialog = uac()
    with pytest.raises(LocalSipError):
        dialog.request("BYE", headers=[("Reason", "a\r\nb: c")])
    assert dialog.request("BYE").cseq.number == 8


def test_contact_stands_where_the_target_may_change() -> None:
    dialog = uac()
    for method in ("INVITE", "UPDATE", "REFER"):
        assert dialog.request(method).contact == NameAddr(None, CONTACT)
    for method in ("BYE", "INFO", "OPTIONS"):
        assert dialog.request(method).contact is None


def test_body_has_its_type() -> None:
    request = uac().request(
        "INFO", body=b"x", content_type="text/plain", headers=[("Subject", "s")]
    )
    assert request.content_type == "text/plain"
    assert request.headers.get("Subject") == "s"
    assert request.body == b"x"


def test_lower_numbers_are_out_of_order() -> None:
    dialog = uac()
    first = request_of("INFO", 20)
    assert dialog.is_in_order(first)
    assert not dialog.is_in_order(request_of("BYE", 19))
    assert dialog.is_in_order(request_of("BYE", 20))
    assert dialog.is_in_order(request_of("INVITE", 21))
    assert not dialog.is_in_order(request_of("INVITE", 21))
    assert dialog.remote_cseq == 21


def request_of(method: str, number: int) -> Request:
    return Request(method, CONTACT, Headers([("CSeq", f"{number} {method}")]))


def test_target_is_refreshed_by_a_contact() -> None:
    dialog = uac()
    dialog.refresh(answer(contact=None))
    assert str(dialog.remote_target) == "sip:bob@192.0.2.7:5070"
    dialog.refresh(answer(contact="sip:bob@192.0.2.8"))
    assert str(dialog.remote_target) == "sip:bob@192.0.2.8"


def test_requests_go_to_the_literal_of_the_target() -> None:
    assert uac().next_hop(FLOW).remote == Address("192.0.2.7", 5070)
    assert with_target("sip:b@192.0.2.7").next_hop(FLOW).remote.port == 5060
    assert with_target("sips:b@192.0.2.7").next_hop(FLOW).remote.port == 5061
    assert with_target("sip:[2001:db8::9]").next_hop(FLOW6) == Flow(
        "udp", FLOW6.local, Address("2001:db8::9", 5060)
    )


def test_requests_go_to_the_literal_of_the_first_route() -> None:
    dialog = uac(("Record-Route", "<sip:192.0.2.99:5099;lr>"))
    assert dialog.next_hop(FLOW).remote == Address("192.0.2.99", 5099)


@pytest.mark.parametrize(
    "uri",
    [
        "sip:bob@phone.example.com",
        "sip:bob@192.0.2.2",
        "sip:bob@0.0.0.0",
        "sip:bob@239.1.2.3",
        "sip:bob@[2001:db8::9]",
        "tel:+358295419600",
        "urn:service:sos",
    ],
)
def test_to_what_is_no_usable_literal_the_way_stays(uri: str) -> None:
    assert with_target(uri).next_hop(FLOW) is FLOW


def test_a_zero_address_of_six_is_no_target() -> None:
    assert with_target("sip:b@[::]").next_hop(FLOW6) is FLOW6


def test_a_connection_the_peer_opened_is_used_while_it_lasts() -> None:
    flow = Flow("tcp", FLOW.local, Address("192.0.2.7", 40000), inbound=True)
    found = with_target("sip:b@192.0.2.7:5070").next_hop(flow)
    assert found == flow
    assert found.fallback == Address("192.0.2.7", 5070)


def test_another_place_must_bear_the_same_name() -> None:
    flow = Flow("tls", FLOW.local, Address("192.0.2.2", 5061), "pbx.example")
    found = with_target("sip:b@192.0.2.7:5071").next_hop(flow)
    assert (found.remote.port, found.domain) == (5071, "pbx.example")


def test_the_default_port_is_that_of_the_transport() -> None:
    flow = Flow("tls", FLOW.local, Address("192.0.2.7", 5061), "pbx.example")
    assert with_target("sip:b@192.0.2.7;transport=tls").next_hop(flow) is flow
    assert with_target("sip:b@192.0.2.8").next_hop(flow).remote.port == 5061
    assert with_target("tel:201").next_hop(flow) is flow


SERVED = Served(
    [
        *((transport, FLOW.local) for transport in ("udp", "tcp", "tls")),
        ("udp", FLOW6.local),
    ]
)
BY_TCP = Flow("tcp", FLOW.local, Address("192.0.2.2", 5060))
BY_TLS = Flow("tls", FLOW.local, Address("192.0.2.2", 5061), "pbx.example")


@pytest.mark.parametrize(
    ("uri", "flow", "way"),
    [
        ("sip:b@192.0.2.7;transport=tcp", FLOW, ("tcp", 5060, "")),
        ("sip:b@192.0.2.2:5060;transport=TCP", FLOW, ("tcp", 5060, "")),
        ("sip:b@192.0.2.7;transport=tls", FLOW, ("tls", 5061, "192.0.2.7")),
        ("sips:b@192.0.2.7", FLOW, ("tls", 5061, "192.0.2.7")),
        ("sip:b@192.0.2.7:5070;transport=udp", BY_TCP, ("udp", 5070, "")),
        ("sip:b@192.0.2.7", BY_TCP, ("tcp", 5060, "")),
        # What nobody here speaks is not tried.
        ("sip:b@192.0.2.7;transport=sctp", FLOW, ("udp", 5060, "")),
        ("sip:b@[2001:db8::9];transport=tcp", FLOW6, ("udp", 5060, "")),
        # What was promised to be secret stays so.
        ("sip:b@192.0.2.7:5070;transport=tcp", BY_TLS, ("tls", 5070, "pbx.example")),
    ],
)
def test_the_transport_is_the_one_that_the_target_names(
    uri: str, flow: Flow, way: tuple[str, int, str]
) -> None:
    hop = with_target(uri).next_hop(flow, SERVED)
    assert (hop.transport, hop.remote.port, hop.domain) == way


def test_the_transport_of_the_first_route_counts_and_not_the_targets() -> None:
    route = ("Record-Route", "<sip:192.0.2.99;transport=tcp;lr>")
    dialog = uac(route, contact="sip:b@192.0.2.7;transport=udp")
    assert dialog.next_hop(FLOW, SERVED) == Flow(
        "tcp", FLOW.local, Address("192.0.2.99", 5060)
    )


def test_a_connection_that_lasts_needs_no_other_transport() -> None:
    flow = Flow("tcp", FLOW.local, Address("192.0.2.7", 40000), inbound=True)
    found = with_target("sip:b@192.0.2.7;transport=udp").next_hop(flow, SERVED)
    assert (found, found.fallback) == (flow, Address("192.0.2.7", 5060))


@pytest.mark.parametrize(
    ("uri", "transport", "way"),
    [
        ("sip:b@192.0.2.7:5070;transport=udp", "tcp", ("udp", 5070, "")),
        # RFC 3263 section 4.1: what names none, and is a literal, means UDP.
        ("sip:b@192.0.2.7", "tcp", ("udp", 5060, "")),
        ("sips:b@192.0.2.7", "tcp", ("tls", 5061, "192.0.2.7")),
        ("sip:b@192.0.2.7;transport=tcp", "tcp", None),
        ("sip:b@192.0.2.7;transport=udp", "tls", None),
        ("sip:b@phone.example;transport=udp", "tcp", None),
    ],
)
def test_a_connection_that_cannot_be_had_back_leaves_what_the_target_names(
    uri: str, transport: str, way: tuple[str, int, str] | None
) -> None:
    flow = Flow(transport, FLOW.local, Address("192.0.2.7", 40000), inbound=True)
    dialog = with_target(uri)
    found = dialog.without_connection(flow, SERVED)
    assert way == (found and (found.transport, found.remote.port, found.domain))
    assert dialog.without_connection(flow, Served()) is None
