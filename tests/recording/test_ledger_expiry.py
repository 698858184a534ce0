import sqlite3
from pathlib import Path

import pytest

from agent.common.clock import utc_ns
from agent.model.call import CallDirection, Outcome
from agent.recording import ledger_expiry as expiry
from agent.recording.ledger import CallIntent, Ledger, read_rows
from agent.recording.ledger_expiry import EXPIRY_INTERVAL, RETENTION_NS

KEY = b"h" * 32
NOW = utc_ns()


def intent(call_id: str, *, begun: int = NOW) -> CallIntent:
    return CallIntent(
        call_id=call_id,
        sip_call_id=call_id,
        route="service",
        direction=CallDirection.INBOUND,
        begun_utc_ns=begun,
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


async def test_rows_expire_but_no_open_call(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.recording.ledger.EXPIRED_AT_ONCE", 4)
    ledger = Ledger(path, hash_key=KEY, reserve_bytes=0)
    await ledger.start()
    # As written then: `begin` expires by the time it is given.
    old = NOW - RETENTION_NS - 1000
    for n in range(EXPIRY_INTERVAL):
        await ledger.begin(intent(f"old {n}", begun=old + n))
        await ledger.segment(f"old {n}", f"recording {n}", "", old)
        if n != 3:
            await ledger.close_call(f"old {n}", Outcome.RECORDED, ended_utc_ns=old)
    for more, gone in (("new", 4), ("newer", 0)):
        before = len(await ledger.open_recordings())
        await ledger.begin(intent(more))
        assert len(await ledger.open_recordings()) == before - gone
    rows = {row.call_id for row in read_rows(path)}
    assert len(rows) == EXPIRY_INTERVAL - 4 + 2
    assert "old 3" in rows
    await ledger.close()
    ledger = Ledger(path, hash_key=KEY, reserve_bytes=0)
    await ledger.start()
    assert {row.call_id for row in read_rows(path)} == {"old 3", "new", "newer"}
    assert [r.recording_id for r in await ledger.open_recordings()] == ["recording 3"]
    await ledger.expire(NOW + 1)
    left = {row.call_id for row in await ledger.open_calls()}
    assert left == {"old 3", "new", "newer"}
    await ledger.close()


async def test_of_no_call_now_is_the_newest_moment(path: Path) -> None:
    ledger = Ledger(path, hash_key=KEY, reserve_bytes=0)
    await ledger.start()
    db = sqlite3.connect(path)
    assert expiry.newest(db, NOW) == NOW
    await ledger.begin(intent("last", begun=NOW - 7))
    await ledger.begin(intent("of a clock that was ahead", begun=NOW + 7))
    assert expiry.newest(db, NOW) == NOW - 7
    db.close()
    await ledger.close()
