from typing import Any

import pytest

from agent.signalling.sip import limits
from agent.signalling.sip.core import ALLOW, DROP
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.message import Request
from tests.signalling.sip.pair import (
    ALICE,
    BOB,
    MALLORY,
    OFFER,
    Peer,
    Phone,
    answered_peer,
    called_by_peer,
    calling_peer,
    new_core,
)

STRANGER = "<sip:201@example.com>;tag=guess"


# -- requests outside dialogs ---------------------------------------------------


def test_a_new_call_is_told() -> None:
    bob, peer = called_by_peer()
    peer.send(peer.new_request("INVITE", body=OFFER), BOB)
    assert peer.take() == ["100"]
    assert bob.names == ["InviteReceived"]
    assert bob.last.request.body == OFFER
    assert bob.last.flow == Flow("udp", BOB, ALICE)
    assert len(bob.core) == 1


def test_options_is_answered() -> None:
    bob, peer = called_by_peer(supported=("timer",))
    peer.send(peer.new_request("OPTIONS"), BOB)
    response = peer.response(200)
    assert response.headers.get("Allow") == ", ".join(ALLOW)
    assert response.headers.get("Accept") == "application/sdp"
    assert response.headers.get("Supported") == "timer"
    assert response.headers.get("Server") == "test/2"
    assert response.to.tag is not None
    assert bob.names == []
    assert bob.core.stats.rejected == 0


@pytest.mark.parametrize(
    ("method", "status", "header"),
    [
        ("REGISTER", "405", "Allow"),
        ("SUBSCRIBE", "489", "Allow-Events"),
        ("MESSAGE", "405", "Allow"),
        ("REFER", "403", None),
        ("NOTIFY", "481", None),
        ("STRANGE", "501", "Allow"),
        ("BYE", "481", None),
        ("CANCEL", "481", None),
    ],
)
def test_other_methods_are_refused(
    method: str, status: str, header: str | None
) -> None:
    bob, peer = called_by_peer()
    peer.send(peer.new_request(method), BOB)
    assert peer.names == [status]
    if header is not None:
        assert header in peer.received[0].headers
    assert bob.names == []


def test_broken_calls_are_refused() -> None:
    bob, peer = called_by_peer()
    for headers, remove, status in (
        ([("Require", "100rel")], (), "420"),
        ([("Content-Type", "text/plain")], (), "415"),
        ([("Max-Forwards", "0")], (), "483"),
        ([], ("Contact",), "400"),
    ):
        request = peer.new_request("INVITE", body=b"x", headers=headers, remove=remove)
        peer.send(request, BOB)
        assert peer.take() == ["100", status]
    peer.send(peer.new_request("INVITE", uri="urn:service:sos"), BOB)
    assert peer.take() == ["100", "416"]
    assert bob.core.stats.rejected == 5
    assert len(bob.core) == 0


def test_sips_without_tls_is_refused_but_an_emergency_call() -> None:
    bob, peer = called_by_peer(is_emergency=lambda called: called == "112")
    for method in ("OPTIONS", "INVITE"):
        peer.send(peer.new_request(method, uri="sips:201@example.com"), BOB)
        assert "SIPS Not Allowed" in (peer.response(480).headers.get("Warning") or "")
        peer.take()
    assert bob.core.stats.rejected == 2
    peer.send(
        peer.new_request("INVITE", uri="sips:112@example.com", call_id="urgent"), BOB
    )
    assert peer.take() == ["100"]
    assert bob.names == ["InviteReceived"]


def test_a_merged_request_is_a_loop() -> None:
    bob, peer = called_by_peer()
    peer.send(peer.new_request("INVITE"), BOB)
    peer.send(peer.new_request("INVITE"), BOB)
    assert peer.take() == ["100", "100", "482"]
    assert bob.names == ["InviteReceived"]
    bob.core.refuse(bob.session, 0.0, status=486)
    peer.send(peer.new_request("INVITE"), BOB)
    assert peer.take() == ["486", "100", "482"]
    # Another try of the same caller is another number.
    peer.send(peer.new_request("INVITE", cseq=2), BOB)
    assert bob.names == ["InviteReceived", "InviteReceived"]


def test_a_retransmission_is_no_new_call() -> None:
    bob, peer = called_by_peer()
    invite = peer.new_request("INVITE")
    for _ in range(3):
        peer.send(invite, BOB)
    assert peer.take() == ["100", "100", "100"]
    assert bob.names == ["InviteReceived"]


def test_our_own_invite_comes_back() -> None:
    alice, peer, _, invite = calling_peer()
    looped = invite.copy()
    looped.headers.prepend("Via", f"SIP/2.0/UDP {BOB};branch=z9hG4bKproxy;rport")
    peer.take()
    peer.send(looped, ALICE)
    assert peer.take() == ["100", "482"]
    # To another number it is a spiral, which is legitimate.
    looped.uri = looped.uri.with_(user="202")
    looped.headers.prepend("Via", f"SIP/2.0/UDP {BOB};branch=z9hG4bKother;rport")
    peer.send(looped, ALICE)
    assert alice.names == ["InviteReceived"]


def test_only_so_many_sessions() -> None:
    bob, peer = called_by_peer(max_sessions=2)
    for number in range(4):
        peer.send(peer.new_request("INVITE", call_id=f"call-{number}"), BOB)
    assert peer.take() == ["100", "100", "100", "503", "100", "503"]
    assert len(bob.core) == 2
    # What is over makes room.
    bob.core.refuse(bob.session, 0.0, status=486)
    peer.send(peer.new_request("INVITE", call_id="call-9"), BOB)
    assert peer.take() == ["486", "100"]
    # Our own calls are for the application to count.
    bob.call(ALICE)
    assert len(bob.core) == 3


def test_an_emergency_call_meets_no_limit_and_no_session_timer() -> None:
    bob, peer = called_by_peer(
        max_sessions=1,
        is_emergency=lambda user: user == "112",
        session_expires=1800,
        min_se=600,
    )
    small = [("Supported", "timer"), ("Session-Expires", "300")]
    for number, user in enumerate(("201", "112", "112")):
        uri = f"sip:{user}@192.0.2.2"
        call = f"call-{number}"
        peer.send(peer.new_request("INVITE", uri=uri, call_id=call, headers=small), BOB)
    assert peer.take() == ["100", "422", "100", "100"]
    assert bob.names == ["InviteReceived"] * 2


def test_only_so_many_transactions() -> None:
    bob, peer = called_by_peer(max_transactions=2)
    for number in range(4):
        peer.send(peer.new_request("OPTIONS", call_id=f"call-{number}"), BOB)
    assert peer.take() == ["200", "200", "503", "503"]
    assert bob.core.transaction_stats.overload == 2


# -- admission ------------------------------------------------------------------


def admitting(verdict: int | None) -> tuple[Phone, Peer, list[str]]:
    asked: list[str] = []

    def admit(request: Request, flow: Flow) -> int | None:
        asked.append(f"{request.method} {flow.remote.host}")
        return verdict

    bob, peer = called_by_peer(admit=admit)
    return bob, peer, asked


def test_who_is_admitted_is_heard() -> None:
    bob, peer, asked = admitting(None)
    peer.send(peer.new_request("INVITE"), BOB)
    assert bob.names == ["InviteReceived"]
    assert asked == ["INVITE 192.0.2.1"]


def test_who_is_refused_costs_nothing() -> None:
    bob, peer, asked = admitting(403)
    for method in ("INVITE", "OPTIONS", "BYE", "REGISTER"):
        peer.send(peer.new_request(method), BOB)
        peer.send(peer.new_request(method, to=STRANGER), BOB)
    assert peer.take() == ["403"] * 8
    assert len(asked) == 8
    assert bob.names == []
    assert bob.core.stats.rejected == 8
    assert bob.core.get_timer() is None


def test_who_is_dropped_hears_nothing() -> None:
    bob, peer, _ = admitting(DROP)
    peer.send(peer.new_request("INVITE"), BOB)
    peer.send(peer.new_request("BYE", to=STRANGER), BOB)
    assert peer.take() == []
    assert bob.core.stats.rejected == 2


def test_a_dialog_that_is_not_is_481_without_a_transaction() -> None:
    bob, peer = called_by_peer()
    for method in ("INVITE", "BYE", "UPDATE", "NOTIFY"):
        peer.send(peer.new_request(method, to=STRANGER), BOB)
    assert peer.take() == ["481"] * 4
    assert bob.core.get_timer() is None


def test_who_is_in_a_dialog_is_not_asked_again() -> None:
    verdicts: list[int | None] = [None]

    def admit(_request: Request, _flow: Flow) -> int | None:
        return verdicts[0]

    bob, peer, session, response = answered_peer(admit=admit)
    verdicts[0] = DROP
    peer.send(peer.in_dialog("ACK", response, cseq=1), BOB)
    peer.send(peer.in_dialog("BYE", response, cseq=2), BOB)
    assert peer.take() == ["200"]
    assert bob.last.session == session


# -- what is not SIP ------------------------------------------------------------


@pytest.mark.parametrize(
    "junk", [b"", b"\r\n\r\n", b"\0" * 64, b"\x16\x03\x01", b"hello", b"\xff" * 9000]
)
def test_junk_is_not_answered(junk: bytes) -> None:
    bob, peer = called_by_peer()
    peer.send(junk, BOB)
    assert peer.take() == []
    assert bob.core.stats.parse_errors == 1
    assert bob.names == []


def test_a_broken_request_is_answered() -> None:
    bob, peer = called_by_peer()
    data = peer.new_request("INVITE").to_bytes()
    peer.send(data.replace(b"Content-Length: 0", b"Content-Length: 9"), BOB)
    peer.send(data.replace(b"SIP/2.0\r\nVia", b"SIP/7.0\r\nVia"), BOB)
    assert peer.take() == ["400", "505"]
    assert peer.received == []
    assert bob.core.get_timer() is None
    assert bob.core.stats.parse_errors == 2


def test_a_broken_ack_or_response_is_not() -> None:
    _, peer = called_by_peer()
    ack = peer.new_request("ACK").to_bytes()
    peer.send(ack.replace(b"Content-Length: 0", b"Content-Length: 9"), BOB)
    peer.send(b"SIP/2.0 200 OK\r\nVia: x\r\n\r\n", BOB)
    assert peer.take() == []


@pytest.mark.parametrize(("verdict", "names"), [(403, ["403"]), (DROP, [])])
def test_a_broken_request_of_a_stranger(verdict: int, names: list[str]) -> None:
    _, peer, asked = admitting(verdict)
    data = peer.new_request("INVITE").to_bytes()
    peer.send(data.replace(b"Content-Length: 0", b"Content-Length: 9"), BOB)
    assert peer.take() == names
    assert len(asked) == 1


def test_an_admission_that_stumbles_over_what_is_broken() -> None:
    def admit(request: Request, _flow: Flow) -> int | None:
        return None if request.from_.tag else 403

    _, peer = called_by_peer(admit=admit)
    data = peer.new_request("INVITE", from_="<sip:peer@example.com").to_bytes()
    peer.send(data, BOB)
    assert peer.take() == []


# -- calls that replace others ----------------------------------------------------


def replacing(call_id: str, ours: str, theirs: str, more: str = "") -> dict[str, Any]:
    value = f"{call_id};to-tag={ours};from-tag={theirs}{more}"
    return {"headers": [("Replaces", value)], "call_id": "new-call", "body": OFFER}


def answered(**options: Any) -> tuple[Phone, Peer, str, str]:
    """Bob in a call with the peer, and his tag in it."""
    bob, peer, session, response = answered_peer(supported=("replaces",), **options)
    peer.send(peer.in_dialog("ACK", response, cseq=1), BOB)
    bob.events.clear()
    return bob, peer, session, response.to.tag or ""


def test_a_call_may_take_the_place_of_another() -> None:
    bob, peer, session, tag = answered()
    peer.send(peer.new_request("INVITE", **replacing("peer-call", tag, "peer")), BOB)
    assert peer.take() == ["100"]
    assert bob.last.replaces == session
    assert bob.last.session != session
    peer.send(peer.new_request("INVITE", call_id="other"), BOB)
    assert bob.last.replaces is None


@pytest.mark.parametrize("tag", ["0", "peer"])
def test_a_peer_without_a_tag_is_zero(tag: str) -> None:
    bob, peer = called_by_peer(supported=("replaces",))
    peer.send(peer.new_request("INVITE", from_="<sip:old@example.com>"), BOB)
    bob.answer(bob.session)
    bob.wire.run(0.0)
    ours = peer.response(200).to.tag or ""
    peer.take()
    peer.send(peer.new_request("INVITE", **replacing("peer-call", ours, tag)), BOB)
    assert peer.take() == (["100"] if tag == "0" else ["100", "481"])


@pytest.mark.parametrize(
    ("call_id", "theirs", "more", "status"),
    [
        ("nothing", "peer", "", "481"),
        ("peer-call", "other", "", "481"),
        ("peer-call", "peer", ";early-only", "486"),
        ("peer-call", "peer", ";to-tag", "400"),
    ],
)
def test_what_may_not_be_replaced(
    call_id: str, theirs: str, more: str, status: str
) -> None:
    bob, peer, _, tag = answered()
    if status == "400":
        request = peer.new_request("INVITE", **replacing(call_id, "", theirs))
    else:
        request = peer.new_request("INVITE", **replacing(call_id, tag, theirs, more))
    peer.send(request, BOB)
    assert peer.take() == ["100", status]
    assert bob.names == []


def test_a_call_that_is_over_cannot_be_replaced() -> None:
    bob, peer, session, tag = answered()
    bob.hang_up(session)
    bob.wire.run(0.0)
    assert peer.take() == ["BYE"]
    peer.send(peer.new_request("INVITE", **replacing("peer-call", tag, "peer")), BOB)
    assert peer.take() == ["100", "603"]


def test_two_calls_cannot_be_replaced() -> None:
    bob, peer, _, tag = answered()
    request = peer.new_request("INVITE", **replacing("peer-call", tag, "peer"))
    request.headers.add("Replaces", f"peer-call;to-tag={tag};from-tag=peer")
    peer.send(request, BOB)
    request = peer.new_request("INVITE", **replacing("peer-call", tag, "peer"), cseq=2)
    request.headers.add("Join", f"peer-call;to-tag={tag};from-tag=peer")
    peer.send(request, BOB)
    assert peer.take() == ["400", "100", "400"]
    assert bob.names == []


def test_who_does_not_know_replaces_takes_a_new_call() -> None:
    bob, peer, _, response = answered_peer()
    tag = response.to.tag or ""
    peer.send(peer.new_request("INVITE", **replacing("peer-call", tag, "peer")), BOB)
    assert bob.last.replaces is None


def test_a_broken_request_of_a_stranger_is_not_answered_with_more() -> None:
    _, peer, asked = admitting(403)
    short = peer.new_request("BYE", uri="sip:h", remove=("Max-Forwards", "Contact"))
    data = short.to_bytes().replace(b"Content-Length: 0", b"Content-Length: 9")
    peer.send(data, BOB)
    assert peer.take() == []
    assert len(asked) == 1


def test_short_names_of_headers_are_no_gain_either() -> None:
    core = new_core(1, admit=lambda *_: 403, limits_of=lambda _: limits.STRANGER)
    data = (
        b"INVITE sip:1@h SIP/2.0\r\nv:SIP/2.0/UDP h;branch=z9hG4bK1\r\n"
        b"f:<sip:1@h>;tag=1\r\nt:<sip:1@h>\r\ni:1\r\nCSeq:1 INVITE\r\nl:0\r\n\r\n"
    )
    core.receive(data, Flow("udp", BOB, MALLORY), 0.0)
    assert core.data_to_send() == []
    assert core.transaction_stats.larger_answers == 1
