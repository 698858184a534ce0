import asyncio
import random
import shutil
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from agent.archive.audit_log import AuditBrokenError
from agent.archive.audit_verification import read_rows, verify_log, writers
from agent.archive.host_log import HostLog
from agent.formats.audit import Act, host_of, utc_day
from agent.formats.layout import LayoutError
from agent.upload.backend import StorageError
from agent.upload.backends.memory import MemoryBackend
from tests.archive.logs import DAY, KEY, Clock
from tests.patience import PATIENCE


class Host:
    """A host's spool and two storages, the second of which may be away."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = Clock()
        self.away = False
        self.first, self.second = MemoryBackend(), MemoryBackend(self._before)

    def _before(self, _operation: str, _key: str) -> None:
        if self.away:
            raise StorageError("away.")

    def log(self, name: str = "host-a") -> HostLog:
        return HostLog(
            self.folder,
            name,
            KEY,
            [("first", self.first), ("second", self.second)],
            clock=self.clock,
            rng=random.Random(1),
        )

    def spooled(self) -> list[str]:
        return sorted(path.name for path in self.folder.rglob("*.json"))

    async def life(self, *acts: Act) -> None:
        log = self.log()
        await log.start()
        log.note(Act.START, version="1.0")
        for act in acts:
            log.note(act, by="uid:0")
        await log.close()


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path / "audit")


async def test_what_a_host_did_is_in_every_storage(host: Host) -> None:
    await host.life(Act.PAUSE, Act.RESUME)
    host.clock.now += DAY
    await host.life(Act.STOP)
    for storage in (host.first, host.second):
        [writer] = await writers(storage)
        assert host_of(writer) == "host-a"
        report = await verify_log(storage, writer, [KEY.public], {})
        assert report.whole
        rows = [row async for row in read_rows(storage, writer, [KEY.public])]
        assert [row.act for row in rows] == [
            "start", "pause", "resume", "roll", "start", "stop",
        ]  # fmt: skip
        assert {row.who for row in rows} == {"host-a", writer}
    assert len(host.spooled()) == 1


async def test_a_storage_that_is_away_gets_it_later_and_delays_no_other(
    host: Host,
) -> None:
    host.away = True
    for _ in range(3):
        with capture_logs() as logs:
            await host.life()
        assert [line["storage"] for line in logs] == ["second"]
    assert len(host.first.objects) == 3
    assert len(host.spooled()) == 3
    host.away = False
    await host.life()
    assert host.first.objects == host.second.objects
    assert len(host.first.objects) == 4
    assert len(host.spooled()) == 1


async def test_a_storage_that_hangs_does_not_keep_the_host(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Hanging(MemoryBackend):
        async def put(
            self, key: str, source: Path | bytes, *, sha256: str = ""
        ) -> None:
            await asyncio.Event().wait()

    monkeypatch.setattr("agent.archive.host_log.PARTING", 0.05)
    host.first = Hanging()
    with capture_logs() as logs:
        await host.life()
    assert [line["event"] for line in logs] == ["audit_log_waits"]
    assert len(host.spooled()) == 1


async def test_what_is_written_goes_to_storage_by_itself(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.archive.host_log.GATHER", 0.0)
    monkeypatch.setattr("agent.archive.host_log.delay_after", lambda *_: 0.0)
    stored = asyncio.Event()

    def before(operation: str, _key: str) -> None:
        if operation == "put" and len(calls) < 3:
            calls.append(operation)
            raise StorageError("away.")
        if operation == "put done":
            stored.set()

    calls: list[str] = []
    host.second = MemoryBackend(before)
    log = host.log()
    await log.start()
    with capture_logs() as logs:
        task = asyncio.get_running_loop().create_task(log.run())
        log.note(Act.START)
        await asyncio.wait_for(stored.wait(), PATIENCE)
        task.cancel()
    assert [line["event"] for line in logs] == [
        *["audit_log_not_stored"] * 3,
        "audit_log_stored",
    ]
    await log.close()


async def test_another_who_writes_this_log_is_told(host: Host, tmp_path: Path) -> None:
    await host.life()
    copy = tmp_path / "copy"
    shutil.copytree(host.folder, copy)
    host.clock.now += 1_000_000_000
    await host.life()
    host.folder = copy
    host.clock.now += 1_000_000_000
    with capture_logs() as logs:
        await host.life()
    assert [line["event"] for line in logs] == ["audit_log_not_stored"] * 2
    assert len(host.first.objects) == 2


async def test_a_host_whose_disk_was_lost_begins_another_log(host: Host) -> None:
    await host.life()
    host.folder = host.folder.with_name("new")
    await host.life()
    assert len(await writers(host.first)) == 2


async def test_before_it_starts_nothing_is_written(host: Host) -> None:
    log = host.log()
    log.note(Act.START)
    await log.close()
    assert not host.folder.exists()


async def test_a_row_that_cannot_be_written_is_told(host: Host) -> None:
    log = host.log()
    await log.start()
    with capture_logs() as logs:
        log.note(Act.PAUSE, by="Matti Meikäläinen")
        await log.close()
    assert [line["event"] for line in logs] == ["audit_row_lost"]
    assert "Matti" not in str(logs)


async def test_a_log_that_was_altered_in_the_spool_is_not_continued(host: Host) -> None:
    await host.life()
    path = next(host.folder.rglob("*.json"))
    path.write_bytes(path.read_bytes().replace(b"start", b"stopp"))
    with pytest.raises(AuditBrokenError):
        await host.log().start()
    with pytest.raises(LayoutError):
        await host.log("a host").start()


async def test_after_a_clock_that_was_ahead_it_goes_back(host: Host) -> None:
    for days in (0, 200, -200, 1):
        host.clock.now += days * DAY
        host.away = days == 200  # what waits in the spool keeps its order
        await host.life(Act.PAUSE)
    for storage in (host.first, host.second):
        [writer] = await writers(storage)
        report = await verify_log(storage, writer, [KEY.public], {})
        assert report.findings == ()
        today = utc_day(host.clock.now)
        rows = read_rows(storage, writer, [KEY.public], today, today)
        assert [row.act async for row in rows] == ["start", "pause"]
    assert host.first.objects == host.second.objects
    assert len(host.spooled()) == 1


async def test_a_storage_that_is_back_is_told_once(host: Host) -> None:
    log = host.log()
    await log.start()
    host.away = True
    with capture_logs() as logs:
        log.note(Act.START, version="1.0")
        await log._rows.drain(5)
        assert not await log.ship()
        host.away = False
        assert await log.ship()
        assert await log.ship()
    await log.close()
    assert [(line["event"], line["storage"]) for line in logs] == [
        ("audit_log_not_stored", "second"),
        ("audit_log_stored", "second"),
    ]
