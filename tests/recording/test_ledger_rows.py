from pathlib import Path

import pytest

from agent.model.call import CallDirection
from agent.recording.database import LedgerError
from agent.recording.ledger import CallIntent, Ledger
from agent.recording.ledger_rows import read_rows


async def test_rows_are_read_without_a_daemon(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite", hash_key=b"h" * 32, reserve_bytes=4096)
    await ledger.start()
    for n in range(5):
        await ledger.begin(
            CallIntent(
                call_id=f"call {n}",
                sip_call_id="id",
                route="r",
                direction=CallDirection.INBOUND,
                begun_utc_ns=n + 1,
            )
        )
    await ledger.close()
    rows = read_rows(tmp_path / "ledger.sqlite", limit=2)
    assert [row.call_id for row in rows] == ["call 4", "call 3"]
    assert rows[0].answered_utc_ns is None


def test_no_ledger_to_read(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="cannot be read"):
        read_rows(tmp_path / "none.sqlite")
