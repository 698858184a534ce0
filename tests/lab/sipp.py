"""sipp as a trunk or an officer's phone, one process for each.

The scenarios beside this file speak of: [field0], the caller's number; [asserted], the
number in P-Asserted-Identity; [privacy], the Privacy header; [payloads], the payload
types of the audio line. `login` is what a challenge is answered with. A pause without
a length lasts `pause` seconds. `keys` are those that other scenarios speak of.

`newer` is sipp 3.8, which knows TLS (`transport` "l1") and speaks a file of audio: a
tone of `hertz`, in the scenarios `caller-speaks` and `officer-speaks`.
"""

import asyncio
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from agent.formats.codecs.g711 import encode_alaw
from tests.lab.daemon import CALLER, SERVICE, Daemon
from tests.lab.parties import sine
from tests.lab.peers import SIPP_TLS, missing
from tests.lab.process import started
from tests.lab.scenes import CUSTOMER_HZ
from tests.patience import PATIENCE
from tests.ports import free_ports

SCENARIOS = Path(__file__).parent / "sipp"
_SUCCESS = 0


class Sipp:
    """One sipp, at `port` of `host`; its media is at 127.0.0.1.

    As a caller it needs `remote`, the port of who it calls. It ends by itself after
    `calls` calls or `timeout` seconds, and at the end of its `with` block at last.
    """

    def __init__(
        self,
        root: Path,
        scenario: str,
        *,
        port: int,
        host: str = "127.0.0.1",
        remote: int | None = None,
        service: str = SERVICE,
        user: str = CALLER,
        asserted: str | None = None,
        privacy: str = "none",
        payloads: str = "8 0 101",
        login: tuple[str, str] | None = None,
        calls: int = 1,
        rate: float = 5,
        pause: float = 0.5,
        lost: int = 0,
        hertz: float = CUSTOMER_HZ,
        timeout: int = 15,
        newer: bool = False,
        transport: str = "u1",
        keys: Mapping[str, str] | None = None,
        scenarios: Path = SCENARIOS,
        more: Sequence[str] = (),
    ) -> None:
        command = SIPP_TLS.command if newer else _command()
        self.scenario = scenario
        self.port = port
        media_port = free_ports(2)[0]  # and the next even one, for video
        self.folder = root / f"sipp-{scenario}-{port}"
        self.folder.mkdir(parents=True)
        self._messages = self.folder / "messages.log"
        self._errors = self.folder / "errors.log"
        fields = self.folder / "fields.csv"
        fields.write_text(f"SEQUENTIAL\n{user};\n")
        (self.folder / "speech.al").write_bytes(encode_alaw(sine(hertz, 10)))
        for name, value in {
            "payloads": payloads,
            "privacy": privacy,
            "asserted": user if asserted is None else asserted,
            **(keys or {}),
        }.items():
            command += ["-key", name, value]
        command += ["-sf", str(scenarios / f"{scenario}.xml"), "-inf", str(fields)]
        command += ["-s", service, "-i", host, "-p", str(port)]
        command += ["-mi", "127.0.0.1", "-mp", str(media_port)]
        command += ["-m", str(calls), "-r", str(rate), "-d", str(round(pause * 1000))]
        command += ["-timeout", str(timeout), "-timeout_error", "-max_recv_loops", "1"]
        command += ["-trace_msg", "-message_file", str(self._messages)]
        command += ["-trace_err", "-error_file", str(self._errors), "-nostdin"]
        command += ["-t", transport, *more]
        if login:
            command += ["-au", login[0], "-ap", login[1]]
        if lost:
            # What comes again, because what was to be next is lost, is passed over.
            command += ["-lost", str(lost), "-default_behaviors", "all,-abortunexp"]
        if remote is not None:
            command.append(f"127.0.0.1:{remote}")
        self._screen = (self.folder / "screen.log").open("wb")
        self._timeout = timeout + 5
        self._process = started(
            command,
            cwd=self.folder,
            env={"TERM": "dumb", "PATH": "/usr/bin:/bin"},
            stdin=subprocess.DEVNULL,
            stdout=self._screen,
            stderr=subprocess.STDOUT,
        )
        if remote is None:
            self._wait_until_bound()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(timeout=5)
        self._screen.close()

    async def succeeds(self) -> None:
        """Wait for its end; fail, showing what it saw, unless every call went well."""
        status = await asyncio.to_thread(self._process.wait, self._timeout)
        assert status == _SUCCESS, (
            f"sipp {self.scenario} ended with {status}:\n"
            f"{_tail(self._errors)}\n{_tail(self._messages)}"
            f"\n{_tail(self.folder / 'screen.log')}"
        )

    @property
    def messages(self) -> str:
        """Every message it sent and received, as its trace shows them."""
        if not self._messages.exists():
            return ""
        return self._messages.read_text(errors="replace")

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def _wait_until_bound(self) -> None:
        wanted = f":{self.port:04X} "
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self._process.poll() is None:
            if wanted in Path("/proc/net/udp").read_text():
                return
            time.sleep(0.01)
        screen = _tail(self.folder / "screen.log")
        raise AssertionError(f"sipp {self.scenario} does not listen:\n{screen}")


def _command() -> list[str]:
    program = shutil.which("sipp")
    if program is None:
        missing("sipp", "Debian package sip-tester")
    return [program]


def _tail(path: Path) -> str:
    return path.read_text(errors="replace")[-6000:] if path.exists() else ""


async def call_in(
    daemon: Daemon,
    root: Path,
    caller: str = "caller-hangs-up",
    officer: str = "officer-answers",
    *,
    pause: float = 1.5,
    **more: Any,
) -> tuple[str, str]:
    """A call over the trunk to the first officer, in which both scenarios succeed.

    `more` is said to the caller's sipp. Returns the messages that each side saw.
    """
    with (
        Sipp(root, officer, port=daemon.officers[0]) as called,
        Sipp(
            root, caller, port=daemon.caller, remote=daemon.sip, pause=pause, **more
        ) as calling,
    ):
        await calling.succeeds()
        await called.succeeds()
        return calling.messages, called.messages


async def call_out(
    daemon: Daemon, root: Path, officer: str, customer: str, *, pause: float = 0.5
) -> tuple[str, str]:
    """The same for a call of the first officer to somebody behind the trunk."""
    with (
        Sipp(root, customer, port=daemon.caller) as called,
        Sipp(
            root,
            officer,
            port=daemon.officers[0],
            remote=daemon.sip,
            service="0409876543",
            user="201",
            pause=pause,
        ) as calling,
    ):
        await calling.succeeds()
        await called.succeeds()
        return calling.messages, called.messages
