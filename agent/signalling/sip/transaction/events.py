"""What the transaction layer tells its user."""

from dataclasses import dataclass

import msgspec

from agent.signalling.sip.flow import Flow
from agent.signalling.sip.message import Request, Response
from agent.signalling.sip.transaction.machine import FailureReason


class RequestReceived(msgspec.Struct, frozen=True):
    """A new request, to be answered by `send_response` under `key`."""

    key: str
    request: Request
    flow: Flow


class AckReceived(msgspec.Struct, frozen=True):
    """An ACK for a 2xx, or for nothing we know."""

    request: Request
    flow: Flow


class CancelReceived(msgspec.Struct, frozen=True):
    """The INVITE under `key`, still unanswered, is cancelled: it awaits its 487.

    The CANCEL itself has been answered.
    """

    key: str
    request: Request


class ResponseReceived(msgspec.Struct, frozen=True):
    """A response to the request sent under `key`."""

    key: str
    response: Response
    flow: Flow


class StrayResponse(msgspec.Struct, frozen=True):
    """A 2xx to an INVITE whose transaction is gone: someone believes in a call."""

    response: Response
    flow: Flow


class TransactionFailed(msgspec.Struct, frozen=True):
    """The transaction failed; an INVITE one may live on to be answered."""

    key: str
    reason: FailureReason

    @property
    def status(self) -> int:
        """The response that it is as good as (RFC 3261 section 8.1.3.1)."""
        return 503 if self.reason is FailureReason.TRANSPORT else 408


Event = (
    RequestReceived
    | AckReceived
    | CancelReceived
    | ResponseReceived
    | StrayResponse
    | TransactionFailed
)


@dataclass(slots=True)
class TransactionStats:
    """Counters since the start."""

    requests: int = 0
    "New requests that got a transaction."
    retransmissions: int = 0
    "Requests received again."
    responses: int = 0
    "Responses that belong to a transaction."
    dropped_responses: int = 0
    "Responses that belong to none of ours; a stray 2xx is not among them."
    refused: int = 0
    "New requests that the admission refused or dropped."
    overload: int = 0
    "New requests answered 503 because the table, or its peer's share, is full."
    larger_answers: int = 0
    "Refusals by UDP that were larger than what they refused, and so were not sent."
    unmatched_cancels: int = 0
    failures: int = 0
    "Transactions that timed out or that the network failed."
