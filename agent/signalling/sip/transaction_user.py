"""What the sessions of one user agent share: transactions, tags, the way to events."""

import random
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from agent.signalling.sip.dialog import SDP, Dialog
from agent.signalling.sip.events import Event, SessionId
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.message import Request, Response, response_to
from agent.signalling.sip.reliability import RELIABLE
from agent.signalling.sip.resending import Resending
from agent.signalling.sip.session_timer import MIN_SE
from agent.signalling.sip.timers import Timers
from agent.signalling.sip.transaction.layer import TransactionLayer

MAX_RETRY_AFTER: Final = 10
"Seconds, RFC 3261 section 14.2."

Lines = Sequence[tuple[str, str]]


@dataclass(slots=True)
class UserAgentStats:
    """Counters since the start."""

    received: int = 0
    "Datagrams."
    sent: int = 0
    "Datagrams."
    parse_errors: int = 0
    "Datagrams that are not SIP, or broken SIP."
    rejected: int = 0
    "Requests outside dialogs that the admission or our rules refused or dropped."
    larger_challenges: int = 0
    "Refusals by UDP that were not sent, for so small a request has a forged source."
    sessions: int = 0
    "Sessions begun, by either side."


class TransactionUser:
    """Sends for sessions, and remembers whose each open transaction is."""

    def __init__(
        self,
        layer: TransactionLayer,
        *,
        resending: Resending,
        rng: random.Random,
        timers: Timers,
        product: str,
        allow: Sequence[str],
        supported: Sequence[str],
        understood: Sequence[str] = (),
        accepts: Sequence[str] = (SDP,),
        session_expires: int = 0,
        min_se: int = MIN_SE,
        session_names: str = "s",
    ) -> None:
        self.rng = rng
        self.timers = timers
        self.events: deque[Event] = deque()
        self.stats = UserAgentStats()
        self.allow = ("Allow", ", ".join(allow))
        self.accept = ("Accept", ", ".join(accepts))
        "What bodies we can make something of: in a 415 too (RFC 3261 section 8.2.3)."
        self.extensions = frozenset((*supported, *understood))
        "Option tags a peer may require."
        self.abilities = _abilities(self.allow, supported)
        "What we say of ourselves where a dialog begins or changes."
        plain = [tag for tag in supported if tag != RELIABLE]
        self.plain_abilities = _abilities(self.allow, plain)
        "Likewise, less the reliable provisional responses."
        self.session_expires = session_expires
        self.min_se = min_se
        self.capabilities = (
            self.allow,
            self.accept,
            ("Supported", ", ".join(supported)),
        )
        "What an OPTIONS asks for (RFC 3261 section 11.2)."
        self.resending = resending
        self._layer = layer
        self._product = product
        self._owners: dict[str, SessionId] = {}
        self._session_names = session_names
        self._session_count = 0

    def emit(self, event: Event) -> None:
        """Tell the application."""
        self.events.append(event)

    def new_session(self) -> SessionId:
        """The name of one more session."""
        self.stats.sessions += 1
        self._session_count += 1
        return f"{self._session_names}{self._session_count}"

    def keep_free(self, session: SessionId) -> None:
        """A session of another process has that name: no other will get it."""
        number = session.removeprefix(self._session_names)
        if number != session and number.isdecimal():
            self._session_count = max(self._session_count, int(number))

    def new_tag(self) -> str:
        """A From- or To-tag: 64 bits, for they name and protect the dialog."""
        return f"{self.rng.getrandbits(64):016x}"

    def new_call_id(self) -> str:
        """A Call-ID: 128 bits, and nothing about the host."""
        return f"{self.rng.getrandbits(128):032x}"

    def new_cseq(self) -> int:
        """Where a dialog's numbers begin: far from the 2**31 they must not reach."""
        return 1 + self.rng.getrandbits(15)

    def retry_after(self) -> tuple[str, str]:
        """The header of a 500 for who asked too early."""
        return "Retry-After", str(self.rng.randint(0, MAX_RETRY_AFTER))

    def own(self, key: str, owner: SessionId) -> None:
        """The transaction `key` is the session's until its final response."""
        self._owners[key] = owner

    def assign(self, key: str, owner: SessionId) -> None:
        """The peer's request in the transaction `key` is for that session."""
        self._layer.own(key, owner)

    def restore_owned(self, keys: Iterable[str], owner: SessionId) -> None:
        """The session awaits what becomes of the requests called `keys`."""
        self._owners.update(dict.fromkeys(keys, owner))

    def owner(self, key: str) -> SessionId | None:
        """Whose transaction it is."""
        return self._owners.get(key)

    def disown(self, key: str) -> None:
        """The transaction `key` is done with."""
        self._owners.pop(key, None)

    def way_in(self, dialog: Dialog, flow: Flow, now: float) -> Flow:
        """Where requests in a dialog go that came about over `flow`.

        The transport that the peer names, unless nothing answers there: then the one
        by which the dialog came about.
        """
        hop = dialog.next_hop(flow, self.resending.served)
        changed = hop.transport != flow.transport
        if changed and self.resending.outages.is_out(hop, now):
            return dialog.next_hop(flow)
        return hop

    def other_ways(self, dialog: Dialog, flow: Flow, hop: Flow) -> Sequence[Flow]:
        """Where else a request may go whose way in is `hop`."""
        if hop.transport != flow.transport:
            return (dialog.next_hop(flow),)
        if flow.inbound:
            other = dialog.without_connection(flow, self.resending.served)
            return () if other is None else (other,)
        return ()

    def send_request(
        self,
        request: Request,
        flow: Flow,
        now: float,
        *,
        owner: SessionId | None,
        alternatives: Sequence[Flow] = (),
    ) -> str:
        """Send in a new transaction; returns its key, the request's name for good.

        `alternatives`: where else it may go (RFC 3263 section 4.3).
        Raises LocalSipError, and sends nothing.
        """
        request.headers.add("User-Agent", self._product)
        key = self.resending.send(request, flow, now, alternatives, owner=owner or "")
        if owner is not None:
            self._owners[key] = owner
        return key

    def send_ack(self, ack: Request, flow: Flow, now: float) -> None:
        """Send the ACK to a 2xx, which is no transaction."""
        self._layer.send_stateless(ack, flow, now)

    def send_stateless(self, response: Response, flow: Flow, now: float) -> None:
        """Answer what has no transaction."""
        self._layer.send_stateless(response, flow, now)

    def cancel(self, key: str, now: float, headers: Lines) -> None:
        """Cancel our INVITE. Raises LocalSipError for a broken header."""
        self._layer.cancel(self.resending.latest(key), now, headers)

    def respond(
        self,
        key: str,
        request: Request,
        status: int,
        now: float,
        *,
        reason: str | None = None,
        to_tag: str | None = None,
        headers: Lines = (),
        body: bytes = b"",
    ) -> Response:
        """Answer `request`, received in the transaction `key`; returns what was sent.

        Raises LocalSipError, and sends nothing, for a broken header.
        """
        response = response_to(
            request,
            status,
            reason,
            to_tag=to_tag,
            headers=headers,
            body=body,
            content_type=SDP if body else None,
        )
        response.headers.add("Server", self._product)
        self._layer.send_response(key, response, now)
        if status >= 200:
            self._owners.pop(key, None)
        return response

    def respond_again(self, key: str, response: Response, now: float) -> None:
        """Send once more what `respond` sent."""
        self._layer.send_response(key, response, now)


def _abilities(allow: tuple[str, str], supported: Sequence[str]) -> Lines:
    if not supported:
        return (allow,)
    return allow, ("Supported", ", ".join(supported))
