from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
import structlog

from agent.archive.audit_log import AuditLogError
from agent.archive.audit_verification import read_rows
from agent.archive.key_files import KeyringBusyError, KeyringError
from agent.archive.keyring import Keyring
from agent.archive.reconciling import Place
from agent.gate import opening
from agent.gate.config import StoreLogConfig
from agent.gate.opening import (
    Opened,
    UnknownGateError,
    read_identities,
)
from agent.gate.publishing import list_key, publish
from agent.gate.targets import open_targets
from agent.retention.telephony_host import TelephonyHostError
from agent.upload.backend import StorageError
from agent.upload.config import StorageConfig
from tests.formats.rosters import signing_key
from tests.gate.rig import Clock
from tests.gate.site import GateSite, gate_site


@pytest.fixture
async def site(tmp_path: Path) -> GateSite:
    made = gate_site(tmp_path)
    await make_keyring(made)
    return made


async def make_keyring(site: GateSite) -> None:
    config = site.config()
    folder = site.folder / config.keyring.folder
    identities = read_identities(config, site.secrets())
    keyring = await Keyring.create(folder, identities, kind=config.keyring.key_kind)
    site.name_gate(keyring.signing_key.public)
    keyring.close()


@asynccontextmanager
async def gate(site: GateSite, **more: object) -> AsyncIterator[Opened]:
    config, secrets = site.config(), site.secrets()
    targets = open_targets(config, site.folder, secrets)
    spool = site.folder / "no-spool"
    async with opening.opened(
        config, site.folder, secrets, targets, **{"spool": spool, **more}
    ) as opened:
        yield opened


async def rows(opened: Opened) -> list[tuple[str, str]]:
    keys = opened.parts.roster().gate_keys()
    return [
        (row.who, row.act)
        async for row in read_rows(opened.parts.archive.locked, "gate", keys)
    ]


async def test_a_gate_that_came_up_has_proven_its_log(site: GateSite) -> None:
    async with gate(site) as opened:
        assert await rows(opened) == [("gate", "start"), ("gate", "config")]
        with pytest.raises(KeyringBusyError):
            async with gate(site):
                pass
    async with gate(site) as again:
        acts = [act for _, act in await rows(again)]
        assert acts == ["start", "config", "stop", "start"]


async def test_the_first_run_makes_keys_and_publishes_them(site: GateSite) -> None:
    async with gate(site) as opened:
        await opened.schedule.run(opened.parts.clock())
        assert len(opened.parts.keyring.days()) == 8
        assert opened.schedule.last_run() == opened.parts.today()


async def test_a_telephony_host_is_no_place_for_it(
    site: GateSite, tmp_path: Path
) -> None:
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool" / "lock").touch()
    with pytest.raises(TelephonyHostError):
        async with gate(site, spool=tmp_path / "spool"):
            pass


async def test_a_gate_that_the_roster_does_not_name_is_none(site: GateSite) -> None:

    site.name_gate(signing_key("another").public)
    with pytest.raises(UnknownGateError, match="ssh-ed25519"):
        async with gate(site):
            pass
    site.name_gate(signing_key("another").public)


async def test_storage_that_is_away_keeps_it_from_coming_up(site: GateSite) -> None:
    (site.folder / "locked").rmdir()
    with pytest.raises(StorageError):
        async with gate(site):
            pass


async def test_a_log_that_was_cut_off_while_the_gate_was_down_is_named(
    site: GateSite,
) -> None:
    async with gate(site):
        pass
    last = max((site.folder / "locked" / "audit").rglob("*.json"))
    last.unlink()
    with pytest.raises(AuditLogError):
        async with gate(site):
            pass


async def test_a_keyring_from_an_old_backup_is_named(site: GateSite) -> None:
    clock = Clock()
    async with gate(site, clock=clock) as opened:
        keyring = opened.parts.keyring
        await keyring.generate_until(opened.parts.today(), today=opened.parts.today())
        await publish(opened.parts)
        day = opened.parts.today() + timedelta(1)
        await keyring.generate_until(day, today=day)
        await publish(opened.parts)
    ring = site.folder / "keyring"
    (ring / "days" / f"{day}.1.age").unlink()
    (ring / "serial").write_bytes(b"1")
    with pytest.raises(KeyringError, match="older than the list 2"):
        async with gate(site, clock=clock):
            pass
    (ring / "serial").write_bytes(b"2")
    with structlog.testing.capture_logs() as lines:
        async with gate(site, clock=clock):
            pass
    assert {"event": "day_keys_lost", "keys": [f"{day}.1"], "log_level": "error"} in (
        lines
    )


async def test_a_list_that_somebody_else_wrote_is_named(site: GateSite) -> None:
    async with gate(site) as opened:
        await publish(opened.parts)
    path = site.folder / "state" / list_key(1)
    path.chmod(0o600)
    data = path.read_bytes()
    path.write_bytes(data[:30] + bytes([data[30] ^ 1]) + data[31:])
    with pytest.raises(KeyringError, match="not this gate's"):
        async with gate(site):
            pass


def test_the_stores_own_log_is_the_first_storages(tmp_path: Path) -> None:
    config = gate_site(tmp_path).config()
    assert opening.store_log_of(config, tmp_path) is None
    storage = StorageConfig(
        locked_url="s3://locked/a", url="s3://state/a/b", endpoint="https://s3.test",
        region="FI", credentials="keys",
    )  # fmt: skip
    told = StoreLogConfig(files=("today", "/var/log/yesterday"), users=("gate",))
    config = msgspec.structs.replace(config, storage=(storage,), store_log=told)
    store_log = opening.store_log_of(config, tmp_path)
    assert store_log is not None
    assert store_log.files == (tmp_path / "today", Path("/var/log/yesterday"))
    assert store_log.place == Place("state", "a/b", frozenset({"gate"}))
