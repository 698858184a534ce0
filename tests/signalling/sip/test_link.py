from dataclasses import replace
from typing import Any

import pytest

from agent.model.media import Address
from agent.signalling.sip.errors import LocalSipError
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.message import Response
from agent.signalling.sip.parser import parse_message
from tests.signalling.sip.pair import (
    ALICE,
    BOB,
    MALLORY,
    called_by_peer,
    calling_peer,
)


def test_there_is_no_dialog_before_an_answer() -> None:
    alice, _, session, _ = calling_peer()
    with pytest.raises(LocalSipError):
        assert alice.find(session).dialog


def test_what_is_sent_unowned_is_not_heard_of() -> None:
    bob, peer = called_by_peer()
    peer.send(peer.new_request("INVITE"), BOB)
    link = bob.find(bob.session)._link
    key = link.send("INFO", 0.0, owned=False, headers=(("X-Test", "1"),))
    bob.wire.run(0.0)
    assert peer.request("INFO").headers.get("X-Test") == "1"
    assert bob.core._user.owner(key) is None
    with pytest.raises(LocalSipError):
        link.send("INFO", 0.0, headers=(("X-Test", "1\r\nX: 2"),))
    assert ("Contact", f"<sip:201@{BOB}>") in link.target_lines
    assert link.flow.remote == ALICE


def test_who_came_too_early_may_try_again() -> None:
    bob, peer = called_by_peer()
    peer.send(peer.new_request("INVITE"), BOB)
    bob.core.ring(bob.session, 0.0)
    bob.wire.run(0.0)
    early = peer.response(180)
    peer.send(peer.in_dialog("REFER", early, cseq=2), BOB)
    wait = peer.response(500).headers.get("Retry-After")
    assert wait is not None
    assert 0 <= int(wait) <= 10


def by_connection(port: int, **fields: Any) -> Flow:
    """Of a peer that has connected to us from that port."""
    remote = Address(ALICE.host, port)
    return Flow("tls", BOB, remote, inbound=True, certificate=("pbx",), **fields)


@pytest.mark.parametrize(
    ("other", "tag", "follows"),
    [
        (by_connection(2), "peer", True),
        (by_connection(2), "wrong", False),
        (replace(by_connection(2), certificate=("else",)), "peer", False),
        (replace(by_connection(2), remote=MALLORY), "peer", False),
        (replace(by_connection(2), inbound=False), "peer", False),
    ],
)
def test_a_peer_that_connects_anew_is_found_there(
    other: Flow, tag: str, *, follows: bool
) -> None:
    bob, peer = called_by_peer()
    invite = peer.new_request("INVITE", uri="sips:201@192.0.2.2")
    bob.core.receive(invite.to_bytes(), by_connection(1), 0.0)
    bob.wire.run(0.0)
    session = bob.session
    bob.answer(session)
    ((data, _),) = bob.core.data_to_send()
    answer = parse_message(data)
    assert isinstance(answer, Response)
    from_ = f"<sip:peer@example.com>;tag={tag}"
    for method, cseq in (("ACK", 1), ("INFO", 2)):
        request = peer.in_dialog(method, answer, cseq=cseq, from_=from_)
        flow = by_connection(1) if method == "ACK" else other
        bob.core.receive(request.to_bytes(), flow, 0.0)
    bob.core.data_to_send()
    bob.hang_up(session)
    assert bob.find(session).flow == (other if follows else by_connection(1))
