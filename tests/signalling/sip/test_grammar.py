import pytest
from hypothesis import given, strategies as st

from agent.signalling.sip.errors import SipParseError
from agent.signalling.sip.grammar import (
    MAX_PARAMS,
    find_param,
    format_host,
    format_params,
    is_token,
    match_quoted,
    parse_host,
    parse_number,
    parse_params,
    parse_port,
    quote,
    split_list,
    unquote,
)

LINE = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]))


@pytest.mark.parametrize("text", ["INVITE", "100rel", "a-.!%*_+`'~9"])
def test_tokens(text: str) -> None:
    assert is_token(text)


@pytest.mark.parametrize("text", ["", "a b", "a:b", "ä", "a\n", "٣"])
def test_not_tokens(text: str) -> None:
    assert not is_token(text)


@given(LINE)
def test_quote_and_unquote_are_twins(text: str) -> None:
    assert unquote(quote(text)) == text
    assert match_quoted(quote(text) + "rest") == len(quote(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [("token", "token"), ('"a', '"a'), ('"a"b"', '"a"b"'), (r'"\a\\"', "a\\")],
)
def test_unquote(text: str, expected: str) -> None:
    assert unquote(text) == expected


@pytest.mark.parametrize("text", ['"never', '"', '"\\"', "token"])
def test_a_quoted_string_must_end(text: str) -> None:
    with pytest.raises(SipParseError):
        match_quoted(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \t", []),
        (" one ", ["one"]),
        ("a, b\t,c", ["a", "b", "c"]),
        ("a,,b,", ["a", "", "b", ""]),
        ('"a, b" <sip:x>, <sip:c,d@e>', ['"a, b" <sip:x>', "<sip:c,d@e>"]),
        (r'"\",", b', [r'"\","', "b"]),
        ('a;b="<,>", c', ['a;b="<,>"', "c"]),
    ],
)
def test_split_list(text: str, expected: list[str]) -> None:
    assert split_list(text) == expected


@pytest.mark.parametrize("text", ['a, "b', "a, <b", 'a, "b\\"', '", <b>, ",",'])
def test_split_list_wants_quotes_and_brackets_closed(text: str) -> None:
    with pytest.raises(SipParseError):
        split_list(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        ("  ", ()),
        (";lr", (("lr", None),)),
        (" ; a = b ;c ", (("a", "b"), ("c", None))),
        (';q="x;y=\\"z"', (("q", '"x;y=\\"z"'),)),
        (";received=[2001:db8::1]", (("received", "[2001:db8::1]"),)),
        (";x=abc==", (("x", "abc=="),)),
    ],
)
def test_parse_params(text: str, expected: object) -> None:
    assert parse_params(text) == expected


@pytest.mark.parametrize(
    "text", [";", ";;", ";a;", ";a=", "a=b", ";a b", ';a="b', ';a="b"c', ";a=b,c"]
)
def test_malformed_params(text: str) -> None:
    with pytest.raises(SipParseError):
        parse_params(text)


def test_the_number_of_params_is_bounded() -> None:
    assert len(parse_params(";a" * MAX_PARAMS)) == MAX_PARAMS
    with pytest.raises(SipParseError):
        parse_params(";a" * (MAX_PARAMS + 1))


def test_find_and_format_params() -> None:
    params = parse_params(";LR;Tag=x;tag=y")
    assert find_param(params, "lr") == ("LR", None)
    assert find_param(params, "TAG") == ("Tag", "x")
    assert find_param(params, "ttl") is None
    assert format_params(params) == ";LR;Tag=x;tag=y"


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("pbx_1.example.com", "pbx_1.example.com"),
        ("192.0.2.1", "192.0.2.1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[::ffff:192.0.2.1]", "::ffff:192.0.2.1"),
        ("[2001:db8:::192.0.2.1]", "2001:db8::192.0.2.1"),
    ],
)
def test_parse_host(text: str, host: str) -> None:
    assert parse_host(text) == host


@pytest.mark.parametrize("text", ["[1]", "[:::]", "[2001:db8:::1]", "[1::2::3]"])
def test_impossible_ipv6(text: str) -> None:
    with pytest.raises(SipParseError):
        parse_host(text)


def test_format_host() -> None:
    assert format_host("2001:db8::1", 5060) == "[2001:db8::1]:5060"
    assert format_host("example.com", None) == "example.com"


@pytest.mark.parametrize("text", ["0", "65536", "", "x"])
def test_impossible_ports(text: str) -> None:
    with pytest.raises(SipParseError):
        parse_port(text)


def test_ports() -> None:
    assert parse_port(None) is None
    assert parse_port("65535") == 65535


@pytest.mark.parametrize("text", ["", "-1", "+1", " 1", "1_0", "٣", "²", "0" * 21, "9"])
def test_impossible_numbers(text: str) -> None:
    with pytest.raises(SipParseError):
        parse_number(text, maximum=8)


def test_numbers_may_have_leading_zeros() -> None:
    assert parse_number("00000000000000000008", maximum=8) == 8
