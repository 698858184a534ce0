"""A thousand calls over a network that loses: none lost, none doubled, all closed."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from tests.lab.daemon import Daemon
from tests.lab.sipp import Sipp
from tests.patience import PATIENCE

pytestmark = pytest.mark.integration

CALLS = 1000
RATE = 50
LOST = 5
"Percent of the messages each sipp sends, and of those it receives."


@pytest.mark.interop("sipp", "1,000 calls at 50/s, 5 % of the messages lost each way")
async def test_a_thousand_calls_over_a_lossy_network(
    daemon: Daemon, tmp_path: Path
) -> None:
    # The officer ends each call, so that none can be given up before its answer.
    with (
        Sipp(
            tmp_path,
            "officer-hangs-up",
            port=daemon.officers[0],
            calls=CALLS,
            pause=0.3,
            lost=LOST,
            timeout=120,
        ),
        Sipp(
            tmp_path,
            "caller-on-a-bad-line",
            port=daemon.caller,
            remote=daemon.sip,
            calls=CALLS,
            rate=RATE,
            lost=LOST,
            timeout=120,
        ) as caller,
    ):
        await caller.succeeds()
        await daemon.logged("ended", count=CALLS, timeout=60)
    await daemon.logged("stored", count=CALLS, timeout=120)
    ended = daemon.log("ended")
    assert Counter(line["outcome"] for line in ended) == {"recorded": CALLS}
    assert Counter(line["cause"] for line in ended) == {"officer-hangup": CALLS}
    assert len({line["call_id"] for line in ended}) == CALLS
    async with asyncio.timeout(PATIENCE):
        while any(row.outcome is None for row in daemon.rows()):
            await asyncio.sleep(0.1)
    rows = daemon.rows()
    assert Counter(str(row.outcome) for row in rows) == {"recorded": CALLS}
    made = [recording.recording_id for row in rows for recording in row.recordings]
    assert len(made) == CALLS
    assert set(made) == set(daemon.stored(".wav.age"))
    bad = {"task_failed", "call_failed", "call_stuck", "invite_failed", "part_failed"}
    assert [line for line in daemon.log() if line["event"] in bad] == []
