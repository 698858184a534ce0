"""A daemon as units of a booted systemd."""

import json
import sys
from pathlib import Path

from tests.lab.booted import Booted
from tests.lab.daemon import ROOT, Daemon
from tests.lab.roles import roles

MAIN = "recording-agent.service"
WORKERS = ("recording-agent-media@0.service", "recording-agent-media@1.service")
"One that works, one that stands by."
UNITS = ROOT / "systemd"
FEW = "max_calls = 64"
"""Of `[sip]`: as much memory as may be locked without a right to, where the machine's
own limit is low and nobody may raise it."""


class Service:
    """The site of `daemon`, run by the units that the project ships."""

    def __init__(self, system: Booted, daemon: Daemon) -> None:
        self.system = system
        self.daemon = daemon
        for unit in UNITS.glob("*.service"):
            system.write(f"/etc/systemd/system/{unit.name}", unit.read_text())
        socket = "%t/recording-agent/media-%i.sock"
        self._amend(
            "recording-agent-media@.service", f"-m agent.media.worker --listen {socket}"
        )
        self.run_by("-m agent")

    def _amend(self, unit: str, arguments: str) -> None:
        # The test's folder is its owner's alone.
        log = self.daemon.log_path
        self.system.write(
            f"/etc/systemd/system/{unit}.d/test.conf",
            f"""[Service]
User=root
ExecStart=
ExecStart={sys.executable} {arguments}
WorkingDirectory={ROOT}
ReadWritePaths={self.daemon.root}
PrivateTmp=no
ProtectHome=no
StandardOutput=append:{log}
StandardError=append:{log}
""",
        )

    def run_by(self, program: str) -> None:
        """Have Python run this as main, from the next start on: a module or script."""
        self._amend(MAIN, f"{program} run --config {self.daemon.config}")
        self.system.run("systemctl", "daemon-reload")

    def log_to_journal(self) -> None:
        """Have main log as shipped, to the journal, from its next start on."""
        self.system.write(
            f"/etc/systemd/system/{MAIN}.d/zz-journal.conf",
            "[Service]\nStandardOutput=journal\nStandardError=journal",
        )
        self.system.write(
            "/usr/lib/systemd/catalog/recording-agent.catalog",
            (UNITS / "recording-agent.catalog").read_text(),
        )
        self.system.run("journalctl", "--update-catalog")
        self.system.run("systemctl", "daemon-reload")

    def lines(self, *matches: str) -> list[dict[str, str]]:
        """What the journal has of some fields (`CALL_ID=…`)."""
        found = self.system.run("journalctl", "-q", "-o", "json", *matches).stdout
        return [json.loads(line) for line in found.splitlines()]

    def start(self) -> None:
        """Start it; returns when it has said READY=1."""
        self.system.run("systemctl", "start", *WORKERS, MAIN)

    def stop(self) -> None:
        """Stop it, and end its calls."""
        self.system.run("systemctl", "stop", MAIN, *WORKERS)

    def restart(self) -> None:
        """Restart it; returns when the new one has said READY=1."""
        self.system.run("systemctl", "restart", MAIN)

    def kill(self) -> None:
        """kill -9 of main; returns when the next one has said READY=1."""
        offset = self.log_size
        self.system.kill(MAIN)
        self.daemon.wait_for("ready", offset=offset)

    def processes(self) -> dict[str, list[int]]:
        """Pids, as the host numbers them, by what they do."""
        return roles(self.system.init)

    @property
    def log_size(self) -> int:
        path: Path = self.daemon.log_path
        return path.stat().st_size if path.exists() else 0

    @property
    def descriptors(self) -> int:
        """How many systemd keeps for main."""
        return int(self.system.show(MAIN, "NFileDescriptorStore"))
