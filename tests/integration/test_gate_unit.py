"""The gate's own unit, in its sandbox, under a booted systemd."""

import asyncio
import sys
from pathlib import Path

import pytest

from agent.upload.backends.directory import DirectoryBackend
from tests.gate.process import GateProcess, prepare
from tests.gate.rig import TODAY
from tests.gate.site import gate_site
from tests.lab.booted import booted
from tests.lab.daemon import ROOT
from tests.ports import free_ports

UNIT = "recording-agent-gate.service"
PROGRAM = "from agent.gate.main import main; main()"

pytestmark = pytest.mark.integration


async def test_it_serves_from_its_sandbox_with_credentials(tmp_path: Path) -> None:
    folder = tmp_path / "site"
    folder.mkdir()
    [port] = free_ports(1)
    site = gate_site(folder, port)
    text = site.path.read_text()
    for old, new in (
        ('identity = "identity.txt"', 'identity = "credential:keyring"'),
        ('key = "gate.key"', 'key = "credential:tls-key"'),
        ('state = "memory"', 'state = "/var/lib/recording-agent-gate"'),
    ):
        assert old in text
        text = text.replace(old, new)
    state = DirectoryBackend(folder / "state")
    [held] = await prepare(site, state, TODAY, 1)
    site.path.write_text(text)
    with booted(tmp_path / "system", folder) as system:
        system.write(
            f"/etc/systemd/system/{UNIT}", (ROOT / "systemd" / UNIT).read_text()
        )
        # The folders of tests and of Python are root's own, in /tmp and perhaps /root.
        system.write(
            f"/etc/systemd/system/{UNIT}.d/test.conf",
            f"""[Service]
User=root
ExecStart=
ExecStart={sys.executable} -c "{PROGRAM}" run --config {site.path}
WorkingDirectory={ROOT}
LoadCredential=
LoadCredential=keyring:{folder}/identity.txt
LoadCredential=tls-key:{folder}/gate.key
ReadWritePaths={folder}
PrivateTmp=no
ProtectHome=no
Restart=no
""",
        )
        started = await asyncio.to_thread(
            system.run, "systemctl", "start", UNIT, check=False
        )
        assert started.returncode == 0, system.journal(UNIT)
        async with GateProcess(site).client() as client:
            body = {"id": held, "purpose": "quality"}
            answer = await client.post("/releases", json=body)
            assert answer.status_code == 200
        await asyncio.to_thread(system.run, "systemctl", "reload", UNIT)
        await asyncio.to_thread(system.run, "systemctl", "stop", UNIT)
        assert system.show(UNIT, "Result") == "success", system.journal(UNIT)
