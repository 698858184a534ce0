"""All transactions of a user agent, and which message belongs to which.

RFC 3261 sections 17 and 18, RFC 3581, RFC 6026.
"""

import random
from collections import deque
from collections.abc import Callable, Sequence

from agent.signalling.sip.errors import LocalSipError
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.headers import Via
from agent.signalling.sip.limits import UNLIMITED, LimitsOf
from agent.signalling.sip.message import Request, Response, response_to
from agent.signalling.sip.timers import DEFAULT_TIMERS, Timers
from agent.signalling.sip.transaction import invite_client, invite_server
from agent.signalling.sip.transaction.admission import DROP, Admission
from agent.signalling.sip.transaction.entries import (
    Client,
    SavedClient,
    SavedServer,
    Server,
    new_client,
    new_server,
    restored_client,
    restored_server,
)
from agent.signalling.sip.transaction.events import (
    AckReceived,
    CancelReceived,
    Event,
    RequestReceived,
    ResponseReceived,
    StrayResponse,
    TransactionFailed,
    TransactionStats,
)
from agent.signalling.sip.transaction.hop import (
    COOKIE,
    push_via,
    response_flow,
    sent_by,
    stamp,
)
from agent.signalling.sip.transaction.invite_client import (
    InviteClientTransaction,
    build_cancel,
)
from agent.signalling.sip.transaction.invite_server import InviteServerTransaction
from agent.signalling.sip.transaction.machine import (
    AckPassed,
    FailureReason,
    ResponsePassed,
)
from agent.signalling.sip.transaction.matching import (
    MatchKey,
    cancelled_key,
    client_key,
    old_ack_key,
    server_key,
)
from agent.signalling.sip.transaction.schedule import Schedule
from agent.signalling.sip.transaction.table import Entry, TransactionTable

__all__ = [
    "DROP",
    "AckReceived",
    "CancelReceived",
    "Event",
    "FailureReason",
    "RequestReceived",
    "ResponseReceived",
    "StrayResponse",
    "TransactionFailed",
    "TransactionLayer",
    "TransactionStats",
]


class TransactionLayer:
    """Every transaction of one user agent, over all its flows.

    After each call the caller takes `next_event` until None and `data_to_send`,
    and calls `handle_timer` when `get_timer` says.

    `admit`, `limits_of`, `is_emergency` and `in_emergency` are the Admission's, which
    is asked about each new request other than ACK and CANCEL.
    """

    def __init__(
        self,
        *,
        rng: random.Random,
        timers: Timers = DEFAULT_TIMERS,
        max_transactions: int = 20000,
        admit: Callable[[Request, Flow, float], int | None] | None = None,
        limits_of: LimitsOf = lambda _: UNLIMITED,
        is_emergency: Callable[[str], bool] = lambda _: False,
        in_emergency: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self.stats = TransactionStats()
        self._rng = rng
        self._timers = timers
        self.table = TransactionTable()
        "Those that are open; what is to outlive this process is saved of it."
        self._admission = Admission(
            self.table,
            self.stats,
            max_transactions=max_transactions,
            admit=admit,
            limits_of=limits_of,
            is_emergency=is_emergency,
            in_emergency=in_emergency,
        )
        self._schedule = Schedule()
        self._outbox: list[tuple[bytes, Flow]] = []
        self._events: deque[Event] = deque()

    def __len__(self) -> int:
        return len(self.table)

    def receive(self, message: Request | Response, flow: Flow, now: float) -> None:
        """Take a parsed message; a request's top Via gets received and rport."""
        if isinstance(message, Response):
            self._receive_response(message, flow, now)
            return
        via = message.top_via
        match = server_key(message, via)
        stamp(message.headers, via, flow)
        server = self.table.servers.get(match)
        if message.method == "ACK":
            self._receive_ack(message, server, flow, now)
        elif server is not None:
            self.stats.retransmissions += 1
            server.machine.receive(message, now)
            self._settle(server, flow, now)
        elif message.method == "CANCEL":
            self._receive_cancel(message, match, via, flow, now)
        else:
            self._receive_new(message, match, via, flow, now)

    def send_request(
        self,
        request: Request,
        flow: Flow,
        now: float,
        *,
        patience: int | None = None,
        owner: str = "",
    ) -> str:
        """Send a request, other than ACK and CANCEL, in a transaction of its own.

        `patience`: how many T1 to wait for the first response, if not 64. `owner`:
        whom it belongs to, see `track`.

        Returns the transaction's key. `request` has no Via of ours yet and is not
        changed. A full table does not stop it: calls must be able to end. Raises
        LocalSipError if it cannot be written.
        """
        if request.method in {"ACK", "CANCEL"}:
            raise LocalSipError(f"A transaction cannot begin with {request.method}.")
        timers = self._timers if patience is None else self._timers.with_(patience)
        pushed = push_via(request, self._branch(), flow)
        return self._start(pushed, flow, now, timers, owner).key

    def send_response(self, key: str, response: Response, now: float) -> None:
        """Answer the request under `key`.

        Raises LocalSipError, and sends nothing, for an unknown key and where the
        transaction's state does not allow the response.
        """
        server = self.table.by_key.get(key)
        if not isinstance(server, Server):
            raise LocalSipError("There is no such server transaction.")
        server.machine.send(response.status, response.to_bytes(), now)
        self._answered(server, response, now)

    def cancel(
        self, key: str, now: float, headers: Sequence[tuple[str, str]] = ()
    ) -> None:
        """Cancel the INVITE sent under `key` (section 9.1), with more headers.

        The CANCEL waits for a 1xx if there was none yet. If a final response has
        come, nothing happens; if none comes within 64*T1, the transaction fails.
        Raises LocalSipError if `key` is no INVITE of ours.
        """
        client = self.table.by_key.get(key)
        if client is None:
            return
        machine = client.machine
        if not isinstance(client, Client) or not isinstance(
            machine, InviteClientTransaction
        ):
            raise LocalSipError("Only an INVITE that we sent can be cancelled.")
        if not client.cancelled:
            client.held_cancel = machine, build_cancel(machine.request, headers)
            client.cancelled = True
            self._send_held_cancel(client, now)

    def send_stateless(
        self, message: Request | Response, flow: Flow, now: float
    ) -> None:
        """Send a message that has no transaction, or whose user retransmits it.

        A request, such as the ACK to a 2xx, gets a Via with a new branch. A
        response goes where its top Via says, seen from the flow that its request
        came by. Raises LocalSipError if it cannot be written.
        """
        if isinstance(message, Request):
            message = push_via(message, self._branch(), flow)
        else:
            message = message.copy()
            via = message.top_via
            stamp(message.headers, via, flow)
            flow = response_flow(via, flow)
        self._outbox.append((message.to_bytes(), flow))

    def transport_failed(self, flow: Flow, now: float) -> None:
        """What was sent on `flow` could not be sent, or the peer is unreachable."""
        for entry in list(self.table.by_key.values()):
            if entry.flow == flow:
                entry.machine.transport_failed(now)
                self._settle(entry, flow, now)

    def connection_lost(self, flow: Flow, now: float) -> None:
        """The connection of `flow` is gone, with what was on its way.

        What had no answer at all fails at once. What had a provisional one may yet
        be answered, over a connection that the peer opens (section 18.2.2), and our
        own responses open another.
        """
        for entry in list(self.table.clients.values()):
            if entry.flow == flow and entry.machine.unanswered:
                entry.machine.transport_failed(now)
                self._settle(entry, flow, now)

    def get_timer(self) -> float | None:
        """When `handle_timer` wants to be called, if at all."""
        return self._schedule.first()

    def handle_timer(self, now: float) -> None:
        """Fire the timers that are due."""
        while (key := self._schedule.pop_due(now)) is not None:
            entry = self.table.by_key[key]
            entry.machine.handle_timer(now)
            self._settle(entry, entry.flow, now)

    def data_to_send(self) -> list[tuple[bytes, Flow]]:
        """The datagrams to send now, in order; each is returned once."""
        outbox, self._outbox = self._outbox, []
        return outbox

    def next_event(self) -> Event | None:
        """The next thing the user must know, if there is any."""
        return self._events.popleft() if self._events else None

    def _receive_response(self, response: Response, flow: Flow, now: float) -> None:
        vias = response.hops
        via = vias[0]
        method = response.cseq.method
        client = self.table.clients.get(client_key(via.branch or "", method))
        local = flow.local if client is None else client.flow.local
        ours = sent_by(via) == (local.host.lower(), local.port)
        # Section 8.1.3.3: a second Via says that it was meant for someone else.
        if not ours or len(vias) > 1:
            self.stats.dropped_responses += 1
        elif client is not None:
            self.stats.responses += 1
            client.machine.receive(response, now)
            self._settle(client, flow, now)
        elif method == "INVITE" and 200 <= response.status < 300:
            self._events.append(StrayResponse(response, flow))
        else:
            self.stats.dropped_responses += 1

    def _receive_ack(
        self, ack: Request, server: Server | None, flow: Flow, now: float
    ) -> None:
        if server is None:
            self._events.append(AckReceived(ack, flow))
        else:
            server.machine.receive(ack, now)
            self._settle(server, flow, now)

    def _receive_cancel(
        self, cancel: Request, match: MatchKey, via: Via, flow: Flow, now: float
    ) -> None:
        invite = self.table.servers.get(cancelled_key(match))
        if invite is None:
            self.stats.unmatched_cancels += 1
            self._refuse(cancel, 481, via, flow)
            return
        # Section 9.2: the same To-tag as in the response to the INVITE, if any.
        tag = None if invite.response is None else invite.response.to.tag
        response = response_to(cancel, 200, to_tag=tag or self._tag())
        # At most one per INVITE, so it needs no place of its own in the table.
        server = self._add_server(cancel, match, via, flow, now)
        self.table.own(server, invite.owner)
        server.machine.send(200, response.to_bytes(), now)
        self._answered(server, response, now)
        if invite.machine.state is invite_server.State.PROCEEDING:
            self._events.append(CancelReceived(invite.key, cancel))

    def _receive_new(
        self, request: Request, match: MatchKey, via: Via, flow: Flow, now: float
    ) -> None:
        verdict = self._admission.judge(request, flow, now)
        if isinstance(verdict, int):
            if verdict != DROP:
                self._refuse(request, verdict, via, flow)
            return
        self.stats.requests += 1
        server = self._add_server(request, match, via, flow, now)
        self.table.charge(server, verdict.name)
        self._events.append(RequestReceived(server.key, request, flow))
        if request.method == "INVITE":
            trying = response_to(request, 100)
            server.machine.send(100, trying.to_bytes(), now)
            self._answered(server, trying, now)

    def _add_server(
        self, request: Request, match: MatchKey, via: Via, flow: Flow, now: float
    ) -> Server:
        invite = request.method == "INVITE"
        back = response_flow(via, flow)
        server = new_server(
            match, back, self._timers, self.table.new_key(), invite=invite
        )
        if not invite:
            server.machine.receive(request, now)
        self.table.add(server)
        self._settle(server, flow, now)
        return server

    def _answered(self, server: Server, response: Response, now: float) -> None:
        server.response = response
        if response.status >= 300 and isinstance(
            server.machine, InviteServerTransaction
        ):
            match = old_ack_key(server.match, response)
            if match is not None:
                self.table.add_ack(server, match)
        self._settle(server, server.flow, now)

    def _refuse(self, request: Request, status: int, via: Via, flow: Flow) -> None:
        response = response_to(request, status, to_tag=self._tag())
        if self._admission.may_hear(response, request, flow):
            self._outbox.append((response.to_bytes(), response_flow(via, flow)))

    def _start(
        self, request: Request, flow: Flow, now: float, timers: Timers, owner: str
    ) -> Client:
        """Begin a client transaction with a request that has our Via."""
        client = new_client(request, flow, timers, self.table.new_key())
        client.machine.start(now)
        self.table.add(client)
        self.table.own(client, owner)
        self._settle(client, flow, now)
        return client

    def _send_held_cancel(self, client: Client, now: float) -> None:
        if client.held_cancel is None:
            return
        machine, cancel = client.held_cancel
        if machine.state is not invite_client.State.PROCEEDING:
            return
        client.held_cancel = None
        machine.cancelled(now)
        self._schedule.set(client.key, machine.get_timer())
        started = self._start(cancel, client.flow, now, self._timers, client.owner)
        started.internal = True

    def _settle(self, entry: Entry, flow: Flow, now: float) -> None:
        """Take what a machine has to say; `flow` is where its last input came by."""
        machine = entry.machine
        for data in machine.data_to_send():
            self._outbox.append((data, entry.flow))
        self.table.touch(entry)
        internal = isinstance(entry, Client) and entry.internal
        while (event := machine.next_event()) is not None:
            if internal:
                continue
            if isinstance(event, ResponsePassed):
                self._events.append(ResponseReceived(entry.key, event.response, flow))
            elif isinstance(event, AckPassed):
                self._events.append(AckReceived(event.ack, flow))
            else:
                self.stats.failures += 1
                self._events.append(TransactionFailed(entry.key, event.reason))
        if machine.terminated:
            self._schedule.set(entry.key, None)
            self.table.forget(entry)
        else:
            self._schedule.set(entry.key, machine.get_timer())
            if isinstance(entry, Client):
                self._send_held_cancel(entry, now)

    # -- transactions that outlive their process --------------------------------------

    def own(self, key: str, owner: str) -> None:
        """The server transaction `key` belongs to `owner`."""
        self.table.own(self.table.by_key[key], owner)

    def resume(
        self,
        clients: Sequence[SavedClient],
        servers: Sequence[SavedServer],
        owner: str,
        now: float,
    ) -> None:
        """Go on with what another process has saved.

        Requests that had no response are sent again, for nobody knows whether they
        went; the peer absorbs those it has (RFC 3261 section 17.2).
        """
        for client in [restored_client(one, self._timers) for one in clients]:
            if client.machine.unanswered:
                client.machine.send_again()
            self.table.adopt(client, owner)
            self._settle(client, client.flow, now)
        for server in [restored_server(one, self._timers) for one in servers]:
            self.table.adopt(server, owner)
            self._settle(server, server.flow, now)

    def _branch(self) -> str:
        return f"{COOKIE}{self._rng.getrandbits(96):024x}"

    def _tag(self) -> str:
        return f"{self._rng.getrandbits(64):016x}"
