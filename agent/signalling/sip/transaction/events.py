"""What the transaction layer tells its user."""

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
