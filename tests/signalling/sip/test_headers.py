import pytest
from hypothesis import given, strategies as st

from agent.signalling.sip.errors import LocalSipError, SipParseError
from agent.signalling.sip.headers import (
    COMPACT,
    MAX_CSEQ,
    MAX_DELTA_SECONDS,
    CSeq,
    Headers,
    Via,
    header_key,
    parse_cseq,
    parse_delta_seconds,
    parse_max_forwards,
    parse_via,
    parse_via_list,
)


def lines(headers: Headers) -> list[tuple[str, str]]:
    return list(headers)


def test_names_in_any_spelling() -> None:
    headers = Headers([("v", "1"), ("VIA", "2"), ("i", "3"), ("cSEQ", "4")])
    assert lines(headers) == [
        ("Via", "1"),
        ("Via", "2"),
        ("Call-ID", "3"),
        ("CSeq", "4"),
    ]
    assert headers.get("V") == headers.get("via") == "1"
    assert headers.get_all("Via") == ["1", "2"]
    assert "call-id" in headers
    assert "Route" not in headers
    assert headers.get("Route") is None
    assert len(headers) == 4


def test_every_compact_form_has_a_canonical_name() -> None:
    for short, key in COMPACT.items():
        headers = Headers([(short, "x")])
        assert header_key(short.upper()) == key
        assert lines(headers)[0][0].lower() == key
        assert lines(headers)[0][0][0].isupper()


def test_an_unknown_name_stays_as_it_was_given() -> None:
    headers = Headers([("x-PBX-Thing", "1")])
    assert lines(headers) == [("x-PBX-Thing", "1")]
    assert headers.get("X-pbx-thing") == "1"


def test_received_lines_are_known_by_their_key() -> None:
    headers = Headers()
    for line in ("v: 1", "X-PBX \t:1", "m:\t<sip:h> ", "Via:2", "subject: x"):
        headers.add_received(line, once={"subject"})
    for line in ("two words: 1", "\u212a: 1", "Via", "nothing", ": 1", "s: y"):
        with pytest.raises(SipParseError):
            headers.add_received(line, once={"subject"})
    assert lines(headers) == [
        ("Via", "1"),
        ("X-PBX", "1"),
        ("Contact", "<sip:h>"),
        ("Via", "2"),
        ("Subject", "x"),
    ]
    assert headers.get_all("Via") == ["1", "2"]


def test_what_is_asked_for_is_what_the_lines_say() -> None:
    """Every change of the lines shows in every way to ask for them."""
    headers = Headers([("Via", "a, b"), ("To", "1"), ("v", "c")])
    changes = (
        lambda: headers.prepend("Via", "d"),
        lambda: headers.remove_first("Via"),
        lambda: headers.remove_first("Via"),
        lambda: headers.add("Via", "e"),
        lambda: headers.set("to", "2"),
        lambda: headers.set("From", "3"),
        lambda: headers.add_from(Headers([("To", "4"), ("To", "5")]), "t"),
        lambda: headers.add_from(Headers(), "To"),
        lambda: headers.remove("Via"),
        lambda: headers.remove("Via"),
        lambda: headers.remove_first("Via"),
        lambda: headers.remove_first("From"),
    )
    for change in changes:
        change()
        for copy in (headers, headers.copy()):
            for name in ("Via", "To", "From"):
                values = [value for key, value in lines(copy) if key == name]
                assert copy.get_all(name) == values
                assert copy.get(name) == next(iter(values), None)
                assert (name in copy) == bool(values)


def test_lines_taken_from_another_message_replace_what_is_remembered() -> None:
    source = Headers([("Via", "1"), ("To", "x"), ("Via", "2")])
    headers = Headers()
    assert headers.memo("via", lambda h: tuple(h.get_all("Via"))) == ()
    headers.add_from(source, "Via")
    assert lines(headers) == [("Via", "1"), ("Via", "2")]
    assert headers.known("via") is None


def test_split_looks_at_all_lines() -> None:
    headers = Headers([("Allow", "INVITE, ACK"), ("Allow", ""), ("Allow", "BYE")])
    assert headers.split("allow") == ["INVITE", "ACK", "BYE"]
    headers.add("Contact", '<sip:a@h>, "b')
    with pytest.raises(SipParseError):
        headers.split("Contact")


def test_set_replaces_all_at_the_place_of_the_first() -> None:
    headers = Headers([("P", "1"), ("Q", "2"), ("p", "3"), ("To", "4")])
    headers.set("p", "5")
    assert lines(headers) == [("p", "5"), ("Q", "2"), ("To", "4")]
    headers.set("to", "7")
    headers.set("From", "6")
    assert lines(headers)[2:] == [("To", "7"), ("From", "6")]


def test_prepend_and_remove() -> None:
    headers = Headers([("Via", "1"), ("To", "2"), ("Via", "3")])
    headers.prepend("v", "0")
    assert headers.get_all("Via") == ["0", "1", "3"]
    headers.remove("VIA")
    assert lines(headers) == [("To", "2")]
    headers.remove("Via")
    assert len(headers) == 1


def test_remove_first_takes_one_element() -> None:
    headers = Headers([("Route", '<sip:a;x>, "b,c" <sip:b>'), ("Route", "<sip:c>")])
    headers.remove_first("Route")
    assert headers.get_all("Route") == ['"b,c" <sip:b>', "<sip:c>"]
    headers.remove_first("route")
    headers.remove_first("route")
    assert len(headers) == 0
    headers.add("To", "1")
    headers.remove_first("Route")
    assert len(headers) == 1


def test_a_copy_is_its_own() -> None:
    headers = Headers([("To", "1")])
    copy = headers.copy()
    assert copy == headers
    copy.set("To", "2")
    assert headers.get("To") == "1"
    assert copy != headers
    assert headers != [("To", "1")]


def test_equality_knows_names_not_spellings() -> None:
    assert Headers([("x-A", "1")]) == Headers([("X-a", "1")])
    assert Headers([("To", "1")]) != Headers([("From", "1")])


def test_values_are_not_in_the_repr() -> None:
    assert repr(Headers([("f", "secret"), ("To", "secret")])) == "Headers(From, To)"


@pytest.mark.parametrize(
    "change",
    [
        lambda headers: headers.set("To", "2"),
        lambda headers: (headers.remove("To"), headers.add("t", "2")),
        lambda headers: headers.prepend("TO", "2"),
        lambda headers: (headers.remove_first("To"), headers.add("To", "2")),
    ],
)
def test_a_memo_lives_until_the_header_changes(change: object) -> None:
    headers = Headers([("To", "1")])

    def value() -> str | None:
        return headers.memo("to", lambda h: h.get("To"))

    assert value() == "1"
    headers.add("From", "x")
    assert headers.memo("to", lambda _: "again") == "1"
    copy = headers.copy()
    change(headers)  # type: ignore[operator]
    assert value() == "2"
    assert copy.memo("to", lambda _: "again") == "1"


@pytest.mark.parametrize("value", ["a\r\nEvil: 1", "a\n", "\r", "a\0b"])
@pytest.mark.parametrize("method", ["add", "prepend", "set"])
def test_a_value_cannot_begin_another_line(method: str, value: str) -> None:
    headers = Headers([("To", "1")])
    for name in ("To", "X-New"):
        with pytest.raises(LocalSipError):
            getattr(headers, method)(name, value)
    assert lines(headers) == [("To", "1")]


@pytest.mark.parametrize("name", ["", "A B", "A:", "A\r\nB", "Ä"])
def test_a_name_must_be_a_token(name: str) -> None:
    with pytest.raises(LocalSipError):
        Headers([(name, "1")])


def test_every_part_of_a_via() -> None:
    via = parse_via(
        "sip / 2.0\t/ udp [2001:db8::1] : 5060 ; Branch=z9hG4bKx ;rport;ttl=1"
    )
    assert via == Via(
        "UDP", "2001:db8::1", 5060, {"branch": "z9hG4bKx", "rport": None, "ttl": "1"}
    )
    assert str(via) == "SIP/2.0/UDP [2001:db8::1]:5060;branch=z9hG4bKx;rport;ttl=1"
    assert parse_via(str(via)) == via
    assert (via.branch, via.received, via.rport) == ("z9hG4bKx", None, None)


def test_a_via_filled_in_by_the_server() -> None:
    via = parse_via("SIP/2.0/TLS h;received=[2001:db8::2];rport=5061")
    assert (via.branch, via.received, via.rport) == (None, "2001:db8::2", 5061)
    assert parse_via("SIP/2.0/TLS h;received=192.0.2.1").received == "192.0.2.1"


def test_the_version_of_a_via_is_kept() -> None:
    assert str(parse_via("SIP/7.0/UDP h")) == "SIP/7.0/UDP h"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "SIP/2.0/UDP",
        "SIP/2.0/UDP ",
        "SIP/2.0 UDP h",
        "HTTP/1.1/TCP h",
        "SIP/2/UDP h",
        "SIP/2.0/UDP h:0",
        "SIP/2.0/UDP h:x",
        "SIP/2.0/UDP h:123456",
        "SIP/2.0/UDP 2001:db8::1",
        "SIP/2.0/UDP [2001:db8::1",
        "SIP/2.0/UDP h;;branch=1",
        "SIP/2.0/UDP h;branch=1;Branch=2",
        "SIP/2.0/UDP h;rport=70000",
        "SIP/2.0/UDP h;rport=x",
        "SIP/2.0/UDP h h",
    ],
)
def test_malformed_vias(text: str) -> None:
    with pytest.raises(SipParseError):
        parse_via(text)


def test_via_twice_the_same_valueless_parameter_is_still_twice() -> None:
    with pytest.raises(SipParseError):
        parse_via("SIP/2.0/UDP h;rport;rport")


def test_via_list() -> None:
    hosts = [via.host for via in parse_via_list("SIP/2.0/UDP a,SIP/2.0/UDP b")]
    assert hosts == ["a", "b"]
    with pytest.raises(SipParseError):
        parse_via_list("SIP/2.0/UDP a,")


def test_cseq() -> None:
    assert parse_cseq("0009 \tINVITE") == CSeq(9, "INVITE")
    assert str(CSeq(9, "INVITE")) == "9 INVITE"
    assert parse_cseq(f"{MAX_CSEQ} ACK").number == MAX_CSEQ


@pytest.mark.parametrize(
    "text", ["", "1", "INVITE", "1INVITE", "-1 ACK", f"{MAX_CSEQ + 1} ACK", "1 A B"]
)
def test_malformed_cseq(text: str) -> None:
    with pytest.raises(SipParseError):
        parse_cseq(text)


def test_max_forwards() -> None:
    assert parse_max_forwards("0068") == 68
    for text in ("256", "-1", ""):
        with pytest.raises(SipParseError):
            parse_max_forwards(text)


def test_delta_seconds() -> None:
    assert parse_delta_seconds("1800 ;refresher=uac") == 1800
    assert parse_delta_seconds("99999999999999") == MAX_DELTA_SECONDS
    with pytest.raises(SipParseError):
        parse_delta_seconds("soon")


@given(st.text(max_size=60))
def test_garbage_is_parsed_or_refused(text: str) -> None:
    for parse in (parse_via_list, parse_cseq, parse_max_forwards, parse_delta_seconds):
        try:
            parse(text)  # type: ignore[operator]
        except SipParseError:
            continue
