import pytest

from agent.signalling import b2bua
from agent.signalling.sip.headers import Headers
from agent.signalling.sip.message import REASONS, Request, Response, response_to
from agent.signalling.sip.parser import parse_message
from agent.signalling.sip.uri import parse_name_addr

PAI = ("P-Asserted-Identity", '"Caller" <sip:+358401234567@trunk.example>')
TEL = ("P-Asserted-Identity", "<tel:+358401234567>")


def invite(*headers: tuple[str, str], max_forwards: str | None = "70") -> Request:
    lines = [
        "INVITE sip:0295419600@192.0.2.1 SIP/2.0",
        "Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1",
        "From: <sip:+358401234567@192.0.2.9>;tag=1",
        "To: <sip:0295419600@192.0.2.1>",
        "Call-ID: one",
        "CSeq: 1 INVITE",
        *(f"{name}: {value}" for name, value in headers),
    ]
    if max_forwards is not None:
        lines.append(f"Max-Forwards: {max_forwards}")
    message = parse_message(("\r\n".join(lines) + "\r\n\r\n").encode())
    assert isinstance(message, Request)
    return message


def passed(
    *headers: tuple[str, str], from_trusted: bool = True, to_trusted: bool = True
) -> list[tuple[str, str]]:
    return b2bua.pass_headers(
        invite(*headers), from_trusted=from_trusted, to_trusted=to_trusted
    )


@pytest.mark.parametrize("privacy", [None, "none", "id", "user;id;critical"])
@pytest.mark.parametrize("from_trusted", [True, False])
@pytest.mark.parametrize("to_trusted", [True, False])
def test_asserted_identity_goes_between_trusted_peers_only(
    privacy: str | None, *, from_trusted: bool, to_trusted: bool
) -> None:
    asked = [("Privacy", privacy)] if privacy is not None else []
    identities = [PAI, TEL] if from_trusted and to_trusted else []
    assert (
        passed(PAI, TEL, *asked, from_trusted=from_trusted, to_trusted=to_trusted)
        == asked + identities
    )


def test_nothing_but_what_is_named_passes() -> None:
    assert (
        passed(
            ("P-Preferred-Identity", "<sip:x@example.com>"),
            ("Remote-Party-ID", "<sip:x@example.com>"),
            ("User-Agent", "phone"),
            ("Route", "<sip:192.0.2.1;lr>"),
            ("Contact", "<sip:x@192.0.2.9>"),
            ("Supported", "100rel"),
            ("X-Anything", "1"),
        )
        == []
    )


def test_session_id_and_user_to_user_pass_everywhere() -> None:
    free = [
        ("User-to-User", "56a390f3;encoding=hex"),
        ("Session-ID", "ab30317f1a784dc48ff824d0d3715d86;remote=" + "0" * 32),
    ]
    assert passed(*free, from_trusted=False, to_trusted=False) == free


HISTORY = (
    "History-Info",
    "<sip:0295419600@example.com>;index=1, "
    "<sip:secret@example.com?Privacy=history>;index=1.1, "
    "<sip:open@example.com?Reason=SIP%3Bcause%3D302&Privacy=none>;index=1.2",
)


def test_history_passes_whole_to_a_trusted_peer() -> None:
    assert passed(HISTORY, ("Privacy", "history")) == [("Privacy", "history"), HISTORY]


def test_private_history_does_not_leave_the_trusted_network() -> None:
    entries = [value for _, value in passed(HISTORY, to_trusted=False)]
    assert len(entries) == 2
    assert "secret" not in "".join(entries)
    for privacy in ("history", "header", "session;critical", "id, HISTORY"):
        assert passed(HISTORY, ("Privacy", privacy), to_trusted=False) == [
            ("Privacy", privacy)
        ]


DIVERSION = (
    "Diversion",
    "<sip:201@example.com>;reason=no-answer;privacy=off, "
    "<sip:secret@example.com>;reason=user-busy;privacy=full, "
    '<sip:202@example.com>;reason="unconditional"',
)


def test_private_diversions_do_not_leave_the_trusted_network() -> None:
    assert passed(DIVERSION) == [DIVERSION]
    entries = passed(DIVERSION, to_trusted=False)
    assert [name for name, _ in entries] == ["Diversion", "Diversion"]
    assert "secret" not in str(entries)
    asked = ("Privacy", "user")
    assert passed(DIVERSION, asked, to_trusted=False) == [asked]


@pytest.mark.parametrize("value", ["<sip:a@b", '"open <sip:a@b>', "rubbish"])
def test_what_cannot_be_read_passes_to_trusted_peers_only(value: str) -> None:
    headers = Headers([("History-Info", value), ("Diversion", value)])
    request = invite()
    for name, text in headers.items():
        request.headers.add(name, text)
    assert len(b2bua.pass_headers(request, from_trusted=True, to_trusted=True)) == 2
    assert b2bua.pass_headers(request, from_trusted=True, to_trusted=False) == []


def test_what_passes_is_bounded_and_identity_is_the_last_to_go() -> None:
    many = [("User-to-User", "00" * 400)] * 8
    kept = passed(*many, PAI, ("Privacy", "id"))
    assert kept[:2] == [("Privacy", "id"), PAI]
    size = sum(len(name) + len(value) + 4 for name, value in kept)
    assert size <= b2bua.MAX_PASSED
    assert len(kept) == 6


def test_response_headers() -> None:
    response = Response(
        200,
        "OK",
        Headers(
            [
                PAI,
                ("Privacy", "none"),
                ("User-to-User", "00"),
                ("Session-ID", "ab"),
                ("Reason", "Q.850;cause=16"),
                ("Diversion", "<sip:201@example.com>"),
                ("Server", "phone"),
                HISTORY,
            ]
        ),
    )
    names = [
        name
        for name, _ in b2bua.pass_response_headers(
            response, from_trusted=True, to_trusted=True
        )
    ]
    assert names == [
        "Privacy",
        "P-Asserted-Identity",
        "History-Info",
        "User-to-User",
        "Session-ID",
        "Reason",
    ]
    outside = b2bua.pass_response_headers(response, from_trusted=True, to_trusted=False)
    assert "P-Asserted-Identity" not in dict(outside)


def test_privacy_is_read_in_any_spelling() -> None:
    request = invite(("Privacy", "ID ; user"), ("Privacy", ";critical"))
    assert b2bua.privacy_of(request) == {"id", "user", "critical"}
    assert b2bua.privacy_of(response_to(request, 200)) == frozenset()


@pytest.mark.parametrize(
    ("received", "sent"), [(None, 70), ("70", 69), ("1", 0), ("255", 254)]
)
def test_max_forwards_is_decremented(received: str | None, sent: int) -> None:
    assert b2bua.next_max_forwards(invite(max_forwards=received)) == sent


def test_max_forwards_nought_is_483() -> None:
    with pytest.raises(b2bua.TooManyHopsError) as caught:
        b2bua.next_max_forwards(invite(max_forwards="0"))
    assert caught.value.status == 483


def test_our_own_invite_coming_back_is_a_loop_and_a_spiral_is_not() -> None:
    request = invite()
    assert b2bua.is_loop(request, {"one": "0295419600"})
    assert not b2bua.is_loop(request, {"one": "0401234567"})
    assert not b2bua.is_loop(request, {"two": "0295419600"})
    assert not b2bua.is_loop(request, {})


@pytest.mark.parametrize(
    ("status", "mapped"),
    [
        (302, 480),
        (380, 480),
        (400, 500),
        (401, 500),
        (403, 403),
        (404, 404),
        (407, 500),
        (408, 408),
        (420, 500),
        (481, 500),
        (484, 484),
        (486, 486),
        (487, 480),
        (488, 488),
        (491, 500),
        (500, 500),
        (503, 500),
        (504, 504),
        (555, 500),
        (600, 600),
        (603, 603),
        (699, 500),
        (199, 500),
        (-1, 500),
    ],
)
def test_failures(status: int, mapped: int) -> None:
    assert b2bua.map_failure(status) == (mapped, REASONS[mapped])


def test_every_failure_has_a_final_status_with_a_reason() -> None:
    for status in range(300, 700):
        mapped, reason = b2bua.map_failure(status)
        assert 400 <= mapped < 700
        assert mapped not in {401, 407, 503}
        assert reason


@pytest.mark.parametrize(
    ("cause", "text", "value"),
    [
        (16, None, 'Q.850;cause=16;text="Normal call clearing"'),
        (16, "Bye", 'Q.850;cause=16;text="Bye"'),
        (99, None, "Q.850;cause=99"),
        (486, None, 'SIP;cause=486;text="Busy Here"'),
        (699, None, "SIP;cause=699"),
        (200, None, 'SIP;cause=200;text="Call completed elsewhere"'),
        (487, 'a "b" \\', 'SIP;cause=487;text="a \\"b\\" \\\\"'),
    ],
)
def test_reason(cause: int, text: str | None, value: str) -> None:
    assert b2bua.reason_header(cause, text) == ("Reason", value)


def test_the_anonymous_from_is_that_of_rfc_3323() -> None:
    written = str(b2bua.anonymous_from())
    assert written == '"Anonymous" <sip:anonymous@anonymous.invalid>'
    assert parse_name_addr(written).uri.host == "anonymous.invalid"


@pytest.mark.parametrize(
    ("contact", "found"),
    [
        ("<sip:1@h>, <sip:2@h>;q=0.5", ["sip:1@h", "sip:2@h"]),
        ("<sip:1@h>;q=0.1, <sip:2@h>;q=0.9", ["sip:2@h", "sip:1@h"]),
        ("<sip:1@h>;q=often, <sip:2@h>;q=0.1", ["sip:2@h", "sip:1@h"]),
        ("<sip:1@h?Route=x>", ["sip:1@h"]),
        ("*", []),
        ("<sip:", []),
    ],
)
def test_redirections_are_in_the_order_of_q(contact: str, found: list[str]) -> None:
    response = response_to(invite(), 302, to_tag="t")
    response.headers.add("Contact", contact)
    assert [str(uri) for uri in b2bua.redirections(response)] == found


def test_redirections_are_bounded() -> None:
    response = response_to(invite(), 302, to_tag="t")
    for number in range(50):
        response.headers.add("Contact", f"<sip:{number}@h>")
    assert len(b2bua.redirections(response)) == b2bua.MAX_REDIRECTIONS
