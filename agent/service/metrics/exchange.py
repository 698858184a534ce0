"""One request and its answer on one connection, sans-IO: HTTP/1.1, GET and HEAD.

The connection is closed after the answer: who asks comes every few seconds.
"""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import h11

MAX_HEAD: Final = 8192
"Bytes of a request's line and headers: a scraper sends some hundred."
TEXT: Final = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked for."""

    path: str
    "Without what follows a `?`."
    accept: str
    "The form that is wanted."


@dataclass(frozen=True, slots=True)
class Answer:
    """What is told."""

    body: bytes
    status: HTTPStatus = HTTPStatus.OK
    content_type: str = TEXT


def plain(status: HTTPStatus) -> Answer:
    """An answer that says its status and nothing else."""
    return Answer(f"{status.value} {status.phrase}\n".encode(), status)


class Exchange:
    """Takes what comes, until there is a question or something to refuse."""

    def __init__(self) -> None:
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)
        self._request: h11.Request | None = None
        self._only_head = False

    def receive(self, data: bytes) -> Question | Answer | None:
        """Take some bytes, none at the end of what comes; None: more are needed.

        An Answer is a refusal, to be sent as any other.
        """
        try:
            self._http.receive_data(data)
            return self._next()
        except h11.RemoteProtocolError as error:
            return plain(HTTPStatus(error.error_status_hint))

    def _next(self) -> Question | Answer | None:
        while True:
            event = self._http.next_event()
            match event:
                case h11.Request():
                    self._request = event
                    if event.method not in {b"GET", b"HEAD"}:
                        return plain(HTTPStatus.METHOD_NOT_ALLOWED)
                    self._only_head = event.method == b"HEAD"
                case h11.Data():
                    return plain(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
                case h11.EndOfMessage() if self._request is not None:
                    return _question(self._request)
                case h11.ConnectionClosed():
                    return plain(HTTPStatus.BAD_REQUEST)
                case _:
                    return None

    def answer(self, answer: Answer) -> bytes:
        """All bytes of an answer; nothing if it can reach nobody any more."""
        if self._http.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            return b""
        headers = [
            ("Content-Type", answer.content_type),
            ("Content-Length", str(len(answer.body))),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
            ("Connection", "close"),
        ]
        if answer.status is HTTPStatus.METHOD_NOT_ALLOWED:
            headers.append(("Allow", "GET, HEAD"))
        response = h11.Response(status_code=answer.status, headers=headers)
        parts = [self._http.send(response)]
        if not self._only_head:
            parts.append(self._http.send(h11.Data(data=answer.body)))
        parts.append(self._http.send(h11.EndOfMessage()))
        return b"".join(part for part in parts if part)


def _question(request: h11.Request) -> Question:
    accept = b",".join(value for name, value in request.headers if name == b"accept")
    path = request.target.partition(b"?")[0]
    return Question(path.decode("latin-1"), accept.decode("latin-1"))
