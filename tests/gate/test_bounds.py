import asyncio
from typing import Any

import httpx
import structlog

from agent.gate.bounds import Bounded


async def echo(scope: Any, receive: Any, send: Any) -> None:
    message = await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": message["body"]})


async def never(scope: Any, receive: Any, send: Any) -> None:
    await asyncio.Event().wait()


async def half(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await asyncio.Event().wait()


def client(app: Any, **more: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(Bounded(app, **more)), base_url="http://gate.test"
    )


async def pieces(count: int) -> Any:
    for _ in range(count):
        yield b"x" * 10


async def test_a_body_is_taken_whole_up_to_its_limit() -> None:
    async with client(echo, max_body=100) as http:
        answer = await http.post("/", content=pieces(10))
        assert (answer.status_code, answer.content) == (200, b"x" * 100)
        answer = await http.post("/", content=pieces(11))
        assert (answer.status_code, answer.json()["error"]) == (413, "too-long")


async def test_every_answer_has_an_id_and_stays_in_no_cache() -> None:
    async with client(echo) as http:
        one, two = await http.post("/"), await http.post("/")
    assert one.headers["x-request-id"] != two.headers["x-request-id"]
    assert one.headers["cache-control"] == "no-store"


async def test_what_takes_too_long_is_given_up() -> None:
    async with client(never, deadline=0.01) as http:
        answer = await http.post("/")
        assert (answer.status_code, answer.json()["error"]) == (503, "unavailable")


async def test_half_an_answer_is_not_followed_by_another() -> None:
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/"}
    await Bounded(half, deadline=0.01)(scope, receive, send)
    assert [message["type"] for message in sent] == ["http.response.start"]


async def test_a_client_that_goes_away_leaves_no_request() -> None:
    async def receive() -> Any:
        return {"type": "http.disconnect"}

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/"}
    await Bounded(echo)(scope, receive, send)
    assert sent[0]["status"] == 413


async def test_other_kinds_of_scope_are_not_served() -> None:
    await Bounded(echo)({"type": "lifespan"}, None, None)  # type: ignore[arg-type]


async def test_the_log_line_has_no_id_and_no_number_of_anybodys() -> None:
    with structlog.testing.capture_logs() as lines:
        async with client(echo) as http:
            await http.post("/recordings/0f8fad5b?number=0401234567")
    [line] = lines
    assert line["path"] == "none"
    assert "0401234567" not in str(line)
