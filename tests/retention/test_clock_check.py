from datetime import date

import pytest

from agent.archive.documents import PLAIN
from agent.retention.clock_check import ClockError, check_clock
from agent.retention.mark_store import MarkStore
from agent.retention.marks import Mark
from agent.upload.backends.memory import MemoryBackend

NOW_NS = 1_795_000_000_000_000_000
SECOND_NS = 10**9
MARK = Mark.of(date(2026, 11, 23), [], NOW_NS, "P1Y")


async def test_clocks_that_agree_are_believed() -> None:
    home = MemoryBackend(clock=lambda: NOW_NS)
    for ahead in (-600, 0, 600):
        await check_clock(MarkStore(home, PLAIN), MARK, NOW_NS + ahead * SECOND_NS)
    assert Mark.parse(home.objects[MARK.key]) == MARK


@pytest.mark.parametrize("ahead", [-601, 601, 365 * 86_400])
async def test_others_are_not(ahead: int) -> None:
    home = MemoryBackend(clock=lambda: NOW_NS)
    with pytest.raises(ClockError, match="differ by more than 600 s"):
        await check_clock(MarkStore(home, PLAIN), MARK, NOW_NS + ahead * SECOND_NS)
    await check_clock(
        MarkStore(home, PLAIN), MARK, NOW_NS + ahead * SECOND_NS, skew=float("inf")
    )
