"""Calls that ring, reliably or not (RFC 3262)."""

from typing import Any

from agent.signalling.sip.message import Request, Response
from tests.signalling.sip.pair import (
    ANSWER,
    BOB,
    OFFER,
    Pair,
    Peer,
    Phone,
    called_by_peer,
)

RELIABLE: dict[str, Any] = {"supported": ("100rel",)}
SUPPORTED = ("Supported", "100rel")
REQUIRED = ("Require", "100rel")
CHANGED = b"v=0\r\ns=changed\r\n"
TAKES = ("Allow", "INVITE, ACK, BYE, CANCEL, PRACK, UPDATE")


def ringing(*, offer: bytes = OFFER, body: bytes = ANSWER) -> tuple[Pair, str, str]:
    """Alice calls Bob, who rings reliably with a description."""
    pair = Pair(alice=RELIABLE, bob=RELIABLE, answers=False)
    ours = pair.alice.call(BOB, body=offer)
    pair.run(0.0)
    theirs = pair.bob.session
    pair.bob.core.ring(theirs, 0.0, status=183, body=body, reliable=True)
    pair.run(0.0)
    return pair, ours, theirs


def prack(peer: Peer, response: Response, *, cseq: int = 2, **more: Any) -> Request:
    number = response.headers.get("RSeq")
    lines = [("RAck", f"{number} 1 INVITE")]
    return peer.in_dialog("PRACK", response, cseq=cseq, headers=lines, **more)


def ringing_for_peer(
    *lines: tuple[str, str], status: int = 180, body: bytes = b"", offer: bytes = OFFER
) -> tuple[Phone, Peer, str]:
    """Bob rings reliably for a peer, by default one that can do that."""
    bob, peer = called_by_peer(**RELIABLE)
    headers = lines or (SUPPORTED, TAKES)
    peer.send(peer.new_request("INVITE", body=offer, headers=headers), BOB)
    bob.core.ring(bob.session, 0.0, status=status, body=body, reliable=True)
    bob.wire.run(0.0)
    return bob, peer, bob.session
