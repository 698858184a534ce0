import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from agent.common.catalogue import CATALOGUE
from agent.common.tasks import TaskSet
from agent.recording.ledger import LedgerError
from agent.service import outcome_watch
from agent.service.outcome_watch import watch_outcomes


class Clock:
    """Moves on by ten seconds with each look."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 10.0
        return self.now


class Calls:
    """What the ledger says, look by look; the last for ever."""

    def __init__(self, *looks: list[str] | Exception) -> None:
        self.looks = list(looks)
        self.count = 0

    def __call__(self) -> list[str]:
        self.count += 1
        look = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        if isinstance(look, Exception):
            raise look
        return look


async def watched(
    ledger: Calls, runs: Callable[[str], bool], looks: int
) -> list[tuple[str, Any]]:
    failures: list[BaseException] = []
    tasks = TaskSet(lambda _, error: failures.append(error))
    with capture_logs() as lines:
        tasks.spawn(watch_outcomes(ledger, runs), name="outcomes")
        while ledger.count < looks and not failures:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        await tasks.close()
    assert failures == []
    return [(line["event"], line.get("call_id")) for line in lines]


@pytest.fixture(autouse=True)
def driven(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outcome_watch, "monotonic", Clock())
    monkeypatch.setattr(outcome_watch, "EVERY", 0.0)
    structlog.reset_defaults()


async def test_a_call_that_is_over_and_has_no_outcome_is_told() -> None:
    ledger = Calls(*[["lost", "talks"]] * 9, ["talks"])
    told = await watched(ledger, lambda call: call == "talks", looks=12)
    assert told == [("call_without_outcome", "lost"), ("call_outcome_known", "lost")]
    entry = CATALOGUE["call_without_outcome"]
    assert (entry.raises, entry.cleared_by, entry.by) == (
        True, "call_outcome_known", ("call_id",),
    )  # fmt: skip


async def test_an_outcome_within_a_minute_is_in_time() -> None:
    ledger = Calls(*[["a"]] * 6, [])
    assert await watched(ledger, lambda _: False, looks=12) == []


async def test_where_the_ledger_cannot_be_read_it_looks_again() -> None:
    ledger = Calls(LedgerError("gone."), *[["a"]] * 9, [])
    told = await watched(ledger, lambda _: False, looks=12)
    assert [event for event, _ in told] == [
        "outcomes_unreadable", "call_without_outcome", "call_outcome_known",
    ]  # fmt: skip
