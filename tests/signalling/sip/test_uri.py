import pytest
from hypothesis import given, strategies as st

from agent.signalling.sip.errors import SipParseError
from agent.signalling.sip.grammar import MAX_PARAMS
from agent.signalling.sip.uri import (
    MAX_URI,
    NameAddr,
    Uri,
    parse_name_addr,
    parse_name_addr_list,
    parse_uri,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
PARAMS = st.lists(st.tuples(TEXT, st.none() | TEXT), max_size=3).map(tuple)
URIS = st.builds(
    Uri,
    st.sampled_from(["sip", "sips"]),
    st.none() | TEXT,
    st.sampled_from(["example.com", "192.0.2.1", "2001:db8::1"]),
    st.none() | st.integers(1, 65535),
    PARAMS,
    st.lists(st.tuples(TEXT, TEXT), max_size=2).map(tuple),
)


def test_every_part_of_a_sip_uri() -> None:
    uri = parse_uri("SIP:al%69ce:pw@[2001:db8::1]:5061;Transport=tcp;lr?Subject=a%20b")
    assert uri == Uri(
        "sip",
        "alice",
        "2001:db8::1",
        5061,
        (("Transport", "tcp"), ("lr", None)),
        (("Subject", "a b"),),
        "pw",
    )
    assert uri.param("transport") == "tcp"
    assert uri.param("LR") == ""
    assert uri.param("maddr") is None


@pytest.mark.parametrize(
    "text",
    [
        "sip:example.com",
        "sip:al%69ce:pw@[2001:db8::1]:5061;transport=tcp;lr?Subject=a%20b",
        "sip:*21#@example.com",
        "tel:+358-9-(1234);phone-context=%2B358",
        "urn:service:sos",
        "soap.beep://192.0.2.103:3002",
    ],
)
def test_a_parsed_uri_is_written_as_it_came(text: str) -> None:
    uri = parse_uri(text)
    assert str(uri) == text
    assert parse_uri(str(uri.with_())) == uri


@given(URIS)
def test_what_is_written_is_read_the_same(uri: Uri) -> None:
    if len(str(uri)) <= MAX_URI:
        assert parse_uri(str(uri)) == uri.with_(password=None)
        assert " " not in str(uri)
        assert str(uri).isascii()


@pytest.mark.parametrize(
    ("uri", "text"),
    [
        (Uri("sip", "a b", "h"), "sip:a%20b@h"),
        (Uri("sip", "a@b", "h", None, (), (), "p:"), "sip:a%40b:p%3A@h"),
        (Uri("sip", "\ud800", "h"), "sip:?@h"),
        (Uri("sip", None, "2001:db8::1", 5060), "sip:[2001:db8::1]:5060"),
        (Uri("tel", "+358 9", "", params=(("ext", "1"),)), "tel:+358%209;ext=1"),
        (Uri("tel", None, ""), "tel:"),
        (Uri("urn", None, "", opaque="service:sos"), "urn:service:sos"),
    ],
)
def test_a_built_uri_is_escaped(uri: Uri, text: str) -> None:
    assert str(uri) == text


def test_an_escape_that_is_not_utf8_is_latin_1() -> None:
    assert parse_uri("sip:%E4@h").user == "ä"
    assert parse_uri("sip:%C3%A4@h").user == "ä"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sip",
        "sip:",
        "sip:@h",
        "sip:a@",
        "sip:a b@h",
        "sip:a@h b",
        "sip:a@b@c",
        "sip:a@h:",
        "sip:a@h:0",
        "sip:a@h:65536",
        "sip:a@h:123456",
        "sip:a@h;",
        "sip:a@h;;lr",
        "sip:a@h;=x",
        'sip:a@h;x="y"',
        "sip:a@h?",
        "sip:a@h?x",
        "sip:a@h?x=1&",
        "sip:%4@h",
        "sip:%zz@h",
        "sip:a<b@h",
        "sip:ä@h",
        "sip:2001:db8::1",
        "sip:[2001:db8::g]",
        "sip:[2001:db8]",
        "sip:\r\n@h",
        "1sip:a@h",
        "<sip:a@h>",
        "tel:",
        "tel:+",
        "tel:phone",
        "tel:1;;",
        "http:a b",
        "http:",
    ],
)
def test_malformed_uris(text: str) -> None:
    with pytest.raises(SipParseError) as caught:
        parse_uri(text)
    assert caught.value.status == 400


def test_a_uri_that_is_too_long() -> None:
    fits = "sip:" + "a" * (MAX_URI - 6) + "@h"
    assert str(parse_uri(fits)) == fits
    with pytest.raises(SipParseError) as caught:
        parse_uri(fits + "h")
    assert caught.value.status == 414
    with pytest.raises(SipParseError) as caught:
        parse_name_addr(f"<{fits}h>")
    assert caught.value.status == 400


def test_parameters_and_headers_are_bounded() -> None:
    assert len(parse_uri("sip:h" + ";a" * MAX_PARAMS).params) == MAX_PARAMS
    assert len(parse_uri("sip:h?a=b" + "&a=b" * (MAX_PARAMS - 1)).headers) == MAX_PARAMS
    for text in ("sip:h" + ";a" * (MAX_PARAMS + 1), "sip:h?a=b" + "&a=b" * MAX_PARAMS):
        with pytest.raises(SipParseError):
            parse_uri(text)


def test_changes_leave_the_wire_form_behind() -> None:
    uri = parse_uri("sip:%61@h;lr;Transport=tcp")
    assert str(uri.with_(port=5080)) == "sip:a@h:5080;lr;Transport=tcp"
    assert str(uri.with_param("transport", "udp")) == "sip:a@h;lr;transport=udp"
    assert str(uri.with_param("ob")) == "sip:a@h;lr;Transport=tcp;ob"
    assert str(uri.without_param("LR")) == "sip:a@h;Transport=tcp"
    assert uri.without_param("maddr") is uri


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            "sip:%61lice@atlanta.com;transport=TCP",
            "sip:alice@AtLanTa.CoM;Transport=tcp",
        ),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
        ("sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on"),
        (
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
        ),
        (
            "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
            "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
        ),
        ("tel:+358-9-(12).3", "tel:+3589123"),
        ("http://a/b", "HTTP://a/b"),
    ],
)
def test_uris_that_match(one: str, other: str) -> None:
    assert parse_uri(one).matches(parse_uri(other))
    assert parse_uri(other).matches(parse_uri(one))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
        ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
        ("sip:a@h", "sips:a@h"),
        ("sip:a@h;x=1", "sip:a@h;x=2"),
        ("tel:+3589123", "tel:+3589124"),
        ("tel:9123;phone-context=+358", "tel:9123"),
        ("http://a/b", "http://a/c"),
    ],
)
def test_uris_that_do_not_match(one: str, other: str) -> None:
    assert not parse_uri(one).matches(parse_uri(other))


def test_what_it_is_does_not_depend_on_how_it_was_written() -> None:
    escaped, plain = parse_uri("sip:%61@example.org"), parse_uri("sip:a@example.org")
    assert str(escaped) != str(plain)
    assert escaped == plain
    assert not escaped != plain  # noqa: SIM202 - both operators are ours
    assert len({escaped, plain}) == 1
    assert plain != "sip:a@example.org"


def test_the_user_is_not_in_the_repr() -> None:
    one = parse_name_addr('"Alice" <sip:alice:pw@example.com>;tag=1')
    assert repr(one) == "NameAddr(Uri(sip:…@example.com))"


@pytest.mark.parametrize(
    ("text", "display", "uri", "params"),
    [
        ("sip:a@h;tag=1", None, "sip:a@h", (("tag", "1"),)),
        ("sip:a@h ; tag=1", None, "sip:a@h", (("tag", "1"),)),
        (" <sip:a@h;lr> ;tag=1", None, "sip:a@h;lr", (("tag", "1"),)),
        ("caller<sip:a@h>", "caller", "sip:a@h", ()),
        ("Matti Mäkinen <sip:a@h>", "Matti Mäkinen", "sip:a@h", ()),
        ("Bell, Alexander <sip:a@h>", "Bell, Alexander", "sip:a@h", ()),
        (r'"J \"R\" \\" <sip:a@h>', r'J "R" ' + "\\", "sip:a@h", ()),
        ('"" <sip:a@h>', None, "sip:a@h", ()),
        (r"\"arik\" <sip:a@h>", "arik", "sip:a@h", ()),
        ('"<sip:x@y>" <sip:a@h>', "<sip:x@y>", "sip:a@h", ()),
        ("tel:+1;tag=1", None, "tel:+1", (("tag", "1"),)),
    ],
)
def test_name_addr(text: str, display: str | None, uri: str, params: object) -> None:
    parsed = parse_name_addr(text)
    assert parsed == NameAddr(display, parse_uri(uri), params)  # type: ignore[arg-type]
    assert parse_name_addr(str(parsed)) == parsed


@pytest.mark.parametrize(
    "text",
    [
        "",
        "*",
        '"a <sip:a@h>',
        '"a" sip:a@h',
        '"a"',
        'a"b" <sip:a@h>',
        "a> <sip:a@h>",
        r"\"<sip:b@h>\" <sip:a@h>",
        r'\\"a" <sip:a@h>',
        "<sip:a@h",
        "<>",
        "< sip:a@h >",
        "<sip:a@h>>",
        "<sip:a@h> x",
        "<sip:a@h>;",
        "sip:a@h?Route=x",
        "sip:a,b@h",
        "sip:a@h;;x",
    ],
)
def test_malformed_name_addr(text: str) -> None:
    with pytest.raises(SipParseError):
        parse_name_addr(text)


def test_name_addr_list() -> None:
    parsed = parse_name_addr_list('"a, b" <sip:a@h;lr>, sip:b@h;q=0.5')
    assert [str(one) for one in parsed] == ['"a, b" <sip:a@h;lr>', "<sip:b@h>;q=0.5"]
    assert parse_name_addr_list("") == []
    with pytest.raises(SipParseError):
        parse_name_addr_list("<sip:a@h>,")


def test_tags_and_params() -> None:
    one = parse_name_addr('<sip:a@h>;+sip.instance="<urn:x>";Tag=1;isfocus')
    assert one.tag == "1"
    assert one.param("+SIP.instance") == "<urn:x>"
    assert one.param("isfocus") == ""
    assert one.param("expires") is None
    assert str(one.with_tag("2")) == ('<sip:a@h>;+sip.instance="<urn:x>";isfocus;tag=2')
    assert one.with_tag(None).tag is None


@given(st.text(max_size=60))
def test_garbage_is_parsed_or_refused(text: str) -> None:
    for parse in (parse_uri, parse_name_addr, parse_name_addr_list):
        try:
            parse(text)
        except SipParseError:
            continue
