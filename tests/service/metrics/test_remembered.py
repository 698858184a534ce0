import asyncio

from structlog.testing import capture_logs

from agent.common.errors import AgentError
from agent.service.metrics.remembered import Remembered


async def test_it_is_read_when_it_is_old() -> None:
    values = iter((1, 2))
    value = Remembered("number", lambda: next(values), seconds=5.0)
    assert value() is None
    for now, expected in ((0.0, 1), (4.9, 1), (5.0, 2)):
        await value.refresh(now)
        assert value() == expected


async def test_many_ask_and_one_reads() -> None:
    values = iter((1, 2))
    value = Remembered("number", lambda: next(values), seconds=5.0)
    await asyncio.gather(*(value.refresh(0.0) for _ in range(5)))
    assert value() == 1


async def test_what_cannot_be_read_is_said_and_not_known() -> None:
    answers: list[Exception | int] = [7, OSError(5, "gone"), AgentError("no"), 8]

    def read() -> int:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    value = Remembered("number", read, seconds=1.0)
    seen = []
    with capture_logs() as lines:
        for now in range(4):
            await value.refresh(float(now))
            seen.append(value())
    assert seen == [7, None, None, 8]
    assert [(line["event"], line["what"]) for line in lines] == [
        ("metric_unreadable", "number"),
        ("metric_unreadable", "number"),
    ]
