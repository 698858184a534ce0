import sqlite3
from pathlib import Path

import pytest

from agent.recording.database import LedgerError
from agent.recording.ledger import Ledger
from agent.recording.ledger_reading import opened


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    ledger = Ledger(tmp_path / "ledger.sqlite", hash_key=b"h" * 32, reserve_bytes=4096)
    await ledger.start()
    await ledger.close()
    return tmp_path / "ledger.sqlite"


async def test_it_is_read_and_never_written(path: Path) -> None:
    with opened(path) as db:
        assert db.execute("SELECT count(*) FROM calls").fetchone() == (0,)
    with pytest.raises(LedgerError, match="readonly"), opened(path) as db:
        db.execute("DELETE FROM calls")
    with pytest.raises(sqlite3.ProgrammingError):
        db.execute("SELECT 1")  # closed, whatever happened


async def test_another_version_is_not_read(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(LedgerError, match="version 99") as caught, opened(path):
        pass
    assert caught.value.hint


def test_no_ledger_to_read(tmp_path: Path) -> None:
    with (
        pytest.raises(LedgerError, match="cannot be read"),
        opened(tmp_path / "none.sqlite"),
    ):
        pass
    assert not list(tmp_path.iterdir()), "nor is one made"
