import asyncio
import os
import random
import signal
import socket
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog

from agent.common.errors import AgentError
from agent.formats.age import KeyKind
from agent.model.media import Address
from agent.recording.finisher import finish
from agent.recording.ledger import read_rows
from agent.recording.spool import Spool
from agent.service.app import Agent, read_material
from agent.service.config import ConfigError, load
from agent.signalling.config import Listener, TlsConfig
from agent.signalling.sip import core as sip
from agent.signalling.sip.core import UserAgentCore
from agent.signalling.sip.timers import DEFAULT_TIMERS
from agent.signalling.sip.uri import NameAddr, parse_uri
from agent.signalling.transport import TransportError
from agent.signalling.useragent import UserAgent
from tests.cli.conftest import DiskSite, identity
from tests.lab.certificates import Authority
from tests.ports import free_ports
from tests.recording.segments import write_segment


@pytest.fixture
def disk_site(tmp_path: Path) -> DiskSite:
    return DiskSite(tmp_path)


def mistakes(site: DiskSite) -> tuple[str, ...]:
    config = load(site.write())
    with pytest.raises(ConfigError) as caught:
        read_material(config, site.root)
    return caught.value.mistakes


def test_what_the_configuration_names_is_read(disk_site: DiskSite) -> None:
    config = load(disk_site.write())
    material = read_material(config, disk_site.root)
    assert len(material.quality) == 2
    assert len(material.directory) == 1
    [sound] = material.notices.values()
    assert material.notice_files == {
        sound.sha256: (disk_site.root / "fi.wav").read_bytes()
    }
    assert material.warnings == ("1 officers have no key: quality staff only",)
    assert "RIFF" not in repr(material)


def test_one_key_is_not_enough(disk_site: DiskSite) -> None:
    disk_site.keys = disk_site.keys[:1]
    [mistake] = mistakes(disk_site)
    assert "at least two" in mistake
    disk_site.keys *= 2  # the same one twice is one
    [mistake] = mistakes(disk_site)
    assert "at least two" in mistake


def test_every_mistake_at_once(disk_site: DiskSite) -> None:
    disk_site.recipients = ("age1nonsense", str(identity().recipient()), "ssh-rsa x")
    disk_site.notices = ("sv.wav", "sv.wav", "fi.wav")
    disk_site.directory = "none.csv"
    found = mistakes(disk_site)
    starts = [mistake.split(":")[0] for mistake in found]
    assert starts.count("recording.recipients[0]") == 1
    assert starts.count("recording.recipients[2]") == 1
    assert "routes[0].notice" in starts
    assert "officers.directory" in starts


def test_secrets_may_come_from_the_service_manager(
    disk_site: DiskSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk_site.peer = 'username = "agent"\npassword_file = "credential:trunk"'
    [mistake] = mistakes(disk_site)
    assert mistake.startswith("peers[0].password_file: credential:trunk: ")
    given = disk_site.root / "credentials"
    given.mkdir()
    (given / "trunk").write_text("s3cret\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(given))
    material = read_material(load(disk_site.write()), disk_site.root)
    assert material.credentials.ours["trunk"].password == "s3cret"  # noqa: S105
    assert "s3cret" not in repr(material)


def test_classic_and_post_quantum_are_not_mixed(disk_site: DiskSite) -> None:
    disk_site.keys = [identity(), identity(KeyKind.POST_QUANTUM)]
    [mistake] = mistakes(disk_site)
    assert "mixed" in mistake
    assert "[1] is" in mistake


def test_a_notice_that_is_no_audio(disk_site: DiskSite) -> None:
    disk_site.notices = ("officers.csv",)
    [mistake] = mistakes(disk_site)
    assert mistake.startswith("routes[0].notice: ")


def test_a_notice_of_two_routes_is_read_once(disk_site: DiskSite) -> None:
    disk_site.notices = ("fi.wav", "fi.wav")
    config = load(disk_site.write())
    assert len(read_material(config, disk_site.root).notices) == 1


def test_a_directory_with_broken_lines(disk_site: DiskSite) -> None:
    disk_site.officers = "number,name\n201,One\n"
    [mistake] = mistakes(disk_site)
    assert mistake.startswith("officers.directory: ")


def test_officers_keys_that_open_nothing_are_told(disk_site: DiskSite) -> None:
    other = identity(KeyKind.POST_QUANTUM).recipient()
    disk_site.officers = (
        "number,name,recipient\n"
        f"201,One,{identity().recipient()}\n"
        f"202,Two,{other}\n"
        "203,Three,\n"
        "204,Four,age1nonsense\n"
    )
    config = load(disk_site.write())
    first, second = read_material(config, disk_site.root).warnings
    assert first.startswith("1 officers have no key")
    assert second.startswith("2 officers' keys are not")


def test_no_directory_is_a_warning(disk_site: DiskSite) -> None:
    disk_site.directory = ""
    config = load(disk_site.write())
    material = read_material(config, disk_site.root)
    assert len(material.directory) == 0
    assert material.warnings == ("officers.directory is empty: no officer has a name",)


# -- the whole daemon ------------------------------------------------------------


@pytest.fixture
def log() -> Any:
    """What is logged; audio and keys never are."""
    entries: list[dict[str, Any]] = []

    def take(_: Any, level: str, event: Any) -> Any:
        entries.append({**event, "level": level})
        raise structlog.DropEvent

    structlog.configure(processors=[take], cache_logger_on_first_use=False)
    yield entries
    structlog.reset_defaults()


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
    async with asyncio.timeout(20):
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
        async with asyncio.timeout(20):
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
    async with asyncio.timeout(20):
        await ready.wait()
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=own.client())
        writer.close()
        await writer.wait_closed()
        for change, told in ((None, "tls_reloaded"), ("junk", "tls_not_reloaded")):
            if change is not None:
                own.certificate.write_text(change)
            os.kill(os.getpid(), signal.SIGHUP)
            while not any(entry["event"] == told for entry in log):
                await asyncio.sleep(0)
        agent.stop()
        await served
    with pytest.raises(ConfigError, match="TLS files cannot be used"):
        read_material(config, disk_site.root)
    own.key.chmod(0o644)
    with pytest.raises(ConfigError, match=r"tls: .*0644"):
        read_material(config, disk_site.root)


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
    async with asyncio.timeout(20):
        while len([e for e in log if e["event"] == "stored"]) < 2:
            await asyncio.sleep(0)
        agent.stop()
        await served
    stored = {p.name for p in (disk_site.root / "locked").rglob("*") if p.is_file()}
    assert f"{segment.id}.wav.age" in stored
    assert any(name.startswith(torn.id) for name in stored)
    assert [e for e in log if e["event"] == "recovered"]
    assert spool.list_sealed() == []
