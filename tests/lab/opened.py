"""A recording that only a person's key can finish: `recording-agent open` does it."""

import subprocess
import sys

from agent.formats.manifest import parse_manifest
from tests.lab.daemon import ROOT, Daemon, Recording


def open_recording(daemon: Daemon, recording_id: str) -> Recording:
    """What the command makes of it with a quality member's key."""
    out, identity = daemon.root / "opened", daemon.root / "quality.txt"
    where = ["-i", identity, "-c", daemon.config, "-o", out]
    subprocess.run(
        [sys.executable, "-m", "agent", "open", recording_id, *where],
        cwd=ROOT,
        check=True,
        timeout=60,
        capture_output=True,
    )
    return Recording(
        recording_id,
        parse_manifest((out / f"{recording_id}.json").read_bytes()),
        (out / f"{recording_id}.wav").read_bytes(),
    )
