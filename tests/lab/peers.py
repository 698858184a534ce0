"""Other people's programs: where they are, which version, and what to do without one.

`scripts/setup --lab` unpacks them into one folder, each Debian suite below its own
root. A program runs with its suite's own loader and libraries, so that nothing is
installed on the machine and nobody needs to be root.
"""

import importlib.metadata
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

import pytest

MISSING: Final = "missing peer: "
"How the reason of a skip begins that `--complete` makes a failure."


def _folder() -> Path:
    if chosen := os.environ.get("RECORDING_AGENT_LAB"):
        return Path(chosen)
    system = Path("/var/cache/recording-agent-lab")
    if os.access(system if system.exists() else system.parent, os.W_OK):
        return system
    return Path.home() / ".cache/recording-agent-lab"


FOLDER: Final = _folder()


def missing(peer: str, remedy: str = "scripts/setup --lab fetches it") -> NoReturn:
    """Skip this test for want of a peer."""
    pytest.skip(f"{MISSING}{peer} ({remedy})")


@dataclass(frozen=True)
class Program:
    """A program of a Debian suite, unpacked."""

    name: str
    suite: str
    path: str
    package: str
    libraries: tuple[str, ...] = ()
    "Folders of libraries beside the usual ones."

    @property
    def root(self) -> Path:
        """What its suite's files are below."""
        return FOLDER / self.suite

    @property
    def command(self) -> list[str]:
        """How to run it; skips the test if it is not there."""
        if not (self.root / self.path).exists():
            missing(self.name)
        arch = "x86_64-linux-gnu"
        folders = [f"usr/lib/{arch}", f"lib/{arch}", *self.libraries]
        loaders = list(self.root.glob(f"*lib/{arch}/ld-linux*")) + list(
            self.root.glob(f"usr/lib/{arch}/ld-linux*")
        )
        path = ":".join(str(self.root / folder) for folder in folders)
        return [str(loaders[0]), "--library-path", path, str(self.root / self.path)]

    @property
    def version(self) -> str:
        """Its upstream version."""
        names = (self.root / "versions").read_text()
        found = re.search(
            rf"(?m)^{re.escape(self.package)}_(?:\d+%3a)?([^_~+-]+)", names
        )
        return found[1] if found else "?"


_KAMAILIO_LIBRARIES = ("usr/lib/x86_64-linux-gnu/kamailio",)
KAMAILIO: Final = Program(
    "Kamailio", "bookworm", "usr/sbin/kamailio", "kamailio", _KAMAILIO_LIBRARIES
)
RTPENGINE: Final = Program(
    "rtpengine", "rtpengine", "usr/bin/rtpengine", "rtpengine-daemon"
)
LINPHONE: Final = Program("linphone", "bookworm", "usr/bin/linphonec", "linphone-cli")
# Of the older suite: version 1.1 ends itself in every other hold.
BARESIP: Final = Program("baresip", "bookworm", "usr/bin/baresip", "baresip-core")
ASTERISK: Final = Program("Asterisk", "sid", "usr/sbin/asterisk", "asterisk")
SIPP_TLS: Final = Program("sipp TLS", "sid", "usr/bin/sipp", "sip-tester")
FLAC: Final = Program("flac", "bookworm", "usr/bin/flac", "flac")
_CEPH_LIBRARIES = ("usr/lib/x86_64-linux-gnu/ceph",)
CEPH: Final = Program("Ceph", "ceph", "usr/bin/radosgw", "radosgw", _CEPH_LIBRARIES)
METAFLAC: Final = Program("metaflac", "bookworm", "usr/bin/metaflac", "flac")
PROMTOOL: Final = Program("promtool", "prometheus", "usr/bin/promtool", "prometheus")
OPUSINFO: Final = Program("opusinfo", "bookworm", "usr/bin/opusinfo", "opus-tools")

MOSQUITTO: Final = Program("mosquitto", "mosquitto", "usr/sbin/mosquitto", "mosquitto")
MOSQUITTO_PASSWD: Final = Program(
    "mosquitto", "mosquitto", "usr/bin/mosquitto_passwd", "mosquitto"
)

_PROGRAMS: Final = {
    p.name: p for p in (KAMAILIO, RTPENGINE, LINPHONE, BARESIP, ASTERISK, SIPP_TLS)
}
SIPPY: Final = FOLDER / "sippy"
"The virtual environment of sippy."


def version(peer: str) -> str:
    """The version of a peer that has just been tested."""
    if peer in _PROGRAMS:
        return _PROGRAMS[peer].version
    if peer == "sippy":
        return (SIPPY / "packages").read_text().strip().partition("==")[2]
    if peer == "sipp":
        said = subprocess.run(
            [shutil.which("sipp") or "sipp", "-v"], capture_output=True, check=False
        )
        found = re.search(rb"SIPp v([0-9.]+)", said.stdout)
        return found[1].decode() if found else "?"
    return importlib.metadata.version(peer)
