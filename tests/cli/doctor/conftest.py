"""A host that is sound, for tests to spoil one thing of."""

import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from agent.cli.doctor import command, patient
from agent.cli.doctor.clock import Reading
from agent.cli.doctor.finding import Finding
from agent.common.clock import utc_now
from agent.common.files import make_private_directory
from agent.service.commands import Reply, Request
from agent.service.control import ControlError
from tests.cli.conftest import DiskSite
from tests.lab.certificates import Authority
from tests.ports import free_ports
from tests.service.protected import ProtectedSite, days_from

NOTICES = Path(__file__).parents[3] / "config" / "notices"
UNIT = {
    "LoadState": "loaded",
    "ActiveState": "active",
    "SubState": "running",
    "UnitFileState": "enabled",
    "Result": "success",
    "NRestarts": "0",
    "MainPID": "0",
    "FileDescriptorStoreMax": "4096",
    "LimitMEMLOCK": "infinity",
    "LimitNOFILE": "65536",
    "LimitCORE": "0",
    "MemorySwapMax": "infinity",
    patient.ACTIVE_WORKERS: "2",
}
RIGHT_TO_2_MS = Reading(0, 0.002)
SIP = """\
max_calls = 10
[tls]
certificate = "tls.pem"
key = "tls.key"
ca = "ca.pem"
[media]
"""


@dataclass
class SoundHost:
    """Files, and what the daemon, the unit and the kernel say."""

    root: Path
    sip: int
    protected: ProtectedSite
    authority: Authority
    unit: dict[str, str] | None = field(default_factory=UNIT.copy)
    reply: Reply | None = None
    clock: Reading = RIGHT_TO_2_MS
    latency: float = 0.002
    swaps: tuple[str, ...] = ()

    @property
    def config(self) -> Path:
        return self.root / "agent.toml"

    def edit(self, before: str, after: str) -> None:
        """Change the configuration's text."""
        text = self.config.read_text()
        assert before in text, before
        self.config.write_text(text.replace(before, after, 1))

    def unit_says(self, **properties: str) -> None:
        self.unit = {**UNIT, **properties}

    def examine(self) -> list[Finding]:
        return list(command.examine(self.config))


def make(root: Path) -> SoundHost:
    """All of it on disk."""
    sip, *ports = free_ports(42)
    site = DiskSite(root, sip=sip)
    protected = ProtectedSite(site)
    protected.write(*days_from(utc_now().date(), 40))
    host = SoundHost(root, sip, protected, Authority(root / "ca"))
    host.edit("ports = [46000, 46099]", f"ports = [{ports[0]}, {ports[-1] + 1}]")
    host.edit("[media]\n", SIP)
    certificate = host.authority.issue("sip.example.org")
    shutil.copy(certificate.certificate, root / "tls.pem")
    shutil.copy(certificate.key, root / "tls.key")
    (root / "tls.key").chmod(0o600)
    shutil.copy(host.authority.pem, root / "ca.pem")
    shutil.copy(NOTICES / "fi.wav", root / "fi.wav")
    for name in ("locked", "state"):
        (root / name).chmod(0o700)
    make_private_directory(root / "spool")
    return host


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> SoundHost:
    """Made once: its keys and certificates take a while."""
    return make(tmp_path_factory.mktemp("sound"))


@pytest.fixture
def host(
    model: SoundHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> SoundHost:
    """A copy of it, to be spoiled."""
    root = tmp_path / "host"
    shutil.copytree(model.root, root)
    protected = replace(model.protected, site=replace(model.protected.site, root=root))
    host = replace(model, root=root, protected=protected, unit=UNIT.copy())
    host.config.write_text(host.config.read_text().replace(str(model.root), str(root)))

    def ask(_: Path, __: Request) -> Reply:
        if host.reply is None:
            raise ControlError("The daemon cannot be asked: it is not there.")
        return host.reply

    monkeypatch.setattr(patient, "ask", ask)
    monkeypatch.setattr(patient, "read_unit", lambda: host.unit)
    monkeypatch.setattr("agent.cli.doctor.clock.read_clock", lambda: host.clock)
    monkeypatch.setattr(
        "agent.cli.doctor.limits.unencrypted_swaps", lambda *_: host.swaps
    )
    monkeypatch.setattr(
        "agent.cli.doctor.disk.latencies", lambda _: [host.latency] * 40
    )
    return host
