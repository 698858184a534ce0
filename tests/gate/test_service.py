import asyncio
import os
import signal
import socket
import ssl
from pathlib import Path

import httpx
import pytest

from agent.archive.audit_log import AuditForkedError
from agent.common.service_manager import ServiceManager
from agent.gate import opening, service
from agent.gate.schedule import Schedule
from agent.gate.server import TlsError
from tests.gate.site import gate_site
from tests.gate.test_opening import make_keyring
from tests.patience import PATIENCE
from tests.ports import free_ports


async def test_it_is_ready_when_it_serves_and_ends_on_a_signal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [port] = free_ports(1)
    site = gate_site(tmp_path, port)
    await make_keyring(site)
    monkeypatch.setattr(opening, "SPOOL", tmp_path / "no-spool")
    told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    told.bind(str(tmp_path / "notify"))
    told.setblocking(False)
    manager = ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "notify")})
    loop = asyncio.get_running_loop()
    task = loop.create_task(
        service.serve(site.config(), tmp_path, site.secrets(), manager)
    )
    assert await loop.sock_recv(told, 100) == b"READY=1"
    tls = ssl.create_default_context(cafile=str(tmp_path / "issuer.pem"))
    tls.load_cert_chain(tmp_path / "quinn.pem", tmp_path / "quinn.key")
    async with httpx.AsyncClient(verify=tls, trust_env=False) as client:
        answer = await client.get(f"https://127.0.0.1:{port}/openapi.json")
        assert answer.status_code == 200
        found = await client.post(
            f"https://127.0.0.1:{port}/find",
            json={"from": "2026-11-01", "to": "2026-11-02", "purpose": "quality"},
        )
        assert found.json() == {"hits": [], "truncated": False}
    # A certificate that was renewed is shown without a restart; a broken one is not.
    renewed = site.issuer.issue_cert("127.0.0.1", common_name="renewed")
    renewed.cert_chain_pems[0].write_to_path(tmp_path / "gate.pem")
    (tmp_path / "gate.key").write_bytes(renewed.private_key_pem.bytes())
    for name, content in (("", b""), ("gate.pem", b"no certificate")):
        if name:
            (tmp_path / name).write_bytes(content)
        os.kill(os.getpid(), signal.SIGHUP)
        for _ in range(5):  # the loop hears of the signal, and then acts on it
            await asyncio.sleep(0)
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
        shown = writer.get_extra_info("peercert")
        writer.close()
        assert "renewed" in str(shown["subject"])
    os.kill(os.getpid(), signal.SIGTERM)
    async with asyncio.timeout(PATIENCE):
        await task
    assert await loop.sock_recv(told, 100) == b"STOPPING=1"
    told.close()
    manager.close()


async def test_a_log_that_somebody_else_writes_ends_the_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [port] = free_ports(1)
    site = gate_site(tmp_path, port)
    await make_keyring(site)
    monkeypatch.setattr(opening, "SPOOL", tmp_path / "no-spool")

    async def forked(self: Schedule, now_ns: int) -> float:
        raise AuditForkedError("another.")

    monkeypatch.setattr(Schedule, "run", forked)
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(AuditForkedError):
            await service.serve(
                site.config(), tmp_path, site.secrets(), ServiceManager({})
            )


def test_an_address_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        site = gate_site(tmp_path, taken.getsockname()[1])
        with pytest.raises(TlsError, match=r"gate\.listen"):
            service.listen(site.config())
