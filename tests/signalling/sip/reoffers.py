"""Offers in a session that is up."""

from agent.signalling.sip.message import Request
from tests.signalling.sip.pair import (
    ALICE,
    Peer,
    Phone,
    confirmed_with_peer,
)

HELD = b"v=0\r\ns=held\r\n"


def reoffered() -> tuple[Phone, Peer, str, Request]:
    """Alice, who sent a re-INVITE; her session, and the re-INVITE."""
    alice, peer, session, _ = confirmed_with_peer()
    alice.core.reoffer(session, 0.0, body=HELD, headers=(("Session-ID", "x"),))
    alice.wire.run(0.0)
    reinvite = peer.request("INVITE")
    peer.take()
    return alice, peer, session, reinvite


def offered(method: str = "INVITE", body: bytes = HELD) -> tuple[Phone, Peer, str]:
    """Alice, to whom the peer offered."""
    alice, peer, session, invite = confirmed_with_peer()
    peer.send(peer.in_dialog(method, invite, cseq=10, body=body), ALICE)
    assert peer.take() == (["100"] if method == "INVITE" else [])
    return alice, peer, session


def peer_invite(alice: Phone, session: str) -> Request:
    return alice.find(session).invite
