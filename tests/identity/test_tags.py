from dataclasses import dataclass

import pytest
from hypothesis import given, settings, strategies as st

from agent.identity.numbers import FINLAND
from agent.identity.tags import (
    CallerTag,
    asserted_number,
    caller_tag,
    claimed_numbers,
    officer_number,
)
from agent.model.recording import WITHHELD
from agent.signalling.sip.headers import Headers
from agent.signalling.sip.message import Request
from agent.signalling.sip.uri import Uri, parse_uri

NOBODY = CallerTag(WITHHELD, "none")
FROM = "<sip:0401234567@192.0.2.9>"
ANONYMOUS = '"Anonymous" <sip:anonymous@anonymous.invalid>'


def invite(from_: str = FROM, *headers: tuple[str, str]) -> Request:
    lines = Headers([("From", f"{from_};tag=1"), *headers])
    return Request("INVITE", parse_uri("sip:0295419600@192.0.2.1"), lines)


def tag(
    from_: str = FROM, *headers: tuple[str, str], trusted: bool = True
) -> CallerTag:
    return caller_tag(invite(from_, *headers), trusted=trusted, config=FINLAND)


def asserted(*values: str) -> list[tuple[str, str]]:
    return [("P-Asserted-Identity", value) for value in values]


def test_the_from_counts_where_nothing_is_asserted() -> None:
    assert tag() == CallerTag("+358401234567", "from")


def test_the_word_of_a_trusted_peer_counts_more_than_the_from() -> None:
    identity = asserted("<sip:+358501112233@trunk.example>")
    assert tag(FROM, *identity) == CallerTag("+358501112233", "pai")
    assert tag(FROM, *identity, trusted=False) == CallerTag("+358401234567", "from")


@pytest.mark.parametrize(
    ("values", "number"),
    [
        (["tel:+358501112233"], "+358501112233"),
        (["<tel:+358-50-111.2233;cpc=ordinary>"], "+358501112233"),
        (["sips:0501112233@trunk.example"], "+358501112233"),
        (["<SIP:0501112233;phone-context=+358@trunk>;x=y"], "+358501112233"),
        (["<sip:%2B358501112233:secret@trunk>"], "+358501112233"),
        (["<sip:anna@trunk.example>, <tel:+358501112233>"], "+358501112233"),
        (["<sip:anna@trunk.example>", "<tel:+358501112233>"], "+358501112233"),
        (["<sip:anna@trunk.example>"], "anna"),
        (['"<sip:1@x>, \\"" <sip:0501112233@trunk>'], "+358501112233"),
        (["<sip:anonymous@trunk>, <tel:+358501112233>"], "+358501112233"),
    ],
)
def test_asserted_identities_in_all_their_forms(values: list[str], number: str) -> None:
    assert tag(FROM, *asserted(*values)) == CallerTag(number, "pai")


@pytest.mark.parametrize(
    "value",
    [
        "",
        "<sip:trunk.example>",
        "<sip:anonymous@anonymous.invalid>",
        "<http://example.com/>",
        '"open <sip:0501112233@trunk>',
        "<sip:%20@trunk>",
    ],
)
def test_an_identity_that_says_nothing_leaves_the_from(value: str) -> None:
    found = tag(FROM, *asserted(value))
    assert found.number in {"+358401234567", "+358501112233"}


@pytest.mark.parametrize("privacy", ["id", "user", "header", "ID;critical", "x,id"])
@pytest.mark.parametrize("trusted", [True, False])
def test_who_asks_for_privacy_has_no_number(privacy: str, *, trusted: bool) -> None:
    identity = asserted("<tel:+358501112233>")
    assert tag(FROM, *identity, ("Privacy", privacy), trusted=trusted) == NOBODY


@pytest.mark.parametrize("privacy", ["none", "session", "history", "critical"])
def test_other_privacy_does_not_hide_the_caller(privacy: str) -> None:
    assert tag(FROM, ("Privacy", privacy)).source == "from"


@pytest.mark.parametrize(
    "from_",
    [
        ANONYMOUS,
        "<sip:Anonymous@192.0.2.9>",
        "<sip:0401234567@ANONYMOUS.invalid>",
        "<sip:restricted@192.0.2.9>",
    ],
)
def test_an_anonymous_from_withholds_even_what_is_asserted(from_: str) -> None:
    assert tag(from_, *asserted("<tel:+358501112233>")) == NOBODY


def test_a_from_without_a_user_has_no_number() -> None:
    assert tag("<sip:192.0.2.9>") == NOBODY


def test_parameters_and_display_names_are_no_part_of_the_number() -> None:
    found = tag('"Matti Meikäläinen" <sip:0401234567;phone-context=x@192.0.2.9>')
    assert found == CallerTag("+358401234567", "from")


def test_tags_do_not_show_the_number() -> None:
    assert "358" not in repr(tag())


@pytest.mark.parametrize(
    ("uri", "number"),
    [
        ("sip:201@127.0.0.1:5090", "201"),
        ("tel:+358295419601", "+358295419601"),
        ("sip:201;x=y@127.0.0.1", "201"),
        ("sip:127.0.0.1", ""),
    ],
)
def test_the_officers_number_is_in_the_uri(uri: str, number: str) -> None:
    assert officer_number(parse_uri(uri)) == number


@dataclass
class Caller:
    uri: Uri


@dataclass
class Hostile:
    """A request with headers no parser would let through."""

    headers: Headers
    from_: Caller


@settings(max_examples=200)
@given(
    st.text(st.characters(blacklist_characters="\r\n\0"), max_size=60),
    st.text(alphabet='<>,"; \\@:siptel%2B04', max_size=60),
    st.text(max_size=80),
)
def test_whatever_is_sent_the_tag_is_clean_and_bounded(
    privacy: str, identity: str, user: str
) -> None:
    headers = Headers([("Privacy", privacy), *asserted(identity, identity)])
    request = Hostile(headers, Caller(Uri("sip", user, "192.0.2.9")))
    found = caller_tag(request, trusted=True)
    assert found.number.isprintable()
    assert 0 < len(found.number) <= 64
    assert (found.source == "none") == (found == NOBODY)


def test_a_long_hostile_identity_takes_no_time() -> None:
    for text in (",sip:" * 1600, "<sip:" * 1600, '"\\' * 4000, "sip:" + "a" * 8000):
        assert tag(FROM, *asserted(text)).source in {"from", "pai"}


@pytest.mark.parametrize(
    ("from_", "asserted", "expected"),
    [
        ("sip:0295000201@x", [], ["+358295000201"]),
        ("tel:+358295000201", [], ["+358295000201"]),
        (
            "sip:201@x",
            ["<sip:202@x>, <tel:+358295000203>"],
            ["202", "+358295000203", "201"],
        ),
        ("sip:anonymous@anonymous.invalid", ["<sip:202@x>"], ["202"]),
        ("sip:anonymous@anonymous.invalid", [], []),
    ],
)
def test_what_a_request_claims_whatever_its_privacy(
    from_: str, asserted: list[str], expected: list[str]
) -> None:
    lines = [("P-Asserted-Identity", value) for value in asserted]
    made = invite(f"<{from_}>", ("Privacy", "id"), *lines)
    assert claimed_numbers(made, with_from=True) == expected
    assert claimed_numbers(made, with_from=False) == [
        number for number in expected if asserted and number != "201"
    ]


def test_an_identity_asserted_in_a_call() -> None:
    several = asserted("<sip:queue@pbx.example>", "<tel:201>")
    assert asserted_number(invite(FROM, *several)) == "201"
    assert asserted_number(invite(FROM, *several, ("Privacy", "id"))) is None
    assert asserted_number(invite()) is None
