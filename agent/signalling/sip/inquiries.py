"""Requests in a dialog that the application wants to answer itself."""

from typing import Final

from agent.signalling.sip.errors import LocalSipError
from agent.signalling.sip.events import RequestInDialog
from agent.signalling.sip.link import Link
from agent.signalling.sip.message import Request
from agent.signalling.sip.transaction_user import Lines

MAX_INQUIRIES: Final = 8
"Requests the application has not answered yet."


class Inquiries:
    """Those of one session, by the transactions they came in."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._open: dict[str, Request] = {}

    def receive(self, key: str, request: Request, now: float) -> None:
        """Tell the application of one, if there are not too many."""
        if len(self._open) >= MAX_INQUIRIES:
            self._link.respond(key, request, 500, now)
            return
        self._link.take(key)
        self._open[key] = request
        self._link.emit(RequestInDialog(self._link.id, key, request))

    def answer(
        self, key: str, status: int, headers: Lines, body: bytes, now: float
    ) -> None:
        """Answer one; nothing if that is done. Raises LocalSipError for no answer."""
        if not 200 <= status < 700:
            raise LocalSipError("A final response is a 200-699.")
        request = self._open.get(key)
        if request is not None:
            self._link.user.respond(
                key, request, status, now, headers=headers, body=body
            )
            del self._open[key]

    def save(self) -> dict[str, Request]:
        """What another process goes on with."""
        return dict(self._open)

    def restore(self, saved: dict[str, Request]) -> None:
        """Go on with what `save` returned."""
        self._open = dict(saved)

    def failed(self, key: str) -> bool:
        """A transaction has failed; tells whether it was one of these."""
        return self._open.pop(key, None) is not None

    def abandon(self, now: float) -> None:
        """The call is over: what has no answer gets one (RFC 3261 section 15.1.2)."""
        for key, request in self._open.items():
            self._link.respond(key, request, 487, now)
        self._open.clear()
