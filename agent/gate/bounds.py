"""Around every request: an id, a longest body, a longest time, and one log line.

The line has the path as it is declared, with no id or number of anybody's in it.
"""

import asyncio
from typing import Any, Final

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent.common.clock import monotonic
from agent.common.ids import new_id

MAX_BODY: Final = 2 << 20
"Bytes: a signed request that names ten thousand recordings takes half of it."
DEADLINE: Final = 60.0
"Seconds from a request's head to the end of its answer."


class Bounded:
    """An ASGI middleware."""

    def __init__(
        self, app: ASGIApp, max_body: int = MAX_BODY, deadline: float = DEADLINE
    ) -> None:
        self._app = app
        self._max_body = max_body
        self._deadline = deadline

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, within its bounds."""
        if scope["type"] != "http":
            return
        request_id = new_id()
        begun = monotonic()
        status = 0

        async def noting_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [
                    *message.get("headers", ()),
                    (b"x-request-id", request_id.encode()),
                    (b"cache-control", b"no-store"),
                ]
                message = {**message, "headers": headers}
            await send(message)

        try:
            async with asyncio.timeout(self._deadline):
                body = await self._whole(receive)
                if body is None:
                    await _answer(noting_send, 413, b"too-long")
                else:
                    await self._app(scope, _replay(body, receive), noting_send)
        except TimeoutError:
            if not status:  # else half of an answer is out: the connection just ends
                await _answer(noting_send, 503, b"unavailable")
        finally:
            structlog.get_logger().info(
                "answered",
                request=request_id,
                method=scope["method"],
                path=_declared(scope),
                status=status,
                ms=round((monotonic() - begun) * 1000),
            )

    async def _whole(self, receive: Receive) -> bytes | None:
        """The body; None if it is too long, or will not come to its end."""
        body = bytearray()
        more = True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return None
            body += message.get("body", b"")
            if len(body) > self._max_body:
                return None
            more = message.get("more_body", False)
        return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


async def _answer(send: Send, status: int, word: bytes) -> None:
    body = b'{"error":"' + word + b'","fields":[]}'
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _declared(scope: Scope) -> str:
    route: Any = scope.get("route")
    return getattr(route, "path", "") or "none"
