import pytest

from agent.signalling.sip.errors import SipParseError
from agent.signalling.sip.replaces import (
    Replaces,
    parse_replaces,
    replaces_in,
    verdict,
)
from agent.signalling.sip.session_states import State
from agent.signalling.sip.uri import parse_uri

PLAIN = Replaces("98732@sip.example.com", "ff87ff", "r33th4x0r")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("98732@sip.example.com;from-tag=r33th4x0r;to-tag=ff87ff", PLAIN),
        (" 98732@sip.example.com ; FROM-TAG=r33th4x0r ; to-tag=ff87ff;x=y", PLAIN),
        (
            "12adf2f34456gs5;to-tag=12345;from-tag=0",
            Replaces("12adf2f34456gs5", "12345", "0"),
        ),
        ("a;to-tag=1;from-tag=2;early-only", Replaces("a", "1", "2", early_only=True)),
    ],
)
def test_a_replaces_is_read(text: str, expected: Replaces) -> None:
    assert parse_replaces(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        ";to-tag=1;from-tag=2",
        "a",
        "a;to-tag=1",
        "a;from-tag=1",
        "a;to-tag;from-tag=1",
        "a;to-tag=;from-tag=1",
        "a;to-tag=1;from-tag=2,b;to-tag=1;from-tag=2",
        'a;to-tag=1;from-tag=2;x="',
    ],
)
def test_what_names_no_dialog_is_refused(text: str) -> None:
    with pytest.raises(SipParseError):
        parse_replaces(text)


def test_a_refer_to_carries_one() -> None:
    uri = (
        "sip:202@192.0.2.3?Replaces=98732%40sip.example.com"
        "%3Bfrom-tag%3Dr33th4x0r%3Bto-tag%3Dff87ff"
    )
    assert replaces_in(parse_uri(uri)) == PLAIN
    assert replaces_in(parse_uri("sip:202@192.0.2.3?Subject=x")) is None
    assert replaces_in(parse_uri("tel:202")) is None
    for broken in (
        "sip:202@h?Replaces=x",
        f"{uri}&replaces=a%3Bto-tag%3D1%3Bfrom-tag%3D2",
    ):
        with pytest.raises(SipParseError):
            replaces_in(parse_uri(broken))


def test_what_may_be_replaced() -> None:
    early = Replaces("a", "1", "2", early_only=True)
    verdicts = {
        state: (verdict(PLAIN, state), verdict(early, state)) for state in State
    }
    assert verdicts[State.CALLING] == (None, None)
    assert verdicts[State.CONFIRMED] == verdicts[State.ACCEPTED] == (None, 486)
    assert verdicts[State.INCOMING] == (481, 481)
    assert verdicts[State.TERMINATED] == verdicts[State.ENDING] == (603, 603)
