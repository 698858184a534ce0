"""What the transaction layer tells its user."""

from dataclasses import dataclass

from agent.signalling.sip.flow import Flow
from agent.signalling.sip.message import Request, Response
from agent.signalling.sip.transaction.machine import FailureReason


@dataclass(frozen=True, slots=True)
class RequestReceived:
    """A new request, to be answered by `send_response` under `key`."""

    key: str
    request: Request
    flow: Flow


@dataclass(frozen=True, slots=True)
class AckReceived:
    """An ACK for a 2xx, or for nothing we know."""

    request: Request
    flow: Flow


@dataclass(frozen=True, slots=True)
class CancelReceived:
    """The INVITE under `key`, still unanswered, is cancelled: it awaits its 487.

    The CANCEL itself has been answered.
    """

    key: str
    request: Request


@dataclass(frozen=True, slots=True)
class ResponseReceived:
    """A response to the request sent under `key`."""

    key: str
    response: Response
    flow: Flow


@dataclass(frozen=True, slots=True)
class StrayResponse:
    """A 2xx to an INVITE whose transaction is gone: someone believes in a call."""

    response: Response
    flow: Flow


@dataclass(frozen=True, slots=True)
class TransactionFailed:
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
