import asyncio
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from agent.common.clock import utc_ns
from agent.formats.layout import day_of
from agent.model.call import CallDirection, Outcome
from agent.recording.ledger import CallIntent, Ledger, load_hash_key
from agent.service.app import Agent
from agent.service.config import Config, load
from agent.service.metrics.config import MetricsConfig
from agent.service.metrics.endpoint import certificates, routes_of_tests, today
from agent.service.metrics.server import MetricsListenError
from agent.signalling.config import TlsConfig
from tests.cli.conftest import DiskSite
from tests.lab.certificates import Authority
from tests.patience import PATIENCE
from tests.ports import free_ports


async def get(port: int, path: str) -> tuple[int, str]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    return int(head.split()[1]), body


async def fill(spool: Path) -> None:
    spool.mkdir()
    ledger = Ledger(spool / "ledger.sqlite", hash_key=load_hash_key(spool))
    await ledger.start()
    intent = CallIntent(
        call_id="one",
        sip_call_id="x",
        route="in",
        direction=CallDirection.INBOUND,
        begun_utc_ns=utc_ns(),
    )
    await ledger.begin(intent)
    await ledger.answered("one", utc_ns())
    await ledger.close_call("one", Outcome.UNRECORDED, ended_utc_ns=utc_ns())
    await ledger.close()


def configured(site: DiskSite, listen: str) -> Config:
    certificate = Authority(site.root).issue("127.0.0.1")
    return msgspec.structs.replace(
        load(site.write()),
        metrics=MetricsConfig(listen=listen),
        tls=TlsConfig(certificate=certificate.certificate, key=certificate.key),
    )


async def test_a_running_agent_tells_its_numbers(tmp_path: Path) -> None:
    site = DiskSite(tmp_path)
    [site.sip, port] = free_ports(2)
    await fill(site.root / "spool")
    agent = Agent(configured(site, f"127.0.0.1:{port}"), site.root)
    ready = asyncio.Event()
    served = asyncio.get_running_loop().create_task(agent.serve(ready.set))
    async with asyncio.timeout(PATIENCE):
        await ready.wait()
        status, text = await get(port, "/metrics")
        assert status == 200
        samples = {
            (sample.name, *sample.labels.values()): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }
        assert (await get(port, "/healthz"))[0] == 200
        assert await get(port, "/readyz") == (200, "ready\n")
        assert (await get(port, "/"))[0] == 404
        agent.stop()
        await served
    p = "recording_agent"
    assert samples[f"{p}_day_calls", "unrecorded"] == 1
    assert samples[f"{p}_capture_ratio",] == 0
    assert samples[f"{p}_calls_total", "unrecorded"] == 0  # of an earlier process
    assert samples[f"{p}_worker_up", "0"] == 1
    assert samples[f"{p}_storage_up", "storage[0]"] == 1
    expiry = samples[f"{p}_certificate_expiry_timestamp_seconds", "tls"]
    assert expiry > utc_ns() / 1e9
    assert samples[f"{p}_alarm_active", "call_failed"] == 0
    with pytest.raises(ConnectionRefusedError):
        await get(port, "/metrics")


async def test_where_nothing_is_configured_nobody_listens(tmp_path: Path) -> None:
    site = DiskSite(tmp_path)
    [site.sip, port] = free_ports(2)
    agent = Agent(load(site.write()), site.root)
    ready = asyncio.Event()
    served = asyncio.get_running_loop().create_task(agent.serve(ready.set))
    async with asyncio.timeout(PATIENCE):
        await ready.wait()
        with pytest.raises(ConnectionRefusedError):
            await get(port, "/metrics")
        agent.stop()
        await served


async def test_where_it_cannot_listen_it_does_not_start(tmp_path: Path) -> None:
    site = DiskSite(tmp_path)
    [site.sip, port] = free_ports(2)
    taken = await asyncio.start_server(lambda *_: None, "127.0.0.1", port)
    agent = Agent(configured(site, f"127.0.0.1:{port}"), site.root)
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(MetricsListenError):
            await agent.serve()
    taken.close()
    await taken.wait_closed()


def test_only_what_is_configured_can_expire(tmp_path: Path) -> None:
    site = DiskSite(tmp_path)
    assert certificates(load(site.write()), tmp_path) == {}
    config = msgspec.structs.replace(
        load(site.write()), tls=TlsConfig(certificate="own.pem", key="own.key")
    )
    assert certificates(config, tmp_path) == {"tls": tmp_path / "own.pem"}


def test_test_calls_are_nobodys(tmp_path: Path) -> None:
    config = load(DiskSite(tmp_path).write())
    assert routes_of_tests(config) == []
    [route, *others] = config.routes
    probe = msgspec.structs.replace(route, test=True)
    config = msgspec.structs.replace(config, routes=(probe, *others))
    assert routes_of_tests(config) == [route.name]


def test_today_is_the_local_day() -> None:
    assert abs(today() - day_of(utc_ns())) <= timedelta(days=1)
