"""A real daemon in a process of its own, for tests with real peers."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import wave
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.common.clock import utc_now
from agent.formats.age import (
    Identity,
    KeyKind,
    decrypt,
    generate_identity,
    identity_file,
)
from agent.formats.envelope import open_envelope
from agent.formats.manifest import Manifest, parse_manifest
from agent.recording.ledger import LedgerRow, read_rows
from tests.lab.roles import descendants, roles
from tests.patience import PATIENCE
from tests.ports import free_ports

CALLER = "0401234567"
SERVICE = "0295000000"
ROOT = Path(__file__).resolve().parents[2]


def wav_file(path: Path, samples: bytes, rate: int, channels: int = 1) -> None:
    """Write 16-bit samples as a WAV file."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples)


def wav_notice(path: Path, samples: bytes) -> None:
    """Write 16-bit, 8 kHz, mono samples as a WAV file."""
    wav_file(path, samples, 8000)


@dataclass
class Recording:
    """One opened recording."""

    id: str
    manifest: Manifest
    wav: bytes = field(repr=False)


class Daemon:
    """One agent with its site under `root`."""

    def __init__(
        self,
        root: Path,
        *,
        notice: bytes,
        kind: KeyKind = KeyKind.CLASSIC,
        sip: int | None = None,
        caller: int | None = None,
        officers: tuple[int, ...] = (),
        route: str = "",
        outbound: str = "",
        recording: str = "",
        high_water: float = 1.0,
        media: str = "",
        sip_section: str = "",
        trunk: str = "",
        phones: str = "",
        spool: Path | None = None,
        workers: int = 1,
        spares: int = 0,
    ) -> None:
        ports = free_ports(2 + max(2, len(officers)))
        self.root = root
        self.sip = sip or ports[0]
        self.caller = caller or ports[1]
        self.officers = officers or tuple(ports[2:4])
        self.spool = spool or root / "spool"
        self.log_path = root / "agent.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.launcher: tuple[str, ...] = ()
        "Words before its command."
        self.module = "agent"
        "What Python runs."
        self.identities: dict[str, Identity] = {}
        root.mkdir(parents=True, exist_ok=True)
        for name in ("quality", "recovery", "officer-201", "officer-202"):
            self.identities[name] = generate_identity(kind, os.urandom)
            (root / f"{name}.txt").write_text(
                identity_file(self.identities[name], utc_now())
            )
        (root / "storage/locked").mkdir(parents=True, exist_ok=True)
        (root / "storage/state").mkdir(parents=True, exist_ok=True)
        wav_notice(root / "fi.wav", notice)
        keys = {name: str(i.recipient()) for name, i in self.identities.items()}
        (root / "officers.csv").write_text(
            "number,name,recipient\n"
            f"201,Officer One,{keys['officer-201']}\n"
            f"202,Officer Two,{keys['officer-202']}\n"
        )
        targets = ", ".join(
            f'"sip:{201 + i}@127.0.0.1:{port}"' for i, port in enumerate(self.officers)
        )
        self.config = root / "agent.toml"
        self.config.write_text(
            f"""
[agent]
name = "test"
spool = "{self.spool}"
drain = 5
allow_swap = true
[sip]
listen = ["udp:127.0.0.1:{self.sip}"]
{sip_section}
[media]
ports = [40000, 47999]
workers = {workers}
spares = {spares}
{media}
[[peers]]
name = "trunk"
match = ["127.0.0.1:{self.caller}"]
uri = "sip:127.0.0.1:{self.caller}"
trusted = true
{trunk}
[[peers]]
name = "officers"
match = [{", ".join(f'"127.0.0.1:{port}"' for port in self.officers)}]
trusted = true
{phones}
[[routes]]
name = "in"
from = "trunk"
number = "{SERVICE}"
direction = "inbound"
to = [{targets}]
notice = ["fi.wav"]
{route}
[[routes]]
name = "out"
from = "officers"
number = "*"
direction = "outbound"
to = ["trunk"]
notice = ["fi.wav"]
{outbound}
[officers]
directory = "officers.csv"
[recording]
recipients = ["{keys["quality"]}", "{keys["recovery"]}"]
spool_high_water = {high_water}
{recording}
[[storage]]
locked_url = "file://{root}/storage/locked"
url = "file://{root}/storage/state"
"""
        )

    def number(self, number: str = SERVICE) -> str:
        """Where a phone rings a number through it, over UDP."""
        return f"sip:{number}@127.0.0.1:{self.sip}"

    def amend(self, old: str, new: str) -> "Daemon":
        """Put `new` in the place of `old` in its configuration, before it starts."""
        text = self.config.read_text()
        assert old in text
        self.config.write_text(text.replace(old, new, 1))
        return self

    # -- the process ------------------------------------------------------------

    def start(self, *, timeout: float = PATIENCE, **environment: str) -> "Daemon":
        log = self.log_path.open("ab")
        offset = log.tell()
        command = [sys.executable, "-m", self.module, "run", "--config"]
        self.process = subprocess.Popen(
            [*self.launcher, *command, str(self.config)],
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            env=os.environ | environment,
        )
        log.close()
        self.wait_for("ready", timeout=timeout, offset=offset)
        return self

    def stop(self) -> None:
        """End it in good order; a daemon that hangs fails the test."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(timeout=PATIENCE)

    def kill(self, *, workers: bool = True) -> None:
        """kill -9 of main and, by default, of all its children."""
        if self.process is None:
            return
        children = self.children() if workers else []
        self.process.kill()
        for pid in children:
            _kill(pid)
        self.process.wait(timeout=10)

    def children(self) -> list[int]:
        """Pids of every living descendant."""
        if self.process is None:
            return []
        return list(descendants(self.process.pid))

    def processes(self) -> dict[str, list[int]]:
        """Pids by what they do, once it was started."""
        assert self.process is not None
        return roles(self.process.pid) | {"main": [self.process.pid]}

    def media_workers(self) -> list[int]:
        """Pids of the media workers."""
        return [p for p in self.children() if b"agent.media.worker" in _cmdline(p)]

    # -- what it says and leaves ------------------------------------------------

    def log(self, event: str | None = None, *, offset: int = 0) -> list[dict[str, Any]]:
        """The log's entries, or those of one event."""
        data = self.log_path.read_bytes()[offset:]
        lines = [line for line in data.split(b"\n")[:-1] if line.startswith(b"{")]
        entries = [json.loads(line) for line in lines]
        return [e for e in entries if event is None or e["event"] == event]

    def wait_for(
        self, event: str, *, count: int = 1, timeout: float = PATIENCE, offset: int = 0
    ) -> dict[str, Any]:
        """Block until the log tells of `event` `count` times; returns the last."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            found = self.log(event, offset=offset)
            if len(found) >= count:
                return found[count - 1]
            if self.process is not None and self.process.poll() is not None:
                break
            time.sleep(0.02)
        text = self.log_path.read_text(errors="replace")[-4000:]
        raise AssertionError(f"the daemon never logged {event} x{count}:\n{text}")

    async def logged(
        self, event: str, *, count: int = 1, timeout: float = PATIENCE
    ) -> Any:
        """`wait_for` that lets this process's own phones go on."""
        async with asyncio.timeout(timeout):
            while len(found := self.log(event)) < count:
                await asyncio.sleep(0.02)
        return found[count - 1]

    def rows(self) -> list[LedgerRow]:
        """The ledger, newest call first."""
        return read_rows(self.spool / "ledger.sqlite", limit=100_000)

    def stored(self, suffix: str) -> dict[str, Path]:
        """Stored objects by recording id, of one suffix (`.wav.age`)."""
        return {
            path.name.removesuffix(suffix): path
            for path in (self.root / "storage").rglob(f"*{suffix}")
        }

    def waiting(self) -> list[str]:
        """Files of recordings that are not stored yet."""
        folders = [self.spool / "journal", self.spool / "sealed"]
        return [str(p) for folder in folders for p in folder.glob("*")]

    def recordings(
        self, who: str = "quality", *, but: Container[str] = ()
    ) -> Iterator[Recording]:
        """Every stored recording `but` some, opened with one person's key."""
        envelopes = self.stored(".key.age")
        manifests = self.stored(".json.age")
        audio = {
            recording_id: path
            for suffix in (".wav.age", ".flac.age", ".opus.age")
            for recording_id, path in self.stored(suffix).items()
        }
        for recording_id, path in audio.items():
            if recording_id in but:
                continue
            key = open_envelope(
                envelopes[recording_id].read_bytes(), [self.identities[who]]
            )
            identities = [key.identity]
            manifest = decrypt(manifests[recording_id].read_bytes(), identities)
            yield Recording(
                recording_id,
                parse_manifest(manifest),
                decrypt(path.read_bytes(), identities),
            )


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _cmdline(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
