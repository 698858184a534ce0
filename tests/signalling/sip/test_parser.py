import pytest
from hypothesis import given, settings, strategies as st

from agent.signalling.sip.errors import SipParseError
from agent.signalling.sip.headers import CSeq, Headers, Via
from agent.signalling.sip.message import Request, Response, response_to
from agent.signalling.sip.parser import (
    MAX_BODY,
    MAX_ELEMENTS,
    MAX_HEADER_COUNT,
    MAX_HEADER_LENGTH,
    MAX_MESSAGE,
    MAX_METHOD,
    parse_head,
    parse_message,
)
from agent.signalling.sip.uri import MAX_URI, NameAddr, Uri, parse_uri

BASE = {
    "Via": "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa",
    "Max-Forwards": "70",
    "From": '"Alice" <sip:alice@example.com>;tag=1',
    "To": "<sip:bob@example.com>",
    "Call-ID": "x@192.0.2.1",
    "CSeq": "1 INVITE",
    "Contact": "<sip:alice@192.0.2.1>",
    "Content-Type": "application/sdp",
}
SDP = b"v=0\r\n\r\ns=-\r\n"


def wire(
    *more: str,
    start: str = "INVITE sip:bob@example.com SIP/2.0",
    body: bytes = b"",
    **changes: str | None,
) -> bytes:
    """A message; `changes` replace headers, underscores for dashes, or drop them."""
    headers = dict(BASE)
    for key, value in changes.items():
        name = key.replace("_", "-")
        if value is None:
            del headers[name]
        else:
            headers[name] = value
    lines = [start, *(f"{name}: {value}" for name, value in headers.items()), *more]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def refused(data: bytes, *, stream: bool = False) -> SipParseError:
    with pytest.raises(SipParseError) as caught:
        parse_message(data, stream=stream)
    return caught.value


def read_all(message: Request | Response) -> None:
    """Read every typed property; none may raise."""
    _ = (
        message.vias,
        message.top_via.rport,
        message.from_.tag,
        message.to.tag,
        message.call_id,
        message.cseq,
        message.contact,
        message.contacts,
        message.max_forwards,
        message.route,
        message.record_route,
        message.require,
        message.supported,
        message.content_type,
    )


def test_a_request() -> None:
    request = parse_message(wire(f"Content-Length: {len(SDP)}", body=SDP))
    assert isinstance(request, Request)
    assert request.method == "INVITE"
    assert request.uri == parse_uri("sip:bob@example.com")
    assert request.body == SDP
    assert dict(request.headers) == BASE | {"Content-Length": str(len(SDP))}
    assert parse_message(request.to_bytes()) == request


def test_a_response() -> None:
    response = parse_message(wire(start="sip/2.0 180  Soittaa "))
    assert isinstance(response, Response)
    assert (response.status, response.reason) == (180, "Soittaa")


@pytest.mark.parametrize("start", ["SIP/2.0 486 ", "SIP/2.0 486"])
def test_a_response_without_reason(start: str) -> None:
    response = parse_message(wire(start=start))
    assert isinstance(response, Response)
    assert response.reason == ""


def test_folding_and_white_space_and_compact_forms() -> None:
    request = parse_message(
        b"\r\n\r\nBYE sip:b@h SIP/2.0\r\n"
        b"v:SIP/2.0/UDP h\r\n \t;branch=z9hG4bKa\r\n"
        b"F \t: \r\n <sip:a@h>;tag=1  \r\n"
        b"t:<sip:b@h>;tag=2\r\nI: 1\r\ncseq: 2\r\n BYE\r\n\r\n"
    )
    assert list(request.headers) == [
        ("Via", "SIP/2.0/UDP h ;branch=z9hG4bKa"),
        ("From", "<sip:a@h>;tag=1"),
        ("To", "<sip:b@h>;tag=2"),
        ("Call-ID", "1"),
        ("CSeq", "2 BYE"),
    ]


def test_a_head_in_latin_1() -> None:
    data = wire(From='"Mäkinen" <sip:a@h>;tag=1').decode().encode("latin-1")
    request = parse_message(data)
    assert request.from_.display == "Mäkinen"
    assert "Mäkinen".encode() in request.to_bytes()


# Bodies: RFC 3261 section 18.3.


def test_a_datagram_without_content_length_reaches_to_its_end() -> None:
    assert parse_message(wire(body=SDP)).body == SDP


def test_the_excess_of_a_datagram_is_dropped() -> None:
    assert parse_message(wire("Content-Length: 3", body=SDP)).body == b"v=0"


def test_a_datagram_that_is_too_short_is_answered() -> None:
    error = refused(wire("Content-Length: 99", body=SDP))
    assert (error.status, error.silent) == (400, False)


@pytest.mark.parametrize("length", ["-1", "x", "", "1 2", "9" * 30])
def test_a_content_length_that_is_none(length: str) -> None:
    assert not refused(wire(f"Content-Length: {length}")).silent


def test_from_a_stream_the_length_is_exact() -> None:
    assert parse_message(wire("l: 3", body=b"abc"), stream=True).body == b"abc"
    for more, body in (([], b""), (["l: 3"], b"abcd"), (["l: 3"], b"ab")):
        assert refused(wire(*more, body=body), stream=True).status == 400


def test_a_body_that_is_announced_too_large() -> None:
    assert refused(wire(f"l: {MAX_BODY + 1}")).status == 513


def test_the_head_alone() -> None:
    data = wire("l: 5", body=b"ab")
    message, start = parse_head(data)
    assert data[start:] == b"ab"
    assert message.body == b""


# Limits.


def test_a_message_that_is_too_large() -> None:
    fill = MAX_MESSAGE - len(wire())
    assert len(parse_message(wire(body=b"x" * fill)).body) == fill
    assert refused(wire(body=b"x" * (fill + 1))).status == 513


def test_too_many_headers() -> None:
    fits = ["Z: 1"] * (MAX_HEADER_COUNT - len(BASE))
    assert len(parse_message(wire(*fits)).headers) == MAX_HEADER_COUNT
    error = refused(wire(*fits, "Z: 1"))
    assert (error.status, error.silent) == (513, True)


def test_a_header_that_is_too_long() -> None:
    fits = "Z: " + "x" * (MAX_HEADER_LENGTH - 3)
    parse_message(wire(fits))
    error = refused(wire(fits + "x"))
    assert (error.status, error.silent) == (513, False)


def test_a_method_that_is_too_long() -> None:
    method = "M" * MAX_METHOD
    parse_message(wire(start=f"{method} sip:h SIP/2.0", CSeq=f"1 {method}"))
    method += "M"
    assert refused(wire(start=f"{method} sip:h SIP/2.0", CSeq=f"1 {method}")).silent


def test_a_request_uri_that_is_too_long() -> None:
    error = refused(wire(start=f"INVITE sip:{'h' * MAX_URI} SIP/2.0"))
    assert (error.status, error.silent) == (414, False)


@pytest.mark.parametrize("name", ["Via", "Contact", "Route", "Record-Route"])
def test_lists_that_are_too_long(name: str) -> None:
    element = "SIP/2.0/UDP h" if name == "Via" else "<sip:h>"
    values = {name.replace("-", "_"): ",".join([element] * MAX_ELEMENTS)}
    parse_message(wire(**values))
    assert refused(wire(f"{name}: {element}", **values)).status == 400


# What is refused, and what can be answered.


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n",
        b"\r\n\r\n",
        b"\0\1\0\0\x21\x12\xa4\x42" + bytes(12),  # STUN
        b"\x16\xfe\xff" + bytes(20),  # DTLS
        b"\xff\r\n\r\n",
        b"jaK",
        wire().replace(b"\r\n", b"\n"),
        wire("X: a\nb"),
        wire("X: a\rb"),
        wire("X: a\0b"),
        b"GET / HTTP/1.1\r\n\r\n",
        b"INVITE\r\n\r\n",
        b"a:b c d\r\n\r\n",
        b" \r\n\r\n",
    ],
)
def test_what_gets_no_answer(data: bytes) -> None:
    assert refused(data).silent


@pytest.mark.parametrize(
    ("start", "status"),
    [
        ("INVITE sip:h SIP/3.0", 505),
        ("INVITE sip:h sip/10.1", 505),
        ("INVITE sip:h HTTP/1.1", 400),
        ("INVITE sip:h SIP/2.0 ", 400),
        ("INVITE  sip:h SIP/2.0", 400),
        ("INVITE sip:a b@h SIP/2.0", 400),
        ("INVITE sip:h", 400),
        ("INVITE", 400),
        ("INVITE h SIP/2.0", 400),
        ("INVITE sip:h?Route=%3Csip:x%3E SIP/2.0", 400),
        ("invite sip:h SIP/2.0", 400),  # the CSeq names another method
    ],
)
def test_request_lines_that_are_refused(start: str, status: int) -> None:
    error = refused(wire(start=start))
    assert (error.status, error.silent) == (status, False)


@pytest.mark.parametrize(
    ("start", "status"),
    [
        ("SIP/3.0 200 OK", 505),
        ("SIP/2.0 099 No", 400),
        ("SIP/2.0 700 No", 400),
        ("SIP/2.0 20 No", 400),
        ("SIP/2.0 4294967301 No", 400),
        ("SIP/2.0", 400),
        ("SIP/2.0  200 OK", 400),
    ],
)
def test_status_lines_that_are_refused(start: str, status: int) -> None:
    error = refused(wire(start=start))
    assert (error.status, error.silent) == (status, True)


@pytest.mark.parametrize(
    "changes",
    [
        {"Max_Forwards": "256"},
        {"Max_Forwards": "x"},
        {"From": "<sip:a@h"},
        {"From": "<sip:a@h>;tag"},
        {"From": "<sip:a@h>;tag=1;TAG=2"},
        {"To": '"b <sip:b@h>'},
        {"To": '<sip:b@h>;tag=""'},
        {"CSeq": "1"},
        {"CSeq": "2147483648 INVITE"},
        {"CSeq": "1 BYE"},
        {"Contact": "sip:a@h?x=1"},
        {"Contact": "*, *"},
        {"Route": "<sip:h>,"},
        {"Record_Route": "h"},
        {"Via": "SIP/2.0/UDP h;branch=z9hG4bK"},
        {"Via": "SIP/2.0/UDP h,"},
    ],
)
def test_headers_that_are_refused_with_400(changes: dict[str, str]) -> None:
    error = refused(wire(**changes))
    assert (error.status, error.silent) == (400, False)


@pytest.mark.parametrize(
    "line", ["no colon", ": no name", "a b: c", "ä: b", "a\x01: b"]
)
def test_header_lines_that_are_refused_with_400(line: str) -> None:
    error = refused(wire(line, line))
    assert (error.status, error.silent) == (400, False)


@pytest.mark.parametrize(
    "line", ["f: <sip:x@h>", "To: <sip:x@h>", "CSEQ: 1 INVITE", "i: 2", "c: a/b"]
)
def test_headers_that_must_not_come_twice(line: str) -> None:
    error = refused(wire(line, line))
    assert (error.status, error.silent) == (400, False)
    assert error.partial is not None
    assert error.partial.call_id == BASE["Call-ID"]


@pytest.mark.parametrize("name", ["Via", "From", "To", "Call_ID", "CSeq"])
@pytest.mark.parametrize("value", [None, ""])
def test_what_is_missing_for_an_answer(name: str, value: str | None) -> None:
    error = refused(wire(**{name: value}))
    assert (error.status, error.silent) == (400, True)


def test_max_forwards_may_be_absent() -> None:
    assert parse_message(wire(Max_Forwards=None)).max_forwards is None


def test_without_a_usable_via_there_is_nowhere_to_answer_to() -> None:
    assert refused(wire(Via="SIP/2.0/UDP h;;")).silent


def test_an_ack_and_a_response_are_never_answered() -> None:
    assert refused(wire(start="ACK sip:h SIP/2.0", CSeq="1 BYE")).silent
    assert refused(wire(start="SIP/2.0 200 OK", CSeq="x")).silent


def test_a_head_without_end_is_answered() -> None:
    for cut in (2, 4):
        error = refused(wire()[:-cut])
        assert (error.status, error.silent) == (400, False)


def test_the_answer_to_a_broken_request() -> None:
    error = refused(wire(start="INVITE sip:h SIP/3.0", Via="SIP/3.0/UDP h;branch=x"))
    assert error.partial is not None
    assert response_to(error.partial, error.status, to_tag="2").to_bytes() == (
        b"SIP/2.0 505 Version Not Supported\r\n"
        b"Via: SIP/3.0/UDP h;branch=x\r\n"
        b'From: "Alice" <sip:alice@example.com>;tag=1\r\n'
        b"To: <sip:bob@example.com>;tag=2\r\n"
        b"Call-ID: x@192.0.2.1\r\n"
        b"CSeq: 1 INVITE\r\n"
        b"Content-Length: 0\r\n\r\n"
    )


# Whatever arrives: a message, or the one error.


def parse_or_refuse(data: bytes) -> None:
    try:
        message = parse_message(data)
    except SipParseError as error:
        if error.partial is not None:
            response_to(error.partial, error.status, to_tag="t").to_bytes()
        return
    read_all(message)
    again = parse_message(message.to_bytes())
    read_all(again)
    assert again.to_bytes() == message.to_bytes()
    if isinstance(message, Request):
        parse_message(response_to(message, 200, to_tag="t").to_bytes())


RICH = wire(
    "Record-Route: <sip:192.0.2.9;lr>, <sip:[2001:db8::1]:5060;lr>",
    "Route: <sip:192.0.2.9;lr>",
    "Supported: timer, replaces",
    "Expires: 120",
    "Content-Length: 5",
    From='"Alice \\" A" <sip:al%69ce:pw@example.com;user=phone?a=b>;tag=1;x="y"',
    Via="SIP/2.0/UDP 192.0.2.1:5060;rport;branch=z9hG4bKa,SIP/2.0/TCP h;received=::1",
    body=b"v=0\r\n",
)


def test_every_octet_replaced_and_every_cut() -> None:
    for position in range(len(RICH)):
        parse_or_refuse(RICH[:position])
        for octet in b'\0\t\r\n ",;:<>@%?=*Z9\xe4':
            parse_or_refuse(RICH[:position] + bytes([octet]) + RICH[position + 1 :])


@given(st.binary(max_size=300))
def test_garbage(data: bytes) -> None:
    parse_or_refuse(data)
    parse_or_refuse(wire()[:-2] + data)


@given(
    st.lists(st.sampled_from(RICH.split(b"\r\n")), max_size=14), st.binary(max_size=8)
)
def test_lines_in_any_order(lines: list[bytes], garbage: bytes) -> None:
    parse_or_refuse(
        b"\r\n".join([RICH.split(b"\r\n")[0], *lines, garbage]) + b"\r\n\r\n"
    )


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.integers(0, len(RICH) - 1), st.integers(0, 255)), max_size=6)
)
def test_some_octets_replaced(changes: list[tuple[int, int]]) -> None:
    data = bytearray(RICH)
    for position, octet in changes:
        data[position] = octet
    parse_or_refuse(bytes(data))


TEXT = st.text(
    st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), max_size=12
)
TOKENS = st.from_regex(r"[A-Za-z0-9.!%*_+`'~-]{1,8}", fullmatch=True)
PARTIES = st.builds(
    NameAddr,
    TEXT.map(lambda text: text or None),
    st.builds(
        Uri, st.just("sip"), TEXT.filter(bool), st.just("h"), st.none() | st.just(5060)
    ),
    TOKENS.map(lambda tag: (("tag", tag),)),
)


@given(
    TOKENS, st.tuples(PARTIES, PARTIES), st.integers(0, 2**31 - 1), TEXT, st.binary()
)
def test_what_is_written_is_read_the_same(
    method: str,
    parties: tuple[NameAddr, NameAddr],
    number: int,
    subject: str,
    body: bytes,
) -> None:
    from_, to = parties
    request = Request(
        method,
        to.uri,
        Headers(
            [
                ("Via", str(Via("UDP", "h", 5060, {"branch": "z9hG4bK1"}))),
                ("From", str(from_)),
                ("To", str(to)),
                ("Call-ID", "x@h"),
                ("CSeq", str(CSeq(number, method))),
                ("Subject", subject.strip(" \t")),
                ("Content-Length", str(len(body))),
            ]
        ),
        body,
    )
    parsed = parse_message(request.to_bytes())
    assert parsed == request
    assert (parsed.from_, parsed.to) == (from_, to)
    assert parsed.cseq == CSeq(number, method)


@pytest.mark.parametrize(
    "filler",
    [
        "Z:" + " " * 60000 + "\r\n y",
        "Z: " + "\r\n " * 20000,
        "Contact: " + "<sip:a>," * 1000,
        "Contact: <sip:a>" + ";a" * 4000,
        "Contact: " + '"' * 8000,
        'Contact: ,"' + "\\" * 8000,
        "Contact: " + "<" * 8000,
        "Contact: ," + "<" * 8000,
        "Route: <sip:" + "%" * 8000,
        "From: " + "a " * 4000,
        "Via: " + "SIP/" * 2000,
        "CSeq: " + "9" * 8000,
        "Max-Forwards: " + "9" * 8000,
    ],
)
def test_what_would_be_slow_is_refused_or_linear(filler: str) -> None:
    # Something quadratic takes minutes here; the runner's own limit ends it.
    parse_or_refuse(wire(filler))
