"""Our requests outside dialogs, other than INVITE: RFC 3261 sections 8.1, 10, 11."""

from collections.abc import Sequence

from agent.signalling.sip.dialog import MAX_FORWARDS, route_request
from agent.signalling.sip.errors import LocalSipError
from agent.signalling.sip.events import RequestAnswered, SessionId
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.headers import CSeq, Headers
from agent.signalling.sip.message import Request
from agent.signalling.sip.transaction import layer as transaction
from agent.signalling.sip.transaction_user import Lines, TransactionUser
from agent.signalling.sip.uri import NameAddr, Uri


def new_request(
    method: str,
    uri: Uri,
    *,
    from_: NameAddr,
    to: NameAddr,
    call_id: str,
    cseq: int,
    route: Sequence[Uri] = (),
    max_forwards: int = MAX_FORWARDS,
    headers: Lines = (),
    body: bytes = b"",
) -> Request:
    """A request outside dialogs (section 8.1.1), less its Via; From has our tag.

    Raises LocalSipError for a header that would not stay one line.
    """
    target, hops = route_request(uri, [NameAddr(None, hop) for hop in route])
    lines = [("Max-Forwards", str(max_forwards))]
    lines += [("Route", str(hop)) for hop in hops]
    lines += [
        ("To", str(to.with_tag(None))),
        ("From", str(from_)),
        ("Call-ID", call_id),
        ("CSeq", str(CSeq(cseq, method))),
        *headers,
    ]
    return Request(method, target, Headers(lines), body)


class Outside:
    """Those that have no final response yet."""

    def __init__(self, user: TransactionUser) -> None:
        self._user = user
        self._open: dict[str, tuple[SessionId, Request]] = {}

    def __len__(self) -> int:
        return len(self._open)

    def send(self, request: Request, flow: Flow, now: float) -> SessionId:
        """Send one: RequestAnswered, under the name returned, will tell.

        Raises LocalSipError, and sends nothing, for what cannot be written or
        would begin a session.
        """
        if request.method == "INVITE":
            raise LocalSipError("An INVITE begins a session.")
        key = self._user.send_request(request, flow, now, owner=None)
        name = f"o{key}"
        self._open[key] = name, request
        return name

    def resend(self, name: str, request: Request) -> None:
        """A challenged request is sent once more, as `request`."""
        if (found := self._open.get(name)) is not None:
            self._open[name] = found[0], request

    def receive_response(self, event: transaction.ResponseReceived) -> None:
        """A response to one of them, or to nothing that is known."""
        response = event.response
        if response.status >= 200 and (found := self._open.pop(event.key, None)):
            self._user.emit(RequestAnswered(*found, response.status, response))

    def failed(self, event: transaction.TransactionFailed) -> None:
        """No response will come."""
        if (found := self._open.pop(event.key, None)) is not None:
            self._user.emit(RequestAnswered(*found, event.status, None))
