from pathlib import Path

import pytest

from agent.model.call import Outcome
from agent.recording.ledger import CallIntent, Ledger, count_outcomes, read_rows
from agent.recording.ledger_query import OPEN, Wanted

BEGUN = 1_795_437_296_000_000_000
SECOND = 10**9


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """Four calls, a second apart: the last one still runs."""
    path = tmp_path / "ledger.sqlite"
    ledger = Ledger(path, hash_key=b"k" * 32)
    await ledger.start()
    outcomes = (Outcome.RECORDED, Outcome.RECORDED, Outcome.ABANDONED, None)
    for number, outcome in enumerate(outcomes):
        begun = BEGUN + number * SECOND
        await ledger.begin(
            CallIntent(
                call_id=f"call-{number}%_",
                sip_call_id="x",
                route="in",
                direction="inbound",
                begun_utc_ns=begun,
            )
        )
        if outcome is not None:
            ended = begun + 10 * SECOND
            await ledger.close_call(
                f"call-{number}%_", outcome, ended_utc_ns=ended, cause=""
            )
    await ledger.close()
    return path


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Wanted(), "3210"),
        (Wanted(outcome=Outcome.RECORDED), "10"),
        (Wanted(outcome=OPEN), "3"),
        (Wanted(call_id="call-2"), "2"),
        (Wanted(call_id="%"), ""),
        (Wanted(since_utc_ns=BEGUN + 2 * SECOND), "32"),
        (Wanted(ended_after_utc_ns=BEGUN + 11 * SECOND), "2"),
        (Wanted(outcome=Outcome.RECORDED, since_utc_ns=BEGUN + SECOND), "1"),
    ],
)
async def test_only_what_is_wanted(path: Path, wanted: Wanted, found: str) -> None:
    rows = read_rows(path, wanted=wanted)
    assert [row.call_id.removesuffix("%_")[-1] for row in rows] == list(found)


async def test_outcomes_are_counted(path: Path) -> None:
    assert count_outcomes(path, BEGUN + SECOND) == {
        Outcome.RECORDED: 1,
        Outcome.ABANDONED: 1,
    }
