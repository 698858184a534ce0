"""Our own Contact: RFC 3261 section 8.1.1.8."""

from agent.signalling.sip.flow import Flow
from agent.signalling.sip.message import Request
from agent.signalling.sip.uri import Uri


def contact_of(flow: Flow, user: str | None = None, *, secure: bool = False) -> Uri:
    """Where requests to us go in a dialog that `flow` carries.

    `secure`: the peer was asked for by a SIPS URI, so our Contact is one too, and
    its transport is TLS by its name.
    """
    if secure:
        return Uri("sips", user, flow.local.host, flow.local.port)
    params = () if flow.transport == "udp" else (("transport", flow.transport),)
    return Uri("sip", user, flow.local.host, flow.local.port, params)


def asks_for_sips(invite: Request) -> bool:
    """Whether our Contact in the answer must be a SIPS URI (section 12.1.1)."""
    if invite.uri.scheme == "sips":
        return True
    sender = invite.record_route[:1] or invite.contacts[:1]
    return any(one.uri.scheme == "sips" for one in sender)
