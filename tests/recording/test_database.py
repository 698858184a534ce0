import asyncio
import os
import sqlite3
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import uvloop

from agent.recording.database import MAX_BATCH, Database, Haste, LedgerError
from tests.patience import PATIENCE


def make_things(db: sqlite3.Connection) -> None:
    db.execute("CREATE TABLE things (name TEXT PRIMARY KEY, size INT) STRICT")


SCHEMA = (make_things,)


def insert(db: sqlite3.Connection, name: object, size: object = 1) -> None:
    db.execute("INSERT INTO things VALUES (?, ?)", (name, size))


def names(db: sqlite3.Connection) -> list[str]:
    return [row[0] for row in db.execute("SELECT name FROM things ORDER BY name")]


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(tmp_path / "db.sqlite", SCHEMA, reserve_bytes=1 << 16)
    await database.start()
    yield database
    await database.close()


def hold_up(database: Database, until: threading.Event) -> "asyncio.Task[object]":
    """Keep the thread busy, so that what comes meanwhile is one batch."""
    loop = asyncio.get_running_loop()
    return loop.create_task(database.do(lambda _db: until.wait(PATIENCE)))


async def test_many_writers_share_few_commits(database: Database) -> None:
    until = threading.Event()
    holding = hold_up(database, until)
    await asyncio.sleep(0)
    writers = [
        asyncio.ensure_future(database.do(lambda db, n=n: insert(db, f"{n:04}")))  # noqa: TID251
        for n in range(MAX_BATCH + 100)
    ]
    await asyncio.sleep(0)
    until.set()
    await asyncio.gather(holding, *writers)
    assert len(await database.do(names)) == MAX_BATCH + 100
    assert database.commits <= 4


async def test_a_patient_writer_shares_the_next_commit(database: Database) -> None:
    loop = asyncio.get_running_loop()
    before = database.commits
    first = loop.create_task(database.do(lambda db: insert(db, "a"), haste=Haste.LATE))
    second = loop.create_task(database.do(lambda db: insert(db, "b"), haste=Haste.LATE))
    await asyncio.sleep(0)
    assert not first.done()
    # In the order they came: what is asked last sees what the others wrote.
    assert await database.do(names) == ["a", "b"]
    await asyncio.gather(first, second)
    assert database.commits == before + 1


async def test_a_patient_writer_alone_does_not_wait_for_ever(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.recording.database.PATIENCE", 0.001)
    await database.do(lambda db: insert(db, "a"), haste=Haste.LATE)
    await database.do(lambda db: insert(db, "b"), haste=Haste.LATE)
    assert await database.do(names) == ["a", "b"]


def test_writers_in_the_last_half_millisecond_share_a_commit_under_uvloop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Its handle of what is due within that time knows no `when`.
    monkeypatch.setattr("agent.recording.database.PATIENCE", 0.0003)

    async def write() -> list[str]:
        database = Database(tmp_path / "db.sqlite", SCHEMA, reserve_bytes=1 << 16)
        await database.start()
        late = (
            database.do(lambda db, n=n: insert(db, n), haste=Haste.LATE) for n in "ab"
        )
        await asyncio.gather(*late)
        written = await database.do(names)
        await database.close()
        return written

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(write()) == ["a", "b"]


async def test_fair_writers_wait_only_where_writers_are_many(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()

    def write(name: str, haste: Haste) -> "asyncio.Task[None]":
        return loop.create_task(database.do(lambda db: insert(db, name), haste=haste))

    monkeypatch.setattr("agent.recording.database.PATIENCE", 3600.0)
    before = database.commits
    # Nobody has written for an hour, as far as anybody knows.
    await write("a", Haste.FAIR)
    late, fair = write("b", Haste.LATE), write("c", Haste.FAIR)
    await asyncio.sleep(0)
    assert await database.do(names) == ["a", "b", "c"]
    await asyncio.gather(late, fair)
    assert database.commits == before + 2
    # The hour of who came first has passed for who comes now.
    monkeypatch.setattr("agent.recording.database.PATIENCE", 0.0)
    await write("d", Haste.FAIR)
    assert database.commits == before + 3


async def test_a_fair_writer_is_not_held_up_by_a_late_one(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    await database.do(names)
    monkeypatch.setattr("agent.recording.database.PATIENCE", 3600.0)
    late = loop.create_task(database.do(lambda db: insert(db, "a"), haste=Haste.LATE))
    await asyncio.sleep(0)
    monkeypatch.setattr("agent.recording.database.PATIENCE", 0.01)
    async with asyncio.timeout(PATIENCE):
        await database.do(lambda db: insert(db, "b"), haste=Haste.FAIR)
        await late
    assert await database.do(names) == ["a", "b"]


async def test_a_patient_writer_is_finished_at_the_close(
    database: Database, tmp_path: Path
) -> None:
    writer = asyncio.get_running_loop().create_task(
        database.do(lambda db: insert(db, "last"), haste=Haste.LATE)
    )
    await asyncio.sleep(0)
    await database.close()
    await writer
    with sqlite3.connect(tmp_path / "db.sqlite") as other:
        assert names(other) == ["last"]
    other.close()


async def test_what_do_returned_for_is_on_disk(
    database: Database, tmp_path: Path
) -> None:
    await database.do(lambda db: insert(db, "one"))
    with sqlite3.connect(tmp_path / "db.sqlite") as other:
        assert names(other) == ["one"]
        [row] = other.execute("PRAGMA journal_mode").fetchall()
    other.close()
    assert row == ("wal",)
    assert await database.do(
        lambda db: db.execute("PRAGMA synchronous").fetchone()
    ) == (
        2,  # FULL
    )


@pytest.mark.parametrize("mistake", ["twice", "type", "overflow", "raises", "sql"])
async def test_one_writers_mistake_is_not_anothers(
    database: Database, mistake: str
) -> None:
    await database.do(lambda db: insert(db, "there"))

    def wrong(db: sqlite3.Connection) -> None:
        insert(db, "half done")
        match mistake:
            case "twice":
                insert(db, "there")
            case "type":
                insert(db, "x", "not a number")
            case "overflow":
                insert(db, "x", 1 << 70)
            case "raises":
                raise KeyError("mine")
            case "sql":
                db.execute("SELECT 1 WHERE ?", ())

    until = threading.Event()
    holding = hold_up(database, until)
    loop = asyncio.get_running_loop()
    before = loop.create_task(database.do(lambda db: insert(db, "before")))
    bad = loop.create_task(database.do(wrong))
    after = loop.create_task(database.do(lambda db: insert(db, "after")))
    await asyncio.sleep(0)
    until.set()
    await asyncio.gather(holding, before, after)
    kind = {"overflow": OverflowError, "raises": KeyError}.get(mistake, LedgerError)
    with pytest.raises(kind):
        await bad
    assert await database.do(names) == ["after", "before", "there"]


async def test_a_fault_of_the_file_is_everybodys_and_passes(database: Database) -> None:
    def broken(db: sqlite3.Connection) -> None:
        db.execute("SELECT * FROM nothing")  # OperationalError, as for a bad disk

    with pytest.raises(LedgerError, match="cannot be written"):
        await database.do(broken)
    await database.do(lambda db: insert(db, "one"))
    assert await database.do(names) == ["one"]


async def test_close_finishes_what_waits_and_refuses_more(database: Database) -> None:
    until = threading.Event()
    holding = hold_up(database, until)
    await asyncio.sleep(0)
    loop = asyncio.get_running_loop()
    waiting = loop.create_task(database.do(lambda db: insert(db, "last")))
    await asyncio.sleep(0)
    closing = loop.create_task(database.close())
    await asyncio.sleep(0)
    with pytest.raises(LedgerError, match="closed"):
        await database.do(names)
    until.set()
    await asyncio.gather(holding, waiting, closing)
    await database.close()


async def test_before_start(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="closed"):
        await Database(tmp_path / "x", SCHEMA, reserve_bytes=0).do(names)


async def test_a_cancelled_waiter_harms_nobody(database: Database) -> None:
    until = threading.Event()
    holding = hold_up(database, until)
    await asyncio.sleep(0)
    waiter = asyncio.get_running_loop().create_task(
        database.do(lambda db: insert(db, "one"))
    )
    await asyncio.sleep(0)
    waiter.cancel()
    until.set()
    await holding
    assert await database.do(names) == ["one"]


async def test_what_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "db.sqlite").write_bytes(b"this is no database" * 100)
    for path in (tmp_path / "missing" / "db.sqlite", tmp_path / "db.sqlite"):
        database = Database(path, SCHEMA, reserve_bytes=0)
        with pytest.raises(LedgerError, match="cannot be opened"):
            await database.start()
        with pytest.raises(LedgerError):
            await database.do(names)
        await database.close()


async def test_nobody_else_reads_its_files(database: Database, tmp_path: Path) -> None:
    await database.do(lambda db: insert(db, "one"))
    files = await asyncio.to_thread(
        lambda: {path.name: path.stat() for path in tmp_path.iterdir()}
    )
    assert set(files) == {"db.sqlite", "db.sqlite-wal", "db.sqlite-shm", "db.reserve"}
    assert {status.st_mode & 0o777 for status in files.values()} == {0o600}
    assert files["db.reserve"].st_blocks * 512 >= 1 << 16


# -- a full disk ------------------------------------------------------------------


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    place = tmp_path / "tiny"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=0700", "tmpfs", str(place)]
    if os.geteuid() != 0:
        pytest.skip("mounting a file system needs root")
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(place: Path) -> None:
    """Take all that is left."""
    with (place / "filler").open("ab", buffering=0) as file:
        try:
            while file.write(bytes(512)):
                pass
        except OSError:
            return


@pytest.mark.crash
async def test_the_reserve_on_a_full_disk(tiny: Path) -> None:
    database = Database(tiny / "db.sqlite", SCHEMA, reserve_bytes=1 << 17)
    await database.start()
    for n in range(20):
        await database.do(lambda db, n=n: insert(db, f"before {n}"))
    fill(tiny)

    async def insert_many() -> None:
        for n in range(100_000):
            await database.do(lambda db, n=n: insert(db, f"{n:06}"), grows=True)

    with pytest.raises(LedgerError, match="disk is full"):
        await insert_many()
    # A row takes about 25 bytes twice, in the table and its index: the reserve went
    # into rows, not into the log.
    assert len(await database.do(names)) > (1 << 17) / 100
    assert not (tiny / "db.reserve").exists()
    with pytest.raises(LedgerError, match="no room"):
        await database.do(lambda db: insert(db, "one more"), grows=True)
    # Rows that stand can be changed, however long the disk stays full.
    for n in range(1000):
        await database.do(
            lambda db, n=n: db.execute(
                "UPDATE things SET size = ? WHERE name = ?", (n, f"before {n % 20}")
            )
        )
    (tiny / "filler").unlink()
    await database.do(lambda db: insert(db, "after"))
    await database.do(names)  # the thread sees to the reserve between two turns
    assert (tiny / "db.reserve").exists()
    await database.close()


@pytest.mark.crash
async def test_a_start_on_a_full_disk(tiny: Path) -> None:
    database = Database(tiny / "db.sqlite", SCHEMA, reserve_bytes=1 << 17)
    await database.start()
    await database.do(lambda db: insert(db, "before"))
    await database.close()
    fill(tiny)
    database = Database(tiny / "db.sqlite", SCHEMA, reserve_bytes=1 << 17)
    await database.start()
    await database.do(lambda db: insert(db, "now"))
    assert await database.do(names) == ["before", "now"]
    await database.close()
