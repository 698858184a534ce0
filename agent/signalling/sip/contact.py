"""Our own Contact: RFC 3261 section 8.1.1.8."""

from agent.signalling.sip.flow import Flow
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
