"""A site on disk with real keys, and the commands run in this process."""

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agent.cli.app import app
from agent.formats.age import Identity, KeyKind, generate_identity, identity_file
from agent.formats.container import wav_header

TOML = """\
[agent]
name = "test"
spool = "spool"
drain = 5
allow_swap = true
[sip]
listen = ["udp:127.0.0.1:{sip}"]
[media]
ports = [46000, 46099]
workers = 1
[[peers]]
name = "trunk"
match = ["127.0.0.1:5999"]
uri = "sip:127.0.0.1:5999"
{peer}
[[routes]]
name = "in"
from = "trunk"
number = "1"
direction = "inbound"
to = ["sip:201@127.0.0.1:5998"]
notice = [{notices}]
[officers]
directory = "{directory}"
[recording]
recipients = [{recipients}]
{recording}
[[storage]]
locked_url = "file://{root}/locked"
url = "file://{root}/state"
"""


def identity(kind: KeyKind = KeyKind.CLASSIC) -> Identity:
    return generate_identity(kind, os.urandom)


@dataclass
class DiskSite:
    """A directory with everything a configuration names."""

    root: Path
    keys: list[Identity] = field(default_factory=lambda: [identity(), identity()])
    officers: str = "number,name,recipient\n201,One,\n"
    directory: str = "officers.csv"
    notices: tuple[str, ...] = ("fi.wav",)
    recipients: tuple[str, ...] | None = None
    sip: int = 5997
    recording: str = ""
    peer: str = ""
    "More keys of the trunk."

    @property
    def config(self) -> Path:
        return self.root / "agent.toml"

    def key_file(self, index: int = 0) -> Path:
        path = self.root / f"key{index}.txt"
        path.write_text(identity_file(self.keys[index]))
        return path

    def write(self) -> Path:
        """Make it all; returns the configuration's path."""
        for name in ("locked", "state"):
            (self.root / name).mkdir(exist_ok=True)
        notice = wav_header("alaw", 8000, 1, 1600) + b"\xd5" * 1600
        (self.root / "fi.wav").write_bytes(notice)
        (self.root / "officers.csv").write_text(self.officers, encoding="utf-8")
        recipients = self.recipients
        if recipients is None:
            recipients = tuple(str(key.recipient()) for key in self.keys)
        self.config.write_text(
            TOML.format(
                root=self.root,
                sip=self.sip,
                directory=self.directory,
                notices=", ".join(f'"{name}"' for name in self.notices),
                recipients=", ".join(f'"{text}"' for text in recipients),
                recording=self.recording,
                peer=self.peer,
            ),
            encoding="utf-8",
        )
        return self.config


@pytest.fixture
def disk_site(tmp_path: Path) -> DiskSite:
    return DiskSite(tmp_path)


@pytest.fixture
def run() -> Callable[..., int]:
    """Runs one command line; returns its exit code."""

    def run_command(*words: object) -> int:
        code: object = 0
        with contextlib.suppress(SystemExit):
            try:
                app([str(word) for word in words])
            except SystemExit as exit_:
                code = exit_.code
        return code if isinstance(code, int) else 0

    return run_command
