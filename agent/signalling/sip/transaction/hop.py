"""The top Via: ours on requests, the peer's address on what it sends us.

RFC 3261 section 18, RFC 3581.
"""

from dataclasses import replace
from typing import Final

from agent.model.media import Address
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.headers import Headers, Via
from agent.signalling.sip.message import Request

COOKIE: Final = "z9hG4bK"
"What a branch begins with that is unique (section 8.1.1.7)."

_DEFAULT_PORTS: Final = {"UDP": 5060, "TCP": 5060, "TLS": 5061}


def push_via(request: Request, branch: str, flow: Flow) -> Request:
    """A copy of `request` with our Via on top, asking for rport."""
    via = Via(
        flow.transport.upper(),
        flow.local.host,
        flow.local.port,
        {"branch": branch, "rport": None},
    )
    pushed = request.copy()
    pushed.headers.prepend("Via", str(via))
    return pushed


def stamp(headers: Headers, via: Via, flow: Flow) -> None:
    """Write into the top Via, which `via` is, whence the message came.

    Section 18.2.1 and RFC 3581 section 4; what the sender itself claimed about
    that is overwritten.
    """
    remote = flow.remote
    asked = "rport" in via.params
    if not asked and via.host == remote.host and "received" not in via.params:
        return
    via.params["received"] = remote.host
    if asked:
        via.params["rport"] = str(remote.port)
    headers.remove_first("Via")
    headers.prepend("Via", str(via))


def response_flow(via: Via, flow: Flow) -> Flow:
    """Where a response goes whose request came by `flow` with that top Via.

    Section 18.2.2 and RFC 3581 section 4, but always to the host the request came
    from: `maddr` and sent-by names would let a peer aim us at a third party.
    """
    port = sent_by(via)[1]
    if flow.inbound:
        # The connection, or a new one to the sent-by's port if that is gone.
        return replace(flow, fallback=Address(flow.remote.host, port))
    if flow.reliable:
        return flow
    if "rport" in via.params or port == flow.remote.port:
        return flow
    return Flow(flow.transport, flow.local, Address(flow.remote.host, port))


def sent_by(via: Via) -> tuple[str, int]:
    """Host, in lower case, and port of the sent-by, the default one filled in."""
    return via.host.lower(), via.port or _DEFAULT_PORTS.get(via.transport, 5060)
