import pytest

from agent.signalling.sip.errors import LocalSipError, SipParseError
from agent.signalling.sip.headers import CSeq, Headers
from agent.signalling.sip.message import (
    REASONS,
    Message,
    Request,
    Response,
    response_to,
)
from agent.signalling.sip.uri import parse_name_addr, parse_uri


def invite(*more: tuple[str, str], method: str = "INVITE") -> Request:
    headers = Headers(
        [
            ("Via", "SIP/2.0/UDP a.example.com;branch=z9hG4bKa, SIP/2.0/TCP b"),
            ("Via", "SIP/2.0/TLS c;branch=z9hG4bKc"),
            ("From", '"Alice" <sip:alice@example.com>;tag=1'),
            ("To", "<sip:bob@example.com>"),
            ("Call-ID", "x@a"),
            ("CSeq", f"7 {method}"),
            *more,
        ]
    )
    return Request(method, parse_uri("sip:bob@example.com"), headers)


def test_typed_headers_of_a_request() -> None:
    request = invite(
        ("Max-Forwards", "70"),
        ("Contact", "<sip:a@h;ob>, <sip:b@h>"),
        ("Route", "<sip:r1;lr>,<sip:r2;lr>"),
        ("Route", "<sip:r3;lr>"),
        ("Record-Route", "<sip:rr;lr>"),
        ("Require", "Timer, 100rel"),
        ("Require", "replaces"),
        ("Supported", ""),
        ("Content-Type", " Application/SDP ;charset=utf-8"),
    )
    assert [via.host for via in request.vias] == ["a.example.com", "b", "c"]
    assert request.top_via.branch == "z9hG4bKa"
    assert request.from_.display == "Alice"
    assert request.from_.tag == "1"
    assert request.to.tag is None
    assert request.call_id == "x@a"
    assert request.cseq == CSeq(7, "INVITE")
    assert request.max_forwards == 70
    assert str(request.contact) == "<sip:a@h;ob>"
    assert [str(one.uri) for one in request.contacts] == ["sip:a@h;ob", "sip:b@h"]
    assert [one.uri.host for one in request.route] == ["r1", "r2", "r3"]
    assert [one.uri.host for one in request.record_route] == ["rr"]
    assert request.require == ["timer", "100rel", "replaces"]
    assert request.supported == []
    assert request.content_type == "application/sdp"


def test_what_may_be_absent() -> None:
    request = Request("OPTIONS", parse_uri("sip:h"))
    assert request.contact is None
    assert request.contacts == []
    assert request.max_forwards is None
    assert request.route == request.record_route == []
    assert request.require == request.supported == []
    assert request.content_type is None
    assert request.vias == []
    assert request.body == b""


@pytest.mark.parametrize("name", ["top_via", "from_", "to", "call_id", "cseq"])
def test_what_must_not_be_absent(name: str) -> None:
    with pytest.raises(SipParseError):
        getattr(Request("OPTIONS", parse_uri("sip:h")), name)


def test_an_empty_via() -> None:
    request = Request("OPTIONS", parse_uri("sip:h"), Headers([("Via", " ")]))
    with pytest.raises(SipParseError):
        _ = request.top_via


def test_contact_star_is_no_contact() -> None:
    request = invite(("Contact", "*"), method="REGISTER")
    assert request.contact is None
    assert request.contacts == []


def test_an_edit_of_the_headers_shows_at_once() -> None:
    request = invite(("Route", "<sip:r1;lr>"), ("Contact", "<sip:a@h>"))
    before = (request.to, request.cseq, request.route, request.contact)
    assert None not in before
    request.headers.set("To", str(request.to.with_tag("2")))
    request.headers.set("CSeq", "8 INVITE")
    request.headers.remove("Route")
    request.headers.prepend("m", "<sip:b@h>")
    assert request.to.tag == "2"
    assert request.cseq.number == 8
    assert request.route == []
    assert request.contact == parse_name_addr("<sip:b@h>")


def test_a_list_may_be_changed_by_who_asked_for_it() -> None:
    request = invite(("Route", "<sip:r1;lr>"))
    request.route.clear()
    request.top_via.params.clear()
    assert len(request.route) == 1
    assert request.top_via.branch == "z9hG4bKa"


def test_a_request_on_the_wire() -> None:
    request = Request(
        "MESSAGE",
        parse_uri("sip:bob@example.com"),
        Headers([("l", "99"), ("t", "<sip:b@h>"), ("Subject", "Mäkelä")]),
        b"moi",
    )
    assert request.to_bytes() == (
        b"MESSAGE sip:bob@example.com SIP/2.0\r\n"
        b"To: <sip:b@h>\r\n"
        b"Subject: M\xc3\xa4kel\xc3\xa4\r\n"
        b"Content-Length: 3\r\n\r\nmoi"
    )


def test_a_response_on_the_wire() -> None:
    assert Response(200, "OK").to_bytes() == (
        b"SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"
    )


@pytest.mark.parametrize(
    "message",
    [
        Request("IN VITE", parse_uri("sip:h")),
        Request("INVITE\r\nEvil: 1", parse_uri("sip:h")),
        Request("INVITE", parse_uri("sip:h").with_(host="h SIP/2.0")),
        Request("INVITE", parse_uri("sip:h").with_(host="h\tx")),
        Request("INVITE", parse_uri("sip:h").with_(host="h\r\nEvil:1")),
        Response(200, "OK\r\nEvil: 1"),
        Response(200, "OK\n"),
        Response(200, "OK\0"),
        Response(200, "OK", Headers([("Subject", "\ud800")])),
    ],
)
def test_what_must_not_be_sent(message: Message) -> None:
    with pytest.raises(LocalSipError):
        message.to_bytes()


def test_a_bare_message_has_no_start_line() -> None:
    with pytest.raises(NotImplementedError):
        Message().start_line()


def test_copies_are_their_own() -> None:
    request = invite()
    for message in (request, response_to(request, 200)):
        copy = message.copy()
        assert copy == message
        copy.headers.add("X-More", "1")
        assert copy != message


def test_no_number_and_no_name_is_in_the_repr() -> None:
    request = invite()
    request.body = b"12"
    assert repr(request) == "Request(INVITE, 2 octets of body)"
    assert repr(response_to(request, 486)) == "Response(486, 0 octets of body)"


def test_response_to() -> None:
    request = invite(("Record-Route", "<sip:r1;lr>"), ("Timestamp", "5"))
    response = response_to(
        request,
        200,
        to_tag="2",
        headers=[("Server", "x")],
        body=b"v=0\r\n",
        content_type="application/sdp",
    )
    assert (response.status, response.reason) == (200, "OK")
    assert list(response.headers) == [
        ("Via", "SIP/2.0/UDP a.example.com;branch=z9hG4bKa, SIP/2.0/TCP b"),
        ("Via", "SIP/2.0/TLS c;branch=z9hG4bKc"),
        ("From", '"Alice" <sip:alice@example.com>;tag=1'),
        ("To", "<sip:bob@example.com>;tag=2"),
        ("Call-ID", "x@a"),
        ("CSeq", "7 INVITE"),
        ("Record-Route", "<sip:r1;lr>"),
        ("Server", "x"),
        ("Content-Type", "application/sdp"),
    ]
    assert response.body == b"v=0\r\n"


@pytest.mark.parametrize(
    ("status", "method", "copied"),
    [
        (100, "INVITE", False),
        (101, "INVITE", True),
        (299, "SUBSCRIBE", True),
        (300, "INVITE", False),
        (486, "INVITE", False),
        (200, "OPTIONS", False),
    ],
)
def test_record_route_is_copied_where_a_dialog_may_begin(
    *, status: int, method: str, copied: bool
) -> None:
    request = invite(("Record-Route", "<sip:r1;lr>"), method=method)
    assert ("Record-Route" in response_to(request, status).headers) is copied


@pytest.mark.parametrize(("status", "copied"), [(100, True), (180, False)])
def test_timestamp_is_copied_into_a_100(*, status: int, copied: bool) -> None:
    request = invite(("Timestamp", "54"))
    assert ("Timestamp" in response_to(request, status).headers) is copied


def test_a_100_without_timestamp() -> None:
    assert "Timestamp" not in response_to(invite(), 100).headers


@pytest.mark.parametrize(
    ("to", "answered"),
    [
        ("<sip:b@h>;tag=1", "<sip:b@h>;tag=1"),
        ("sip:b@h;x=1", "sip:b@h;x=1;tag=2"),
        ('"b <sip:b@h>', '"b <sip:b@h>'),
    ],
)
def test_the_tag_of_a_response(to: str, answered: str) -> None:
    request = invite()
    request.headers.set("To", to)
    assert response_to(request, 404, to_tag="2").headers.get("To") == answered
    assert response_to(request, 404).headers.get("To") == to


def test_a_response_to_what_is_barely_a_request() -> None:
    bare = Request("OPTIONS", parse_uri("sip:h"))
    response = response_to(bare, 400, "Odd")
    assert len(response.headers) == 0
    assert response.reason == "Odd"


def test_reasons() -> None:
    assert response_to(invite(), 491).reason == "Request Pending"
    assert response_to(invite(), 499).reason == "Unknown"
    assert all(100 <= status < 700 for status in REASONS)


def test_a_response_is_no_place_to_inject_headers() -> None:
    with pytest.raises(LocalSipError):
        response_to(invite(), 403, headers=[("Reason", "x\r\nContact: <sip:evil>")])
