"""What the layer knows of each transaction, and how another process goes on with it."""

from dataclasses import dataclass

import msgspec

from agent.signalling.sip.flow import Flow
from agent.signalling.sip.message import Request, Response
from agent.signalling.sip.timers import Timers
from agent.signalling.sip.transaction.invite_client import InviteClientTransaction
from agent.signalling.sip.transaction.invite_server import InviteServerTransaction
from agent.signalling.sip.transaction.machine import SavedMachine
from agent.signalling.sip.transaction.matching import MatchKey, client_key
from agent.signalling.sip.transaction.noninvite_client import (
    NonInviteClientTransaction,
)
from agent.signalling.sip.transaction.noninvite_server import (
    NonInviteServerTransaction,
)


class SavedClient(msgspec.Struct, frozen=True, kw_only=True):
    """A client transaction."""

    key: str
    request: Request
    "With our Via on top."
    flow: Flow
    patience: int
    machine: SavedMachine
    internal: bool
    cancelled: bool
    held_cancel: Request | None


class SavedServer(msgspec.Struct, frozen=True, kw_only=True):
    """A server transaction; what it was asked is its user's to know."""

    key: str
    match: tuple[str | int | None, ...]
    flow: Flow
    invite: bool
    machine: SavedMachine
    response: Response | None
    "The last one sent, which answers a retransmission."
    ack_match: tuple[str | int | None, ...] | None
    peer: str


@dataclass(slots=True, eq=False)
class Client:
    """A request of ours."""

    key: str
    match: MatchKey
    machine: InviteClientTransaction | NonInviteClientTransaction
    flow: Flow
    owner: str = ""
    "Whom it belongs to; empty: nobody whom it would have to outlive us for."
    internal: bool = False
    "A CANCEL of the layer's own; the user hears nothing of it."
    cancelled: bool = False
    held_cancel: tuple[InviteClientTransaction, Request] | None = None
    "A CANCEL that waits for a 1xx, with what it cancels."

    def save(self) -> SavedClient:
        """As another process can go on with it."""
        return SavedClient(
            key=self.key,
            request=self.machine.request,
            flow=self.flow,
            patience=self.machine.patience,
            machine=self.machine.save(),
            internal=self.internal,
            cancelled=self.cancelled,
            held_cancel=self.held_cancel[1] if self.held_cancel else None,
        )


@dataclass(slots=True, eq=False)
class Server:
    """A request of the peer's."""

    key: str
    match: MatchKey
    machine: InviteServerTransaction | NonInviteServerTransaction
    flow: Flow
    "Where responses go."
    owner: str = ""
    response: Response | None = None
    "The last one sent."
    ack_match: MatchKey | None = None
    "For the ACK of a client older than RFC 3261."
    peer: str = ""
    "Whose share it counts against."

    def save(self) -> SavedServer:
        """As another process can go on with it."""
        return SavedServer(
            key=self.key,
            match=self.match,
            flow=self.flow,
            invite=isinstance(self.machine, InviteServerTransaction),
            machine=self.machine.save(),
            response=self.response,
            ack_match=self.ack_match,
            peer=self.peer,
        )


def new_client(request: Request, flow: Flow, timers: Timers, key: str) -> Client:
    """A client transaction for a request that has our Via; nothing is sent yet."""
    machine: InviteClientTransaction | NonInviteClientTransaction
    if request.method == "INVITE":
        machine = InviteClientTransaction(
            request, reliable=flow.reliable, timers=timers
        )
    else:
        machine = NonInviteClientTransaction(
            request, reliable=flow.reliable, timers=timers
        )
    match = client_key(request.top_via.branch or "", request.method)
    return Client(key, match, machine, flow)


def new_server(
    match: MatchKey, flow: Flow, timers: Timers, key: str, *, invite: bool
) -> Server:
    """A server transaction whose responses go to `flow`."""
    machine: InviteServerTransaction | NonInviteServerTransaction
    if invite:
        machine = InviteServerTransaction(reliable=flow.reliable, timers=timers)
    else:
        machine = NonInviteServerTransaction(reliable=flow.reliable, timers=timers)
    return Server(key, match, machine, flow)


def restored_client(saved: SavedClient, timers: Timers) -> Client:
    """The client transaction that was saved."""
    timers = timers.with_(saved.patience)
    client = new_client(saved.request, saved.flow, timers, saved.key)
    machine = client.machine
    machine.restore(saved.machine, saved.request.to_bytes())
    client.internal, client.cancelled = saved.internal, saved.cancelled
    if saved.held_cancel is not None and isinstance(machine, InviteClientTransaction):
        client.held_cancel = machine, saved.held_cancel
    return client


def restored_server(saved: SavedServer, timers: Timers) -> Server:
    """The server transaction that was saved."""
    server = new_server(saved.match, saved.flow, timers, saved.key, invite=saved.invite)
    response = saved.response
    server.machine.restore(
        saved.machine, b"" if response is None else response.to_bytes()
    )
    server.response, server.peer = response, saved.peer
    server.ack_match = saved.ack_match
    return server
