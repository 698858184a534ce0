import random
from pathlib import Path

import msgspec
import pytest
from structlog.testing import capture_logs

from agent.archive.audit_verification import read_rows, writers
from agent.archive.host_log import HostLog
from agent.formats.audit import Row
from agent.service.commands import PauseRequest, ResumeRequest
from agent.service.config import Config, decode
from agent.service.witness import Witness, config_digest
from agent.upload.backends.memory import MemoryBackend
from tests.archive.logs import KEY, Clock
from tests.service.test_commands import STATUS
from tests.service.test_config import minimal


class Host:
    """Its spool and one storage."""

    def __init__(self, spool: Path) -> None:
        self.spool = spool
        self.storage = MemoryBackend()
        self.config = decode(minimal())

    def witness(self) -> Witness:
        log = HostLog(
            self.spool / "audit",
            "host-a",
            KEY,
            [("storage", self.storage)],
            clock=Clock(),
            rng=random.Random(1),
        )
        return Witness(log, self.config, self.spool)

    async def life(self) -> None:
        witness = self.witness()
        await witness.start()
        await witness.stop()

    async def rows(self) -> list[Row]:
        [writer] = await writers(self.storage)
        return [row async for row in read_rows(self.storage, writer, [KEY.public])]


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


async def test_a_change_of_configuration_is_written_down_once(host: Host) -> None:
    await host.life()
    await host.life()
    host.config = msgspec.structs.replace(host.config, routes=())
    await host.life()
    rows = await host.rows()
    assert [row.act for row in rows] == [
        "start", "config", "stop", "start", "stop", "start", "config", "stop",
    ]  # fmt: skip
    digests = [row.detail["digest"] for row in rows if row.act == "config"]
    assert digests[1] == config_digest(host.config) != digests[0]


async def test_what_happens_to_the_host_is_written_down(host: Host) -> None:
    witness = host.witness()
    await witness.start()
    witness.command(PauseRequest(call_id="c", reason="card"), "uid:0", STATUS)
    witness.command(ResumeRequest(call_id="c"), "uid:0", STATUS)
    witness.reloaded()
    witness.drained("uid:0")
    witness.undrained("uid:0")
    witness.problem("index-key-missing")
    await witness.stop()
    assert [(row.act, row.result, row.detail) for row in (await host.rows())[2:]] == [
        ("pause", "ok", {"by": "uid:0", "reason": "card", "call": "call-one"}),
        ("resume", "ok", {"by": "uid:0", "call": "call-one"}),
        ("config", "ok", {"what": "reload"}),
        ("drain", "ok", {"by": "uid:0"}),
        ("undrain", "ok", {"by": "uid:0"}),
        ("key-problem", "problem", {"what": "index-key-missing"}),
        ("stop", "ok", {}),
    ]


async def test_a_log_that_cannot_be_continued_stops_no_recording(host: Host) -> None:
    await host.life()
    path = next((host.spool / "audit").rglob("*.json"))
    path.write_bytes(b"")
    witness = host.witness()
    with capture_logs() as logs:
        await witness.start()
    assert [line["event"] for line in logs] == ["audit_log_unusable"]
    await witness.run()
    witness.reloaded()
    await witness.stop()


async def test_a_full_disk_stops_no_recording(host: Host) -> None:
    (host.spool / "config-digest").mkdir()
    with capture_logs() as logs:
        await host.life()
    assert [line["event"] for line in logs] == ["config_digest_lost"]
    assert [row.act for row in await host.rows()] == ["start", "config", "stop"]
    host.spool = host.spool / "none"
    host.spool.write_bytes(b"")
    with capture_logs() as logs:
        await host.life()
    assert [line["event"] for line in logs] == ["audit_log_unusable"]


async def test_without_a_key_nothing_is_written(host: Host) -> None:
    witness = Witness(None, host.config, host.spool)
    await witness.start()
    witness.reloaded()
    await witness.run()
    await witness.stop()
    assert list(host.spool.iterdir()) == []


def test_a_digest_is_of_what_is_configured() -> None:
    config: Config = decode(minimal())
    assert config_digest(config) == config_digest(decode(minimal()))
    assert config_digest(config) != config_digest(
        msgspec.structs.replace(config, routes=())
    )
