"""The Debian package, and a site that it is installed for in a booted system.

Nothing of the tests is reached from there: the agent runs as its own user, from its
own Python packages, with its files where an operator has them.
"""

import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import msgspec

from agent.recording.ledger import LedgerRow
from tests.integration.conftest import tone
from tests.lab.booted import Booted
from tests.lab.daemon import ROOT, Daemon
from tests.lab.peers import FOLDER, missing

PYTHONS = {"bookworm": "3.11", "trixie": "3.13"}
SUFFIXES = {"bookworm": "+deb12", "trixie": "+deb13"}
"Of a package's version."
MAIN = "recording-agent.service"
WORKERS = ("recording-agent-media@0.service", "recording-agent-media@1.service")
"One that works, one that stands by."
OPT = "/opt/recording-agent"
ETC = "/etc/recording-agent"
SPOOL = "/var/lib/recording-agent"
SITE = "/srv/recordings"
NOTICE = tone(600, 0.4, amplitude=2300)
"As loud as telephony has it, and too short to say anything."


def dependencies(suite: str) -> Path:
    """What `scripts/lab-setup` has fetched for the Python of a suite."""
    folder = FOLDER / f"dependencies-{PYTHONS[suite]}"
    if not (folder / "requirements").exists():
        missing(f"Python {PYTHONS[suite]} packages")
    return folder


def build(output: Path, suite: str = "bookworm", revision: int = 1) -> Path:
    """Build the package; where it is."""
    command = [str(ROOT / "scripts/build-deb"), "--suite", suite]
    command += ["--revision", str(revision), "--output", str(output)]
    command += ["--dependencies", str(dependencies(suite))]
    # Small is for those who download it.
    path = f"{FOLDER}/pythons:{os.environ['PATH']}"
    environment = os.environ | {"DEB_LEVEL": "1", "PATH": path}
    built = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment
    )
    assert built.returncode == 0, built.stdout + built.stderr
    return Path(built.stdout.splitlines()[-1])


class Installed(Daemon):
    """The daemon in it; what the ledger says is asked of the installed command."""

    system: Booted

    def rows(self) -> list[LedgerRow]:
        command = (f"{OPT}/bin/recording-agent", "calls", "--json")
        told = self.system.run(*command, "-c", f"{ETC}/agent.toml").stdout
        return [msgspec.json.decode(one, type=LedgerRow) for one in told.splitlines()]


class Site:
    """A telephony host: a booted system, the agent in it, storage in a directory."""

    def __init__(self, system: Booted, notice: bytes) -> None:
        self.system = system
        self.root = Path(f"/proc/{system.init}/root")
        "The system's own files, as the host reaches them."
        self.daemon = Installed(
            self.inside(SITE),
            notice=notice,
            spool=self.inside(SPOOL),
            spares=1,
            # So much memory may be locked also where a hard limit of the machine that
            # runs the tests stands above the unit's.
            sip_section="max_calls = 64",
            recording='[signing]\nkey = "host.key"',
        )
        self.daemon.system = system

    def inside(self, path: str) -> Path:
        """A path of the system."""
        return self.root / path.removeprefix("/")

    def install(self, package: Path) -> str:
        """Install or upgrade; what it has told."""
        shutil.copy(package, self.inside("/root"))
        ran = self.system.run("dpkg", "-i", f"/root/{package.name}", timeout=300)
        return ran.stdout

    def configure(self) -> None:
        """What an operator does next."""
        etc = self.inside(ETC)
        text = self.daemon.config.read_text().replace(str(self.root), "")
        (etc / "agent.toml").write_text(text)
        for name in ("fi.wav", "officers.csv"):
            shutil.copy(self.daemon.root / name, etc)
        self.system.run("chown", "-R", "recording-agent", f"{SITE}/storage")
        self.system.run("chmod", "-R", "go=", f"{SITE}/storage")
        self.system.run(
            *("chgrp", "recording-agent", f"{ETC}/fi.wav", f"{ETC}/officers.csv")
        )
        drop_in = f"/etc/systemd/system/{MAIN}.d/storage.conf"
        self.system.write(drop_in, f"[Service]\nReadWritePaths={SITE}/storage")
        self.system.run("systemctl", "daemon-reload")

    def start(self) -> None:
        """Enable and start it; returns when it has said READY=1."""
        ran = self.system.run(
            *("systemctl", "enable", "--now", *WORKERS, MAIN), check=False
        )
        assert ran.returncode == 0, ran.stderr + self.system.journal("recording-agent*")

    def command(self, *words: str) -> str:
        """What the installed command says."""
        program = f"{OPT}/bin/recording-agent"
        return self.system.run(program, *words, "-c", f"{ETC}/agent.toml").stdout

    def workers(self) -> set[int]:
        """The media workers that run, as their processes are numbered there.

        Units tell nothing: an upgrade takes the numbers that are free.
        """
        units = self.system.run(
            *("systemctl", "list-units", "--plain", "--no-legend", "--state=active"),
            "recording-agent-media@*.service",
        ).stdout
        pids = {self.system.pid(line.split()[0]) for line in units.splitlines()}
        return pids - {0}

    def sockets(self, pids: Iterable[int]) -> int:
        """How many UDP sockets some processes hold: workers four a call."""
        lines = Path("/proc/net/udp").read_text().splitlines()[1:]
        known = {f"socket:[{line.split()[9]}]" for line in lines}
        folders = [self.inside(f"/proc/{pid}/fd") for pid in pids]
        held = [
            str(fd.readlink())
            for folder in folders
            if folder.exists()
            for fd in folder.iterdir()
        ]
        return sum(one in known for one in held)

    @property
    def version(self) -> str:
        """The package's, as dpkg knows it; nothing if it is not installed."""
        return self.system.run(
            *("dpkg-query", "-W", "-f", "${Version}", "recording-agent"), check=False
        ).stdout


def python_of(system: Booted) -> str:
    """The version of the Python that the installed agent runs by."""
    program = "import sys; print('%d.%d' % sys.version_info[:2])"
    ran = system.run(f"{OPT}/bin/python", "-c", program)
    return ran.stdout.strip()
