"""The demo as a stranger runs it, and what it promises to leave."""

import subprocess
import tomllib
from pathlib import Path

import msgspec
import numpy as np
import pytest

from agent.formats.container import decode_to_pcm16, read_wav
from agent.formats.manifest import Manifest, parse_manifest
from tests.lab import alone

pytestmark = [pytest.mark.integration, pytest.mark.beside]

ROOT = Path(__file__).resolve().parents[2]
READER = """
[[storage]]
locked_url = "file://{storage}/locked"
url = "file://{storage}/state"
[person]
id = "p-quality"
identities = ["keys/quality.txt"]
[roster]
path = "roster.signed"
root = "{root}"
"""
PROMISED = (
    "call.wav",
    "manifest.json",
    "waveform.png",
    "agent.toml",
    "agent.log",
    "keys/quality.txt",
    "keys/recovery.txt",
    "keys/officer-201.txt",
    "keys/officer-202.txt",
)


def run(*words: object, **options: object) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [str(word) for word in words],
        cwd=ROOT,
        capture_output=True,
        check=False,
        timeout=60,
        **options,  # type: ignore[call-overload]
    )


def demo(out: Path, *options: str) -> dict[str, Path]:
    """Run it, check what it promised; returns the sealed files by kind.

    Of a call that it carries, or of one beside which it records.

    Where a network can be had that leads nowhere, it runs there: from the daemon's
    start to the stored recording and its end, nobody else may be asked for anything.
    """
    words, packets = (
        ["scripts/demo", "--out", str(out), *options],
        out.parent / "packets",
    )
    done = run(*(alone.command(packets, *words) if alone.possible() else words))
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert not alone.possible() or packets.read_text() == ""
    for name in PROMISED:
        assert (out / name).stat().st_size > 0, name
    assert read_wav((out / "call.wav").read_bytes()).channels == 2
    manifest = parse_manifest((out / "manifest.json").read_bytes())
    assert manifest.outcome == "recorded"
    assert manifest.caller == "+358401234567"
    assert manifest.officers[0].number == "201"
    assert (out / "waveform.png").read_bytes().startswith(b"\x89PNG")
    log = (out / "agent.log").read_bytes()
    assert b"401234567" not in log
    assert b'"stored"' in log
    sealed = {}
    for kind in ("wav", "json", "key"):
        [path] = (out / "storage").rglob(f"*.{kind}.age")
        sealed[kind] = path
    return sealed


def test_a_recording_session_as_it_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Which rosters a reader has seen is remembered beside their home.
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    out = tmp_path / "demo"
    demo(out, "--classic", "--siprec")
    manifest = parse_manifest((out / "manifest.json").read_bytes())
    assert manifest.session
    assert manifest.session.source == "sbc"
    assert manifest.session.basis == "directory"
    assert [one.name for one in manifest.session.participants] == ["", "Officer One"]
    assert manifest.session.notice.given
    # Who spoke first is heard first, each on their own side.
    samples = np.frombuffer(
        decode_to_pcm16(read_wav((out / "call.wav").read_bytes())).samples, "<i2"
    )
    loud = np.abs(samples.reshape(-1, 2)) > 1000
    caller, officer = (int(np.argmax(loud[:, side])) for side in (0, 1))
    assert loud[caller, 0]
    assert loud[officer, 1]
    assert officer - caller > 8000
    assert_it_is_found(out, manifest)


def assert_it_is_found(out: Path, manifest: Manifest) -> None:
    """By what its metadata told; `calls` and `archive show` tell the rest of it."""
    agent = ROOT / ".venv/bin/recording-agent"
    root = tomllib.loads((out / "agent.toml").read_text())["roster"]["root"]
    config = out / "archive.toml"
    config.write_text(READER.format(storage=out / "storage", root=root))
    words = ("archive", "find", "--officer", "--purpose", "quality", "-c", config)
    found = run(agent, *words, input=b"201\n")
    assert found.stdout.split()[1:] == [manifest.id.encode()], found.stderr
    words = ("archive", "show", manifest.id, "--others", "--purpose", "quality")
    shown = run(agent, *words, "-c", config)
    assert shown.returncode == 0, shown.stderr
    for row in ("sent by sbc", "+358401234567", "201 Officer One", "no other host"):
        assert row in shown.stdout.decode(), row
    calls = run(agent, "calls", "-c", out / "agent.toml", "--json")
    row = msgspec.json.decode(calls.stdout)
    assert (row["route"], row["outcome"]) == ("beside-the-sbc", "recorded")
    assert row["cause"] == "session-ended"


def test_the_demo_as_it_is_shown(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    sealed = demo(out)
    # Post-quantum keys: our own command opens it, for whoever is entitled.
    opened = tmp_path / "opened"
    agent = ROOT / ".venv/bin/recording-agent"
    done = run(
        agent, "open", sealed["wav"], "-i", out / "keys/recovery.txt", "-o", opened
    )
    assert done.returncode == 0, done.stderr
    [wav] = opened.glob("*.wav")
    assert wav.read_bytes() == (out / "call.wav").read_bytes()
    done = run(
        agent, "open", sealed["wav"], "-i", out / "keys/officer-202.txt", "-o", opened
    )
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr


def test_the_classic_demo_opens_with_debians_own_age(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    sealed = demo(out, "--classic")
    age = "/usr/bin/age"
    for name in ("quality", "recovery", "officer-201"):
        key = run(age, "-d", "-i", out / "keys" / f"{name}.txt", sealed["key"])
        assert key.returncode == 0, key.stderr
        wav = run(age, "-d", "-i", "-", sealed["wav"], input=key.stdout)
        assert wav.stdout == (out / "call.wav").read_bytes()
        facts = run(age, "-d", "-i", "-", sealed["json"], input=key.stdout)
        assert facts.stdout == (out / "manifest.json").read_bytes()
    refused = run(age, "-d", "-i", out / "keys/officer-202.txt", sealed["key"])
    assert refused.returncode != 0
    assert not refused.stdout
    # By the recording's id, from the storage of the configuration.
    id_ = msgspec.json.decode((out / "manifest.json").read_bytes())["id"]
    agent = ROOT / ".venv/bin/recording-agent"
    options = ("-c", out / "agent.toml", "-o", tmp_path / "opened")
    key_file = out / "keys/officer-201.txt"
    done = run(agent, "open", id_, "-i", key_file, *options)
    assert done.returncode == 0, done.stderr
    opened = (tmp_path / "opened" / f"{id_}.wav").read_bytes()
    assert opened == (out / "call.wav").read_bytes()
    calls = run(agent, "calls", "-c", out / "agent.toml", "--json")
    assert b'"recorded"' in calls.stdout
