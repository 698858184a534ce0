import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from agent.model.call import CallDirection, Outcome
from agent.recording.database import LedgerError
from agent.recording.ledger import CallIntent, Ledger, read_rows
from agent.recording.ledger_schema import VERSION

BEFORE_VERDICTS = """
CREATE TABLE calls (
    call_id TEXT PRIMARY KEY,
    sip_call_hash BLOB NOT NULL,
    route TEXT NOT NULL,
    direction TEXT NOT NULL,
    begun_utc_ns INTEGER NOT NULL,
    ended_utc_ns INTEGER,
    outcome TEXT,
    cause TEXT NOT NULL DEFAULT '',
    sip_status INTEGER,
    missing_ms INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX calls_begun ON calls (begun_utc_ns);
CREATE TABLE recordings (
    recording_id TEXT PRIMARY KEY,
    call_id TEXT NOT NULL,
    segment_group TEXT NOT NULL,
    state TEXT NOT NULL,
    started_utc_ns INTEGER NOT NULL,
    changed_utc_ns INTEGER NOT NULL
) STRICT;
CREATE INDEX recordings_call ON recordings (call_id);
"""
"As it was made before verdicts, and before versions were counted."
VERDICT = "ALTER TABLE recordings ADD COLUMN verdict TEXT NOT NULL DEFAULT '';"
BEGUN = 1 << 62


def make(path: Path, schema: str, version: int = 0) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.executescript(f"PRAGMA journal_mode = WAL; {schema}")
        db.execute(
            "INSERT INTO calls (call_id, sip_call_hash, route, direction,"
            " begun_utc_ns) VALUES ('old', x'00', 'r', 'inbound', ?)",
            (BEGUN,),
        )
        db.execute(
            "INSERT INTO recordings (recording_id, call_id, segment_group, state,"
            " started_utc_ns, changed_utc_ns) VALUES ('one', 'old', 'g', 'open', 1, 1)"
        )
        db.execute(f"PRAGMA user_version = {version}")
        db.commit()


def version_of(path: Path) -> int:
    with closing(sqlite3.connect(path)) as db:
        return int(db.execute("PRAGMA user_version").fetchone()[0])


def layout(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Each table's columns and the indexes, as SQLite sees them."""
    with closing(sqlite3.connect(path)) as db:
        return {
            table: db.execute(f"PRAGMA {what}({table})").fetchall()
            for table in ("calls", "recordings")
            for what in ("table_info", "index_list")
        }


async def record(ledger: Ledger, call_id: str) -> None:
    intent = CallIntent(
        call_id=call_id,
        sip_call_id="x",
        route="r",
        direction=CallDirection.INBOUND,
        begun_utc_ns=BEGUN + 1,
    )
    await ledger.begin(intent)
    await ledger.segment(call_id, f"of {call_id}", "g", 2)
    await ledger.close_call(call_id, Outcome.RECORDED, ended_utc_ns=BEGUN + 2)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


@pytest.mark.parametrize("schema", ["", BEFORE_VERDICTS, BEFORE_VERDICTS + VERDICT])
async def test_every_ledger_becomes_todays(
    path: Path, tmp_path: Path, schema: str
) -> None:
    if schema:
        make(path, schema)
        with pytest.raises(LedgerError, match="of version 0"):
            read_rows(path)
    for name in ("call", "after another start"):
        ledger = Ledger(path, hash_key=b"h", reserve_bytes=0)
        await ledger.start()
        assert ledger.set_aside is None
        await record(ledger, name)
        await ledger.close()
    assert version_of(path) == VERSION
    fresh = Ledger(tmp_path / "fresh.sqlite", hash_key=b"h", reserve_bytes=0)
    await fresh.start()
    await fresh.close()
    assert layout(path) == layout(tmp_path / "fresh.sqlite")
    rows = {row.call_id: row for row in read_rows(path)}
    assert set(rows) == {"call", "after another start"} | ({"old"} if schema else set())
    if schema:
        [recording] = rows["old"].recordings
        assert (recording.recording_id, recording.verdict) == ("one", "")


async def test_a_newer_ledger_is_set_aside_and_calls_are_recorded(
    path: Path, tmp_path: Path
) -> None:
    newer = BEFORE_VERDICTS + VERDICT + "CREATE TABLE unheard_of (x INT);"
    for turn, name in enumerate(("ledger.v99.sqlite", "ledger.v99.sqlite.1")):
        make(path, newer, version=99)
        with pytest.raises(LedgerError, match="of version 99") as caught:
            read_rows(path)
        assert "version of this software that wrote it" in caught.value.hint
        ledger = Ledger(path, hash_key=b"h", reserve_bytes=0)
        await ledger.start()
        assert ledger.set_aside == tmp_path / name
        await record(ledger, "call")
        await ledger.close()
        assert [row.call_id for row in read_rows(path)] == ["call"]
        assert version_of(tmp_path / name) == 99
        with closing(sqlite3.connect(tmp_path / name)) as db:
            assert db.execute("SELECT call_id FROM calls").fetchall() == [("old",)]
        if not turn:
            path.unlink()


async def test_a_migration_that_fails_changes_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(db: sqlite3.Connection) -> None:
        db.execute("CREATE TABLE half_done (x INT)")
        db.execute("SELECT * FROM nothing")

    make(path, BEFORE_VERDICTS)
    before = layout(path)
    monkeypatch.setattr("agent.recording.ledger.MIGRATIONS", (half,))
    ledger = Ledger(path, hash_key=b"h", reserve_bytes=0)
    with pytest.raises(LedgerError, match="cannot be opened"):
        await ledger.start()
    assert layout(path) == before
    assert version_of(path) == 0
    with closing(sqlite3.connect(path)) as db:
        tables = db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        assert ("half_done",) not in tables.fetchall()
