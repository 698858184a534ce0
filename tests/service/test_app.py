import asyncio
import os
import random
import signal
import socket
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent.archive import audit_verification
from agent.common.errors import AgentError
from agent.common.strict_toml import ConfigError
from agent.formats.audit import host_of
from agent.formats.envelope import open_envelope, unwrap
from agent.formats.layout import day_of
from agent.formats.roster import Role
from agent.formats.seal import verify_seal
from agent.identity.config import RosterConfig
from agent.identity.roster import seen_document
from agent.model.media import Address
from agent.recording.finisher import finish
from agent.recording.ledger import read_rows
from agent.recording.spool import Spool
from agent.service.app import Agent
from agent.service.config import load
from agent.service.material import read_material
from agent.service.people import today
from agent.signalling.config import Listener, TlsConfig
from agent.signalling.sip import core as sip
from agent.signalling.sip.core import UserAgentCore
from agent.signalling.sip.timers import DEFAULT_TIMERS
from agent.signalling.sip.uri import NameAddr, parse_uri
from agent.signalling.transport import TransportError
from agent.signalling.useragent import UserAgent
from agent.upload.backends.directory import DirectoryBackend
from tests.cli.conftest import DiskSite
from tests.formats.rosters import ROOT, person, roster, signed
from tests.lab.certificates import Authority
from tests.patience import PATIENCE
from tests.ports import free_ports
from tests.recording.segments import STARTED_AT, quality, write_segment
from tests.service.protected import ProtectedSite


@pytest.fixture
def disk_site(tmp_path: Path) -> DiskSite:
    return DiskSite(tmp_path)


async def hang_up(log: list[dict[str, Any]], told: str) -> dict[str, Any]:
    """Send the signal, and wait for what is said to it."""
    before = len(log)
    os.kill(os.getpid(), signal.SIGHUP)
    while not (found := [e for e in log[before:] if e["event"] == told]):
        await asyncio.sleep(0)
    return found[0]


async def test_it_starts_serves_and_stops(
    disk_site: DiskSite, log: list[dict[str, Any]]
) -> None:
    [disk_site.sip, own] = free_ports(2)
    config = load(disk_site.write())
    agent = Agent(config, disk_site.root)
    ready = asyncio.Event()
    loop = asyncio.get_running_loop()
    served = loop.create_task(agent.serve(ready.set))
    refused = asyncio.Event()
    core = UserAgentCore(
        rng=random.Random(os.urandom(8)), timers=DEFAULT_TIMERS, product="stranger"
    )

    def on_event(event: sip.Event) -> None:
        if isinstance(event, sip.Refused) and event.status == 403:
            refused.set()

    stranger = UserAgent(core, [Listener("udp", Address("127.0.0.1", own))], on_event)
    async with asyncio.timeout(PATIENCE):
        await ready.wait()
        await stranger.start()
        target = parse_uri(f"sip:1@127.0.0.1:{disk_site.sip}")
        core.invite(
            uri=target,
            flow=(await stranger.flows_to(target))[0],
            from_=NameAddr(None, target, ()),
            to=NameAddr(None, target, ()),
            contact=target,
            body=b"x",
            now=stranger.now,
        )
        stranger.flush()
        await refused.wait()
        stranger.close()
        # A second daemon cannot have the spool.
        with pytest.raises(AgentError, match="another daemon"):
            await Agent(config, disk_site.root).serve()
        agent.stop()
        await served
    events = [entry["event"] for entry in log]
    assert "ready" in events
    assert events[-1] == "stopping"
    assert read_rows(disk_site.root / "spool" / "ledger.sqlite") == []


async def test_a_port_in_use_is_said_and_nothing_is_left(
    disk_site: DiskSite, log: list[dict[str, Any]]
) -> None:
    [disk_site.sip] = free_ports(1)
    config = load(disk_site.write())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", disk_site.sip))
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(TransportError, match="cannot listen"):
                await Agent(config, disk_site.root).serve()
    assert not [entry for entry in log if entry["event"] == "ready"]


async def test_a_part_that_fails_ends_the_daemon(
    disk_site: DiskSite, log: list[dict[str, Any]]
) -> None:
    agent = Agent(load(disk_site.write()), disk_site.root)
    agent._part_failed("uploader", ValueError("x"))
    assert agent._stop.is_set()
    assert log[-1]["level"] == "critical"


async def test_who_is_told_to_stop_twice_waits_for_no_call(disk_site: DiskSite) -> None:
    agent = Agent(load(disk_site.write()), disk_site.root)
    hurried: list[bool] = []
    agent._hurry = lambda: hurried.append(True)
    agent.stop()
    assert hurried == []
    agent.stop()
    assert hurried == [True]


async def test_certificates_are_read_again_at_a_hangup_signal(
    disk_site: DiskSite, log: list[dict[str, Any]]
) -> None:
    [disk_site.sip, port] = free_ports(2)
    own = Authority(disk_site.root).issue("127.0.0.1")
    config = load(disk_site.write())
    config = msgspec.structs.replace(
        config,
        sip=msgspec.structs.replace(
            config.sip, listen=(*config.sip.listen, f"tls:127.0.0.1:{port}")
        ),
        tls=TlsConfig(certificate=own.certificate.name, key=own.key.name),
    )
    agent = Agent(config, disk_site.root)
    ready = asyncio.Event()
    served = asyncio.get_running_loop().create_task(agent.serve(ready.set))
    async with asyncio.timeout(PATIENCE):
        await ready.wait()
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=own.client())
        writer.close()
        await writer.wait_closed()
        renewed = Authority(disk_site.root / "renewed").issue("127.0.0.1")
        own.certificate.write_bytes(renewed.certificate.read_bytes())
        own.key.write_bytes(renewed.key.read_bytes())
        await hang_up(log, "configuration_reloaded")
        for _ in range(2):
            _, writer = await asyncio.open_connection(
                "127.0.0.1", port, ssl=renewed.client()
            )
            writer.close()
            await writer.wait_closed()
            # What is no certificate changes nothing.
            own.certificate.write_text("junk")
            await hang_up(log, "configuration_not_reloaded")
        agent.stop()
        await served
    with pytest.raises(ConfigError, match="TLS files cannot be used"):
        read_material(config, disk_site.root)
    own.key.chmod(0o644)
    with pytest.raises(ConfigError, match=r"tls: .*0644"):
        read_material(config, disk_site.root)


async def test_the_roster_is_read_again_at_a_hangup_signal(
    disk_site: DiskSite, log: list[dict[str, Any]]
) -> None:
    [disk_site.sip] = free_ports(1)
    disk_site.recipients, disk_site.directory = (), ""
    path = disk_site.root / "roster.signed"
    path.write_bytes(signed(roster(people=(person("quinn", Role.QUALITY),))))
    config = msgspec.structs.replace(
        load(disk_site.write()),
        roster=RosterConfig(path=path.name, root=str(ROOT.public)),
    )
    agent = Agent(config, disk_site.root)
    ready = asyncio.Event()
    served = asyncio.get_running_loop().create_task(agent.serve(ready.set))
    async with asyncio.timeout(PATIENCE):
        await ready.wait()
        path.write_bytes(b"junk")
        await hang_up(log, "configuration_not_reloaded")
        agent.stop()
        await served
    assert seen_document(disk_site.root / "spool" / "roster-serial").serial == 7


async def test_what_a_dead_daemon_left_is_stored_at_the_next_start(
    disk_site: DiskSite, log: list[dict[str, Any]]
) -> None:
    [disk_site.sip] = free_ports(1)
    config = load(disk_site.write())
    listen = (*config.sip.listen, f"tcp:127.0.0.1:{free_ports(1)[0]}")
    sip_section = msgspec.structs.replace(config.sip, listen=listen)
    config = msgspec.structs.replace(config, sip=sip_section)
    spool = Spool(disk_site.root / "spool")
    spool.prepare()
    segment = write_segment(spool)
    finish(segment.job(spool), spool.root)
    torn = write_segment(spool, whole=False)
    spool.close()
    agent = Agent(config, disk_site.root)
    served = asyncio.get_running_loop().create_task(agent.serve())
    async with asyncio.timeout(PATIENCE):
        while len([e for e in log if e["event"] == "stored"]) < 2:
            await asyncio.sleep(0)
        agent.stop()
        await served
    stored = {p.name for p in (disk_site.root / "locked").rglob("*") if p.is_file()}
    assert f"{segment.id}.wav.age" in stored
    assert any(name.startswith(torn.id) for name in stored)
    assert [e for e in log if e["event"] == "recovered"]
    assert spool.list_sealed() == []


async def test_what_leaves_the_host_is_sealed_indexed_and_within_the_gates_layer(
    disk_site: DiskSite, log: list[dict[str, Any]]
) -> None:
    [disk_site.sip] = free_ports(1)
    site = ProtectedSite(disk_site)
    day = day_of(STARTED_AT)
    config = load(site.write(day + timedelta(days=1)))
    spool = Spool(disk_site.root / "spool")
    spool.prepare()
    segment = write_segment(spool)
    index = read_material(config, site.root).protection.index
    finish(segment.job(spool), spool.root, index=index)
    spool.close()
    agent = Agent(config, disk_site.root)
    served = asyncio.get_running_loop().create_task(agent.serve())
    state, locked = disk_site.root / "state", disk_site.root / "locked"
    async with asyncio.timeout(PATIENCE):
        # Its day has no key: it waits, and calls would go on.
        while not [e for e in log if e["event"] == "recording_not_storable"]:
            await asyncio.sleep(0)
        assert not list(locked.rglob("*.age"))
        # And whenever this runs, its month and the next have theirs.
        days = {day, *(today() + timedelta(days=n) for n in range(9))}
        site.write_lists(*days, serial=2)
        await hang_up(log, "configuration_reloaded")
        agent.stop()
        await served
        agent = Agent(config, disk_site.root)
        served = asyncio.get_running_loop().create_task(agent.serve())
        while not [e for e in log if e["event"] == "stored"]:
            await asyncio.sleep(0)
        agent.stop()
        await served
    [seal] = locked.rglob("*.seal")
    hosts = {"test": [site.host.public]}
    statement = verify_seal(seal.read_bytes(), hosts)
    assert {one.key for one in statement.objects} == {
        str(path.relative_to(locked)) for path in locked.rglob(f"{segment.id}.*.age")
    }
    [outer] = state.rglob("*.key.age")
    inner = unwrap(outer.read_bytes(), [site.day_identity(day)], segment.id)
    assert open_envelope(inner, [quality().identity]).recipient == segment.key.recipient
    names = {path.parts[-3] for path in (state / "index").rglob(segment.id)}
    assert names == {"caller", "officer"}
    backend = DirectoryBackend(locked)
    [writer] = await audit_verification.writers(backend)
    trusted = hosts[host_of(writer)]
    written = audit_verification.read_rows(backend, writer, trusted)
    rows = [row async for row in written]
    assert [row.act for row in rows] == [
        *("start", "config", "key-problem", "key-problem", "config", "stop"),
        *("start", "stop"),
    ]
    assert [row.detail["what"] for row in rows if row.act == "key-problem"] == [
        "index-key-missing",
        "day-key-missing",
    ]
