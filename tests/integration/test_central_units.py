"""Central storage's units, gate and sweep, as the package has them."""

import asyncio
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.upload.backends.directory import DirectoryBackend
from tests.gate.process import GateProcess, prepare
from tests.gate.rig import TODAY
from tests.gate.site import GateSite, gate_site
from tests.lab.booted import Booted, booted
from tests.lab.daemon import ROOT
from tests.lab.operating import check_exposure
from tests.lab.packaged import OPT, build
from tests.ports import free_ports

UNIT = "recording-agent-gate.service"
SWEEP = "recording-agent-sweep.service"
TIMER = "recording-agent-sweep.timer"
ETC = "/etc/recording-agent-gate"
STATE = "/var/lib/recording-agent-gate"
STORAGE = "/srv/recordings"
USER = "recording-agent-gate"

pytestmark = [pytest.mark.integration, pytest.mark.beside]


def put(system: Booted, site: GateSite) -> None:
    """Bring a site's files to where the unit has them, for whom they are."""
    root = Path(f"/proc/{system.init}/root")
    text = site.path.read_text()
    for old, new in (
        ('identity = "identity.txt"', 'identity = "credential:keyring"'),
        ('key = "gate.key"', 'key = "credential:tls-key"'),
        ('state = "memory"', f'state = "{STATE}"'),
        ('folder = "keyring"', f'folder = "{STATE}/keyring"'),
        (f"file://{site.folder}", f"file://{STORAGE}"),
    ):
        assert old in text
        text = text.replace(old, new)
    system.run("install", "-d", "-m", "750", "-g", USER, ETC)
    system.run("install", "-d", "-m", "700", "-o", USER, STATE, STORAGE)
    etc = root / ETC[1:]
    (etc / "gate.toml").write_text(text)
    for name in ("gate.pem", "issuer.pem", "roster.signed"):
        shutil.copy(site.folder / name, etc)
    for name, credential in (
        ("identity.txt", "keyring.identity"),
        ("gate.key", "tls.key"),
    ):
        shutil.copy(site.folder / name, etc / credential)
    shutil.copytree(site.folder / "keyring", root / STATE[1:] / "keyring")
    for name in ("locked", "state"):
        shutil.copytree(site.folder / name, root / STORAGE[1:] / name)
    system.run("chown", "-R", USER, STATE, STORAGE)
    drop_in = f"/etc/systemd/system/{UNIT}.d/storage.conf"
    system.write(drop_in, f"[Service]\nReadWritePaths={STORAGE}")
    system.run("systemctl", "daemon-reload")


def by_hand(verb: str) -> list[str]:
    """How the README has a verb run with the unit's credentials."""
    found = re.search(
        r"(?m)^    (systemd-run .*\\\n(?: +.*\\\n)* +.*) keyring init (.*)$",
        (ROOT / "README.md").read_text(),
    )
    assert found is not None
    return f"{found[1]} {verb} {found[2]}".replace("\\\n", " ").split()


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Booted]:
    """With the package installed, and nothing started."""
    folder = tmp_path_factory.mktemp("package")
    package = build(folder)
    with booted(tmp_path_factory.mktemp("system"), folder) as system:
        system.run("dpkg", "-i", str(package), timeout=300)
        yield system


def test_they_are_there_and_off(system: Booted) -> None:
    for unit in (UNIT, SWEEP, TIMER):
        assert system.show(unit, "LoadState") == "loaded"
        assert system.show(unit, "UnitFileState") in {"disabled", "static"}
        assert system.show(unit, "ActiveState") == "inactive"
    scores = check_exposure(system, UNIT, SWEEP)
    print(f"systemd-analyze security: {scores}")  # noqa: T201 - a figure


async def test_the_gate_serves_from_its_sandbox_with_credentials(
    system: Booted, tmp_path: Path
) -> None:
    site = gate_site(tmp_path, free_ports(1)[0])
    [held] = await prepare(site, DirectoryBackend(tmp_path / "state"), TODAY, 1)
    put(system, site)
    checked = await asyncio.to_thread(system.run, *by_hand("check-config"))
    assert "no mistakes" in checked.stdout, checked
    started = await asyncio.to_thread(
        system.run, "systemctl", "enable", "--now", UNIT, check=False
    )
    assert started.returncode == 0, system.journal(UNIT)
    async with GateProcess(site).client() as client:
        body = {"id": held, "purpose": "quality"}
        answer = await client.post("/releases", json=body)
        assert answer.status_code == 200
    await asyncio.to_thread(system.run, "systemctl", "reload", UNIT)
    await asyncio.to_thread(system.run, "systemctl", "stop", UNIT)
    assert system.show(UNIT, "Result") == "success", system.journal(UNIT)


def test_they_do_not_start_on_a_telephony_host(system: Booted) -> None:
    lock = "/var/lib/recording-agent/lock"
    system.run("touch", lock)
    for unit in (UNIT, SWEEP):
        refused = system.run("systemctl", "start", unit, check=False)
        assert "Assertion failed" in refused.stderr
    system.run("rm", lock)


def test_the_sweep_runs_in_its_sandbox(system: Booted) -> None:
    etc = "/etc/recording-agent-sweep"
    system.run("install", "-d", "-m", "750", "-g", "recording-agent-sweep", etc)
    system.run("cp", f"{OPT}/share/config/retention.toml", etc)
    # Where a gate was there is one already, and it alone may erase.
    system.run("rm", "-r", STORAGE)
    system.run("mkdir", "-p", f"{STORAGE}/locked", f"{STORAGE}/state")
    system.run("chown", "-R", "recording-agent-sweep", STORAGE)
    drop_in = f"/etc/systemd/system/{SWEEP}.d/storage.conf"
    system.write(drop_in, f"[Service]\nReadWritePaths={STORAGE}")
    system.run("systemctl", "daemon-reload")
    ran = system.run("systemctl", "start", SWEEP, check=False)
    assert ran.returncode == 0, system.journal(SWEEP)
    assert system.show(SWEEP, "Result") == "success"


def test_a_purge_leaves_the_keyring(system: Booted) -> None:
    removed = system.run("dpkg", "-P", "recording-agent", timeout=120)
    # Without it no recording opens.
    assert f"keyring stays in {STATE}" in removed.stderr
    root = Path(f"/proc/{system.init}/root")
    assert any((root / STATE[1:] / "keyring").iterdir())
    assert not (root / OPT[1:]).exists()
    assert list((root / "etc/systemd/system").glob("*.wants/recording-agent*")) == []
