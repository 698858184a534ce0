"""Which transaction a message belongs to: RFC 3261 sections 17.1.3 and 17.2.3."""

from agent.signalling.sip.headers import Via
from agent.signalling.sip.message import Request, Response
from agent.signalling.sip.transaction.hop import COOKIE, sent_by

MatchKey = tuple[str | int | None, ...]


def client_key(branch: str, method: str) -> MatchKey:
    """What names a client transaction: branch and CSeq method."""
    return "client", branch, method


def server_key(request: Request, via: Via) -> MatchKey:
    """What names the server transaction of `request`, whose top Via is `via`.

    Of an ACK that is the INVITE's, or its `old_ack_key`. `via` must be as it was
    received, before the layer writes into it.
    """
    method = request.method
    branch = via.branch
    if branch is not None and branch.startswith(COOKIE):
        known = "INVITE" if method == "ACK" else method
        return "server", branch, *sent_by(via), known
    return (*_old_key(request, via), request.to.tag, method)


def cancelled_key(cancel: MatchKey) -> MatchKey:
    """What names the INVITE that a CANCEL is about (section 9.2)."""
    return (*cancel[:-1], "INVITE")


def old_ack_key(invite: MatchKey, response: Response) -> MatchKey | None:
    """What names the ACK for our response to an INVITE of an old client.

    None where the branch names it, because the client knows RFC 3261.
    """
    if invite[0] != "old":
        return None
    return (*invite[:-2], response.to.tag, "ACK")


def _old_key(request: Request, via: Via) -> MatchKey:
    # The last paragraphs of section 17.2.3: what clients older than RFC 3261
    # keep the same in retransmissions, and in the ACK and the CANCEL.
    return (
        "old",
        str(request.uri),
        request.from_.tag,
        request.call_id,
        request.cseq.number,
        str(via),
    )
