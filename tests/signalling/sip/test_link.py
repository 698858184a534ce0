import pytest

from agent.signalling.sip.errors import LocalSipError
from tests.signalling.sip.pair import ALICE, BOB, called_by_peer, calling_peer


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
