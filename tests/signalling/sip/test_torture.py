"""Other people's broken and odd messages, each with the verdict we stand by."""

import re
from dataclasses import dataclass
from typing import Final

import pytest

from agent.signalling.sip.errors import SipParseError
from agent.signalling.sip.message import Request, Response, response_to
from agent.signalling.sip.parser import parse_message
from tests.corpora import corpus


@dataclass(frozen=True)
class Accepted:
    """Parsed; what is wrong with the content is for others to answer."""

    what: str
    "The method or the status."
    why: str


@dataclass(frozen=True)
class Refused:
    """Answered with that status; None: dropped without an answer."""

    status: int | None
    why: str


Verdict = Accepted | Refused

RFC_4475: Final[dict[str, Verdict]] = {
    # 3.1.1 valid
    "wsinv": Accepted("INVITE", "white space and folds wherever they may be"),
    "intmeth": Refused(
        None,
        "valid, and refused all the same: a NUL in a quoted string serves no "
        "telephone, and cuts strings short in other people's software",
    ),
    "esc01": Accepted("INVITE", "escapes in URIs are undone"),
    "escnull": Accepted("REGISTER", "an escaped NUL is a character like others"),
    "esc02": Accepted("RE%47IST%45R", "a percent sign in a method escapes nothing"),
    "lwsdisp": Accepted("OPTIONS", "no blank is needed before the bracket"),
    "longreq": Accepted("INVITE", "long values are within the limits"),
    "dblreq": Accepted("REGISTER", "what follows the body in a datagram is dropped"),
    "semiuri": Accepted("OPTIONS", "semicolons in the user part are no parameters"),
    "transports": Accepted("OPTIONS", "other hops' transports do not concern us"),
    "mpart01": Accepted("MESSAGE", "a binary body"),
    "unreason": Accepted("200", "a reason phrase in UTF-8"),
    "noreason": Accepted("100", "an empty reason phrase"),
    # 3.1.2 invalid
    "badinv01": Refused(None, "extraneous separators in the only Via: no way back"),
    "clerr": Refused(400, "the body is shorter than its Content-Length"),
    "ncl": Refused(400, "a negative Content-Length"),
    "scalar02": Refused(400, "CSeq, Max-Forwards and Expires beyond their ranges"),
    "scalarlg": Refused(None, "a response with an impossible CSeq is dropped"),
    "quotbal": Refused(400, "the quote in To does not close"),
    "ltgtruri": Refused(400, "the Request-URI stands in angle brackets"),
    "lwsruri": Refused(400, "white space within the Request-URI"),
    "lwsstart": Refused(400, "two blanks between parts of the start line"),
    "trws": Refused(400, "a blank after the version"),
    "escruri": Refused(400, "headers in the Request-URI could smuggle a Route"),
    "baddate": Accepted("INVITE", "nobody here reads the Date"),
    "regbadct": Refused(400, "a Contact with headers but without brackets"),
    "badaspec": Refused(400, "blanks between bracket and URI"),
    "baddn": Refused(400, "the file has no empty line after its headers"),
    "badvers": Refused(505, "SIP/7.0"),
    "mismatch01": Refused(400, "the CSeq names another method"),
    "mismatch02": Refused(400, "the CSeq names another method"),
    "bigcode": Refused(None, "a response with status 4294967301 is dropped"),
    # 3.2 transaction layer
    "badbranch": Refused(400, "the magic cookie with nothing after it"),
    # 3.3 application layer
    "insuf": Refused(None, "without From, To and Call-ID nobody knows the answer"),
    "unkscm": Accepted("OPTIONS", "416 is the user agent's business"),
    "novelsc": Accepted("OPTIONS", "416 is the user agent's business"),
    "unksm2": Accepted("REGISTER", "any scheme may stand in To, From and Contact"),
    "bext01": Accepted("OPTIONS", "420 is the user agent's business"),
    "invut": Accepted("INVITE", "415 is the user agent's business"),
    "regaut01": Accepted("REGISTER", "unknown credentials are not read here"),
    "multi01": Refused(400, "several Call-ID, To, From, Max-Forwards"),
    "mcl01": Refused(400, "two Content-Lengths that differ"),
    "bcast": Accepted("200", "its first Via decides whose it is"),
    "zeromf": Accepted("OPTIONS", "483 is the user agent's business"),
    "cparam01": Accepted("REGISTER", "the parameter is the header's"),
    "cparam02": Accepted("REGISTER", "the parameter is the URI's"),
    "regescrt": Accepted("REGISTER", "headers are allowed in a Contact's URI"),
    "sdp01": Accepted("INVITE", "what to accept is the user agent's business"),
    # 3.4 backward compatibility
    "inv2543": Accepted("INVITE", "no branch, no From tag, no Max-Forwards"),
    # in the archive beside the 49
    "test": Refused(None, "no version, no Via, and a header without colon"),
}

RFC_5118: Final[dict[str, Verdict]] = {
    "ipv6-good": Accepted("REGISTER", "an IPv6 reference"),
    "ipv6-bad": Refused(400, "an IPv6 address without brackets"),
    "port-ambiguous": Accepted("REGISTER", "5070 belongs to the address"),
    "port-unambiguous": Accepted("REGISTER", "5070 is the port"),
    "via-received-param-with-delim": Accepted("BYE", "brackets in received"),
    "via-received-param-no-delim": Accepted("OPTIONS", "no brackets in received"),
    "ipv6-in-sdp": Accepted("INVITE", "IPv6 in the body"),
    "mult-ip-in-header": Accepted("BYE", "hops of both families"),
    "mult-ip-in-sdp": Accepted("INVITE", "media of both families"),
    "ipv4-mapped-ipv6": Accepted("INVITE", "an IPv4-mapped address"),
    "ipv6-bug-abnf-3-colons": Accepted("OPTIONS", "RFC 3261's own error, forgiven"),
    "ipv6-correct-abnf-2-colons": Accepted("OPTIONS", "as RFC 5954 corrected it"),
}


def judge(data: bytes) -> Accepted | Refused:
    try:
        message = parse_message(data)
    except SipParseError as error:
        if error.partial is not None:
            response_to(error.partial, error.status, to_tag="t").to_bytes()
        return Refused(None if error.silent else error.status, "")
    again = parse_message(message.to_bytes())
    assert again.to_bytes() == message.to_bytes()
    is_request = isinstance(message, Request)
    return Accepted(message.method if is_request else str(message.status), "")


def same(one: Verdict, other: Verdict) -> bool:
    if isinstance(one, Accepted) and isinstance(other, Accepted):
        return one.what == other.what
    if isinstance(one, Refused) and isinstance(other, Refused):
        return one.status == other.status
    return False


def torture(name: str) -> Request:
    message = parse_message((corpus("rfc4475") / f"{name}.dat").read_bytes())
    assert isinstance(message, Request)
    return message


def ipv6(name: str) -> bytes:
    """A message of RFC 5118 with the Content-Length its printed body has."""
    head, end, body = (
        (corpus("rfc5118") / f"{name}.dat").read_bytes().partition(b"\r\n\r\n")
    )
    length = b"Content-Length: %d" % len(body)
    return re.sub(rb"Content-Length: \d+", length, head) + end + body


@pytest.mark.parametrize("name", RFC_4475)
def test_rfc_4475(name: str) -> None:
    verdict = judge((corpus("rfc4475") / f"{name}.dat").read_bytes())
    assert same(verdict, RFC_4475[name]), verdict


@pytest.mark.parametrize("name", RFC_5118)
def test_rfc_5118(name: str) -> None:
    verdict = judge(ipv6(name))
    assert same(verdict, RFC_5118[name]), verdict


def test_no_message_is_left_out() -> None:
    assert {path.stem for path in corpus("rfc4475").iterdir()} == RFC_4475.keys()
    assert {path.stem for path in corpus("rfc5118").iterdir()} == RFC_5118.keys()


def test_wsinv_in_detail() -> None:
    request = torture("wsinv")
    assert request.to.tag == "1918181833n"
    assert request.from_.display == 'J Rosenberg \\"'
    assert request.max_forwards == 68
    assert str(request.cseq) == "9 INVITE"
    assert [(via.transport, via.host, via.branch) for via in request.vias] == [
        ("UDP", "192.0.2.2", "390skdjuw"),
        ("TCP", "spindle.example.com", "z9hG4bK9ikj8"),
        ("UDP", "192.168.255.111", "z9hG4bK30239"),
    ]
    assert [one.uri.host for one in request.route] == ["services.example.com"]
    assert len(request.body) == 150


def test_escapes_in_detail() -> None:
    request = torture("esc01")
    assert request.uri.user == "sips:user@example.com"
    assert request.uri.host == "example.net"
    assert request.to.uri.user == "user"
    assert request.from_.uri.user == "I have spaces"
    contact = request.contact
    assert contact is not None
    assert contact.uri.user == "caller"
    assert contact.uri.param("lr") == ""
    assert contact.uri.param("name") == "value%41"
    users = [one.uri.user for one in torture("escnull").contacts]
    assert users == ["\0", "\0\0"]


def test_where_parameters_belong_in_detail() -> None:
    header = torture("cparam01").contact
    uri = torture("cparam02").contact
    assert header is not None
    assert uri is not None
    assert header.param("unknownparam") == ""
    assert header.uri.param("unknownparam") is None
    assert uri.param("unknownparam") is None
    assert uri.uri.param("unknownparam") == ""
    assert torture("semiuri").uri.user == "user;par=u@example.net"


def test_a_display_name_that_is_not_tokens_is_taken() -> None:
    data = (corpus("rfc4475") / "baddn.dat").read_bytes() + b"\r\n"
    assert parse_message(data).from_.display == "Bell, Alexander"


def test_reasons_in_detail() -> None:
    for name, reason in (
        ("unreason", "= 2**3 * 5**2 но сто девяносто девять - простое"),
        ("noreason", ""),
    ):
        message = parse_message((corpus("rfc4475") / f"{name}.dat").read_bytes())
        assert isinstance(message, Response)
        assert message.reason == reason


def test_ipv6_in_detail() -> None:
    def host_and_port(name: str) -> tuple[str, int | None]:
        message = parse_message(ipv6(name))
        assert isinstance(message, Request)
        return message.uri.host, message.uri.port

    assert host_and_port("ipv6-good") == ("2001:db8::10", None)
    assert host_and_port("port-ambiguous") == ("2001:db8::10:5070", None)
    assert host_and_port("port-unambiguous") == ("2001:db8::10", 5070)
    assert host_and_port("ipv6-bug-abnf-3-colons") == ("2001:db8::192.0.2.1", None)
    for name in ("via-received-param-with-delim", "via-received-param-no-delim"):
        assert parse_message(ipv6(name)).top_via.received == "2001:db8::9:255"


def test_an_emergency_call_with_twenty_kilobytes_of_location() -> None:
    path = corpus("sip/phrsite") / "InviteAllAdditionalDataByValue1.sip"
    data = path.read_bytes().replace(b"\n", b"\r\n")
    assert same(judge(data), Accepted("INVITE", ""))
