"""A stored recording opened with nothing of ours: the `age` of the host, two commands.

As the README tells a person to: the envelope with one's own identity, the recording
with what was in the envelope.
"""

import shutil
import subprocess
from pathlib import Path

from agent.formats.manifest import parse_manifest
from tests.lab.daemon import Daemon, Recording
from tests.lab.peers import missing


def opened_by_age(daemon: Daemon, recording_id: str) -> Recording:
    """What is stored of a recording, opened with a quality member's identity file."""
    identity = daemon.root / "quality.txt"
    key = _decrypt(identity, daemon.stored(".key.age")[recording_id])
    manifest, audio = (
        _decrypt("-", daemon.stored(suffix)[recording_id], key)
        for suffix in (".json.age", ".wav.age")
    )
    return Recording(recording_id, parse_manifest(manifest), audio)


def _decrypt(identity: Path | str, stored: Path, key: bytes = b"") -> bytes:
    """`age -d`; an identity of "-" is read from its standard input."""
    program = shutil.which("age")
    if program is None:
        missing("age", "Debian package age")
    command = [program, "-d", "-i", str(identity), str(stored)]
    ran = subprocess.run(
        command, input=key, capture_output=True, check=False, timeout=30
    )
    assert ran.returncode == 0, f"{stored.name}: {ran.stderr.decode()}"
    return ran.stdout
