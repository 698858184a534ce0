import pytest

from agent.model.media import Address
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.headers import Headers
from agent.signalling.sip.inspection import (
    Refusal,
    inspect_in_dialog,
    inspect_new,
    inspect_security,
)
from agent.signalling.sip.message import Request
from agent.signalling.sip.uri import parse_uri

ALLOW = ("Allow", "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE")
ACCEPT = ("Accept", "application/sdp, application/rs-metadata+xml")
SDP = (("Content-Type", "application/sdp"),)


def request(
    method: str = "INVITE",
    *headers: tuple[str, str],
    uri: str = "sip:201@192.0.2.1",
    to: str = "<sip:201@192.0.2.1>",
    contact: str = "<sip:peer@192.0.2.2>",
    body: bytes = b"",
) -> Request:
    lines = [("To", to), *headers]
    if contact:
        lines.append(("Contact", contact))
    return Request(method, parse_uri(uri), Headers(lines), body)


def new(message: Request, *, supported: frozenset[str] = frozenset()) -> Refusal | None:
    return inspect_new(message, allow=ALLOW, accept=ACCEPT, supported=supported)


def within(message: Request, *, supported: frozenset[str] = frozenset()) -> int | None:
    refusal = inspect_in_dialog(
        message, allow=ALLOW, accept=ACCEPT, supported=supported
    )
    return None if refusal is None else refusal.status


@pytest.mark.parametrize(
    "fine",
    [
        request(),
        request("INVITE", *SDP, body=b"v=0"),
        request("INVITE", *SDP, ("Content-Encoding", "Identity"), body=b"v=0"),
        request("INVITE", ("Max-Forwards", "1")),
        request(uri="tel:112"),
        request(uri="sips:201@192.0.2.1"),
        request("OPTIONS", contact=""),
        # Who asks about us is answered by us (RFC 3261 section 11.1).
        request("OPTIONS", ("Max-Forwards", "0")),
        request("OPTIONS", ("Content-Type", "text/plain"), body=b"x"),
    ],
)
def test_a_sane_request_is_taken(fine: Request) -> None:
    assert new(fine) is None


@pytest.mark.parametrize(
    ("broken", "status"),
    [
        (request(to="<sip:201@192.0.2.1>;tag=unknown"), 481),
        (request("BYE"), 481),
        (request("UPDATE"), 481),
        (request("INFO"), 481),
        (request("PRACK"), 481),
        (request("NOTIFY", ("Event", "keep-alive")), 481),
        (request("REFER", ("Refer-To", "<sip:202@192.0.2.1>")), 403),
        (request("SUBSCRIBE", ("Event", "Refer ;id=1")), 403),
        (request("INVITE", ("Max-Forwards", "0")), 483),
        (request(contact=""), 400),
        (request(contact="*"), 400),
        (request(uri="http://example.com"), 416),
        (request("OPTIONS", uri="urn:service:sos"), 416),
    ],
)
def test_what_is_not_is_refused(broken: Request, status: int) -> None:
    assert new(broken) == Refusal(status)


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
@pytest.mark.parametrize("scheme", ["sip", "sips", "tel"])
def test_sips_is_for_tls_only(transport: str, scheme: str) -> None:
    flow = Flow(transport, Address("192.0.2.1", 5060), Address("192.0.2.2", 5060))
    uri = "tel:112" if scheme == "tel" else f"{scheme}:201@192.0.2.1"
    refusal = inspect_security(request(uri=uri), flow)
    if scheme == "sips" and transport != "tls":
        warning = ("Warning", '380 192.0.2.1:5060 "SIPS Not Allowed"')
        assert refusal == Refusal(480, (warning,))
    else:
        assert refusal is None


@pytest.mark.parametrize("method", ["REGISTER", "PUBLISH", "MESSAGE"])
def test_a_known_method_is_not_allowed(method: str) -> None:
    assert new(request(method)) == Refusal(405, (ALLOW,))


@pytest.mark.parametrize("headers", [(), (("Event", "message-summary"),)])
def test_there_is_nothing_to_subscribe_to(headers: tuple[tuple[str, str], ...]) -> None:
    refusal = Refusal(489, (("Allow-Events", "refer"),))
    assert new(request("SUBSCRIBE", *headers)) == refusal


def test_only_an_invite_replaces() -> None:
    replaces = ("Replaces", "x;to-tag=1;from-tag=2")
    known = frozenset({"replaces"})
    assert new(request("OPTIONS", replaces), supported=known) == Refusal(400)
    assert new(request("OPTIONS", replaces)) is None
    assert new(request("INVITE", replaces), supported=known) is None
    assert within(request("INFO", replaces), supported=known) == 400


def test_an_unknown_method_is_not_implemented() -> None:
    assert new(request("NEWMETHOD")) == Refusal(501, (ALLOW,))


def test_what_is_required_must_be_supported() -> None:
    message = request("INVITE", ("Require", "100rel, timer"))
    assert new(message) == Refusal(420, (("Unsupported", "100rel, timer"),))
    timer = frozenset({"timer"})
    assert new(message, supported=timer) == Refusal(420, (("Unsupported", "100rel"),))
    assert new(message, supported=timer | {"100rel"}) is None


def test_a_body_must_be_a_plain_description() -> None:
    accept = Refusal(415, (ACCEPT,))
    assert new(request(body=b"v=0")) == accept
    assert new(request("INVITE", ("Content-Type", "text/plain"), body=b"x")) == accept
    packed = ("Content-Encoding", "gzip")
    assert new(request("INVITE", *SDP, packed, body=b"x")) == Refusal(
        415, (("Accept-Encoding", "identity"),)
    )


@pytest.mark.parametrize(
    ("message", "status"),
    [
        (request("BYE"), None),
        (request("INFO", ("Content-Type", "text/plain"), body=b"x"), None),
        (request("INVITE", *SDP, body=b"v=0"), None),
        (request("INVITE", contact=""), None),
        (request("UPDATE", body=b"v=0"), 415),
        (request("INVITE", ("Require", "x")), 420),
        (request("PRACK"), 405),
        (request("REFER"), 405),
        (request("NOTIFY"), 481),
        (request("INFO", ("Info-Package", "dtmf")), 469),
        (request("STRANGE"), 501),
    ],
)
def test_within_a_dialog(message: Request, status: int | None) -> None:
    assert within(message) == status
