from http import HTTPStatus

import h11
import pytest
from hypothesis import given, strategies as st

from agent.service.metrics.exchange import MAX_HEAD, Answer, Exchange, Question, plain

HOST = b"Host: localhost\r\n"
GET = b"GET /metrics?x=1 HTTP/1.1\r\n" + HOST
WHOLE = GET + b"Accept: text/plain\r\nAccept: a/b\r\n\r\n"


def heard(data: bytes, method: bytes = b"GET") -> tuple[int, dict[bytes, bytes], bytes]:
    """An answer as who asked understands it."""
    client = h11.Connection(h11.CLIENT)
    request = h11.Request(method=method, target="/", headers=[("Host", "localhost")])
    client.send(request)
    client.send(h11.EndOfMessage())
    client.receive_data(data)
    client.receive_data(b"")
    response = client.next_event()
    assert isinstance(response, h11.Response)
    body = b""
    while isinstance(event := client.next_event(), h11.Data):
        body += event.data
    assert isinstance(event, h11.EndOfMessage)
    return response.status_code, dict(response.headers), body


@pytest.mark.parametrize("step", [1, 7, len(WHOLE)])
def test_a_question_comes_in_pieces(step: int) -> None:
    exchange = Exchange()
    found = [
        exchange.receive(WHOLE[at : at + step]) for at in range(0, len(WHOLE), step)
    ]
    assert found[:-1] == [None] * (len(found) - 1)
    assert found[-1] == Question("/metrics", "text/plain,a/b")
    status, headers, body = heard(exchange.answer(Answer(b"here", content_type="t/x")))
    assert (status, body) == (200, b"here")
    assert headers[b"content-type"] == b"t/x"
    assert headers[b"connection"] == b"close"
    # Only one is answered.
    assert exchange.answer(Answer(b"again")) == b""


def test_only_the_head_is_told() -> None:
    exchange = Exchange()
    assert exchange.receive(b"HEAD /healthz HTTP/1.1\r\n" + HOST + b"\r\n") == Question(
        "/healthz", ""
    )
    answer = exchange.answer(plain(HTTPStatus.SERVICE_UNAVAILABLE))
    status, headers, body = heard(answer, b"HEAD")
    assert (status, body) == (503, b"")
    assert headers[b"content-length"] == b"24"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"POST /metrics HTTP/1.1\r\n" + HOST + b"\r\n", 405),
        (GET + b"Content-Length: 3\r\n\r\nabc", 413),
        (GET + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n", 413),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n", 400),
        (b"GET /metrics HTTP/1.1\r\n\r\n", 400),
        (GET + b"A: " + b"x" * MAX_HEAD, 431),
        (b"GET /" + b"x" * MAX_HEAD, 431),
    ],
)
def test_what_is_no_question_is_refused(data: bytes, status: int) -> None:
    exchange = Exchange()
    refusal = exchange.receive(data)
    assert isinstance(refusal, Answer)
    assert heard(exchange.answer(refusal))[0] == status


@pytest.mark.parametrize("data", [b"", GET])
def test_who_goes_before_asking_is_told_little(data: bytes) -> None:
    exchange = Exchange()
    assert data == b"" or exchange.receive(data) is None
    refusal = exchange.receive(b"")
    assert isinstance(refusal, Answer)
    assert refusal.status is HTTPStatus.BAD_REQUEST
    assert (exchange.answer(refusal) == b"") is (data == b"")


def test_who_may_ask_is_told() -> None:
    exchange = Exchange()
    refusal = exchange.receive(b"PUT / HTTP/1.1\r\n" + HOST + b"\r\n")
    assert isinstance(refusal, Answer)
    assert heard(exchange.answer(refusal))[1][b"allow"] == b"GET, HEAD"


@given(st.lists(st.binary(max_size=200), max_size=20))
def test_whatever_comes_is_a_question_or_refused(pieces: list[bytes]) -> None:
    exchange = Exchange()
    for piece in [*pieces, b""]:
        found = exchange.receive(piece)
        if found is not None:
            break
    assert found is not None
    if isinstance(found, Answer):
        told = exchange.answer(found)
        assert told == b"" or heard(told)[0] == found.status
