"""Dialogs: RFC 3261 section 12."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from agent.model.media import Address, ip_of
from agent.signalling.sip.authorization import credentials_of
from agent.signalling.sip.flow import Flow, Served
from agent.signalling.sip.headers import CSeq, Headers
from agent.signalling.sip.message import Request, Response
from agent.signalling.sip.uri import NameAddr, Uri

MAX_FORWARDS: Final = 70
"RFC 3261 section 8.1.1.6."
SDP: Final = "application/sdp"

_TRANSPORTS: Final = frozenset({"udp", "tcp", "tls"})
_NOWHERE: Final = Served()

# Where RFC 3261 table 2 and its successors want our Contact.
_WITH_CONTACT: Final = frozenset({"INVITE", "UPDATE", "REFER", "SUBSCRIBE", "NOTIFY"})


@dataclass(slots=True, eq=False, kw_only=True)
class Dialog:
    """One dialog, early or confirmed, as one of its two ends sees it."""

    call_id: str
    local: NameAddr
    "With our tag."
    remote: NameAddr
    "With the peer's tag; a peer older than RFC 3261 may have none."
    remote_target: Uri
    contact: Uri
    "Our own target."
    route_set: tuple[NameAddr, ...]
    local_cseq: int
    remote_cseq: int | None = None
    features: tuple[str, ...] = ()
    "What our Contact says that we are, as `+sip.srs` (RFC 3840)."
    credentials: tuple[tuple[str, str], ...] = ()
    "Lines of our last INVITE that its ACK repeats (section 22.1)."

    @classmethod
    def uas(
        cls, invite: Request, *, local_tag: str, contact: Uri, local_cseq: int
    ) -> "Dialog":
        """The dialog that our response to `invite` makes (section 12.1.1).

        `local_cseq` is the number before that of our first request.
        """
        peer = invite.contact
        return cls(
            call_id=invite.call_id,
            local=invite.to.with_tag(local_tag),
            remote=invite.from_,
            remote_target=invite.from_.uri if peer is None else peer.uri,
            contact=contact,
            route_set=tuple(invite.record_route),
            local_cseq=local_cseq,
            remote_cseq=invite.cseq.number,
        )

    @classmethod
    def uac(cls, invite: Request, response: Response, *, contact: Uri) -> "Dialog":
        """The dialog that `response` to our `invite` makes (section 12.1.2)."""
        peer = response.contact
        return cls(
            call_id=invite.call_id,
            local=invite.from_,
            remote=response.to,
            # A 2xx must have a Contact; where it has none, what reached the peer
            # once may reach it again.
            remote_target=invite.uri if peer is None else peer.uri,
            contact=contact,
            route_set=tuple(reversed(response.record_route)),
            local_cseq=invite.cseq.number,
            credentials=credentials_of(invite),
        )

    @property
    def remote_tag(self) -> str | None:
        return self.remote.tag

    @property
    def contact_line(self) -> tuple[str, str]:
        """Our Contact with its features."""
        features = "".join(f";{feature}" for feature in self.features)
        return "Contact", f"<{self.contact}>{features}"

    def request(
        self,
        method: str,
        *,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
        content_type: str = SDP,
    ) -> Request:
        """The next request in this dialog (section 12.2.1.1), less its Via.

        Raises LocalSipError for a header that would not stay one line.
        """
        number = self.local_cseq + 1
        request = self._request(method, number, headers, body, content_type)
        self.local_cseq = number
        return request

    def ack(self, number: int, *, body: bytes = b"") -> Request:
        """The ACK for the 2xx to our INVITE of that CSeq (section 13.2.2.4)."""
        return self._request("ACK", number, self.credentials, body, SDP)

    def is_in_order(self, request: Request) -> bool:
        """Whether to take a request of the peer; if not, it deserves a 500.

        Section 12.2.2. Another INVITE of the same number is none in order either:
        its ACK could not be told from that of the first.
        """
        number = request.cseq.number
        if self.remote_cseq is not None and (
            number < self.remote_cseq
            or (number == self.remote_cseq and request.method == "INVITE")
        ):
            return False
        self.remote_cseq = number
        return True

    def refresh(self, message: Request | Response) -> None:
        """Take the peer's new target from its accepted INVITE or UPDATE, or our 2xx."""
        peer = message.contact
        if peer is not None:
            self.remote_target = peer.uri

    def next_hop(self, flow: Flow, served: Served = _NOWHERE) -> Flow:
        """Where requests in this dialog go that came about over `flow`.

        By the transport that the first route, or else the target, names (RFC 3263
        section 4.1), if it is among `served`; by that of `flow` where it names none.
        What began over TLS stays there.

        Names are not resolved here: to what is no address literal we could use,
        the way is the one that worked before. A connection that the peer opened is
        used as long as it lasts, for behind a NAT there is no other (RFC 5923).
        """
        uri = self._next_uri
        transport = (
            flow.transport if flow.inbound else _transport(uri, flow, flow.transport)
        )
        remote = _literal(uri, flow, transport)
        if remote is None:
            return flow
        if transport != flow.transport:
            local = served.towards(transport, remote)
            if local is not None:
                domain = uri.host.lower() if transport == "tls" else ""
                return Flow(transport, local, remote, domain)
            remote = _literal(uri, flow, flow.transport) or flow.remote
        if remote == flow.remote:
            return flow
        if flow.inbound:
            return replace(flow, fallback=remote)
        # Over TLS whoever is there must bear the same name.
        return Flow(flow.transport, flow.local, remote, flow.domain)

    def without_connection(self, flow: Flow, served: Served) -> Flow | None:
        """Where requests go when a connection that the peer opened cannot be had back.

        By the transport that the first route, or else the target, names, by UDP where
        it names none (RFC 3263 section 4.1). None if that is the same, or none of ours.
        """
        uri = self._next_uri
        transport = _transport(uri, flow, "udp")
        remote = _literal(uri, flow, transport)
        if remote is None or transport == flow.transport:
            return None
        local = served.towards(transport, remote)
        if local is None:
            return None
        domain = uri.host.lower() if transport == "tls" else ""
        return Flow(transport, local, remote, domain)

    @property
    def _next_uri(self) -> Uri:
        return self.route_set[0].uri if self.route_set else self.remote_target

    def _request(
        self,
        method: str,
        number: int,
        headers: Sequence[tuple[str, str]],
        body: bytes,
        content_type: str,
    ) -> Request:
        uri, route = route_request(self.remote_target, self.route_set)
        lines = [("Max-Forwards", str(MAX_FORWARDS))]
        lines += [("Route", str(hop)) for hop in route]
        lines += [
            ("To", str(self.remote)),
            ("From", str(self.local)),
            ("Call-ID", self.call_id),
            ("CSeq", str(CSeq(number, method))),
        ]
        if method in _WITH_CONTACT:
            lines.append(self.contact_line)
        if body:
            lines.append(("Content-Type", content_type))
        lines += headers
        return Request(method, uri, Headers(lines), body)


def route_request(
    target: Uri, route_set: Sequence[NameAddr]
) -> tuple[Uri, tuple[NameAddr, ...]]:
    """Request-URI and Route of a request to `target` (section 12.2.1.1)."""
    if not route_set or route_set[0].uri.param("lr") is not None:
        return target, tuple(route_set)
    # The first hop is a strict router, as before RFC 3261: it wants to be asked
    # for itself and looks for the target at the end.
    return route_set[0].uri, (*route_set[1:], NameAddr(None, target))


def _transport(uri: Uri, flow: Flow, otherwise: str) -> str:
    """By which transport to go to a URI from a dialog that `flow` carries."""
    if flow.transport == "tls" or uri.scheme == "sips":
        return "tls"
    named = (uri.param("transport") or "").lower()
    return named if named in _TRANSPORTS else otherwise


def _literal(uri: Uri, flow: Flow, transport: str) -> Address | None:
    """The address in a URI that a request by `transport` could go to."""
    port = uri.port
    if port is None and uri.scheme in {"sip", "sips"}:
        # RFC 3263 section 4.2: the default one of the transport.
        secure = uri.scheme == "sips" or transport == "tls"
        port = 5061 if secure else 5060
    if not port:
        return None
    try:
        ip = ip_of(uri.host)
    except ValueError:
        return None
    same_family = (ip.version == 6) == (":" in flow.local.host)
    if ip.is_unspecified or ip.is_multicast or not same_family:
        return None
    return Address(uri.host, port)
