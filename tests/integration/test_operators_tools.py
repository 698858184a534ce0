"""What an operator has at hand, against a real daemon: doctor, top, simulate, calls."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator

import msgspec
import pytest

from agent.cli.doctor.finding import Finding, Verdict
from tests.lab.daemon import ROOT, Daemon
from tests.ports import free_ports

pytestmark = [pytest.mark.integration, pytest.mark.beside]

NUMBER = "000000"
FOR_TESTS = """\
[[peers]]
name = "simulate"
match = ["127.0.0.1:{caller}"]
[[routes]]
name = "simulate"
from = "simulate"
number = "{number}"
direction = "inbound"
to = ["sip:201@127.0.0.1:{officer}"]
notice = ["fi.wav"]
test = true
[officers]
"""


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    root = tmp_path_factory.mktemp("operator")
    daemon = Daemon(root, notice=bytes(16_000))
    shutil.copy(ROOT / "config/notices/fi.wav", root / "fi.wav")
    caller, officer = free_ports(2)
    section = FOR_TESTS.format(caller=caller, officer=officer, number=NUMBER)
    daemon.amend("[officers]\n", section)
    for folder in ("storage/locked", "storage/state"):
        (root / folder).chmod(0o700)
    daemon.start()
    yield daemon
    daemon.stop()


def command(daemon: Daemon, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "agent", *words, "-c", str(daemon.config)],
        cwd=ROOT,
        timeout=90,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"COLUMNS": "80"},
    )


def findings(done: subprocess.CompletedProcess[str]) -> list[Finding]:
    assert "Traceback" not in done.stderr
    lines = done.stdout.splitlines()
    return [msgspec.json.decode(line, type=Finding) for line in lines]


def test_a_test_call_is_heard_recorded_and_opened(daemon: Daemon) -> None:
    key = daemon.root / "officer-201.txt"
    done = command(daemon, "simulate", "--json", "-i", str(key))
    assert done.returncode == 0, done.stdout + done.stderr
    texts = [one.text for one in findings(done)]
    for said in (
        "the caller heard all of the notices",
        "the officer hears the caller after",
        "the caller hears the officer after",
        "the ledger says recorded, caller-hangup",
        "is stored, read back and verified",
        "has audio (wav",
        "it opens:",
        "the left channel has all 4 of the caller's beeps, and no other",
        "the right channel has all 4 of the officer's beeps, and no other",
    ):
        assert any(said in text for text in texts), (said, texts)
    assert not [one for one in findings(done) if one.verdict is Verdict.WRONG]
    # It is told from a customer's by its route, wherever that is counted.
    shown = command(daemon, "calls", "--outcome", "recorded").stdout
    assert "simulate" in shown


def test_a_host_that_runs_is_looked_at_and_shown(daemon: Daemon) -> None:
    found = findings(command(daemon, "doctor", "--json"))
    assert {one.check for one in found} > {"daemon", "ports", "disk", "storage"}
    wrong = [one for one in found if one.verdict is Verdict.WRONG]
    assert not wrong
    assert any("in use, by the daemon" in one.text for one in found)
    lines = command(daemon, "top", "--once").stdout.splitlines()
    assert lines[0].startswith("recording-agent test   0 calls")
    assert len(lines) == 24


def test_without_a_route_for_tests_none_is_placed(daemon: Daemon) -> None:
    text = daemon.config.read_text()
    other = daemon.root / "other.toml"
    other.write_text(text.replace("test = true", "test = false"))
    done = subprocess.run(
        [sys.executable, "-m", "agent", "simulate", "-c", str(other)],
        cwd=ROOT,
        timeout=60,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "test = true" in done.stderr
    assert "README" in done.stderr
