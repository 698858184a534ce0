import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from agent.formats.age import (
    KeyKind,
    generate_identity,
    identity_file,
    protect_identity_file,
)
from agent.formats.blind_index import IndexKeys
from agent.formats.day_keys import verify_day_keys
from agent.formats.sshsig import PublicKey
from agent.gate import main, opening
from agent.retention.report import Left, SweepReport
from agent.retention.sweep import Sweep
from tests.gate.site import GateSite, gate_site


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GateSite:
    monkeypatch.setattr(opening, "SPOOL", tmp_path / "no-spool")
    # This process is the tests': other tests need what the gate gives up for good.
    monkeypatch.setattr(main, "forbid_dumps", lambda: None)
    return gate_site(tmp_path)


def run(site: GateSite, *words: str) -> None:
    main.app(
        [*words, "--config", str(site.path)],
        exit_on_error=False,
        result_action="return_value",
    )


def test_from_nothing_to_a_published_list(
    site: GateSite, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run(site, "keyring", "init")
    public = PublicKey.parse(capsys.readouterr().out)
    site.name_gate(public)
    run(site, "check-config")
    assert "no mistakes" in capsys.readouterr().out
    run(site, "publish", "--output", str(tmp_path / "day-keys.signed"))
    found = verify_day_keys((tmp_path / "day-keys.signed").read_bytes(), [public])
    assert len(found.keys) == 8
    capsys.readouterr()
    run(site, "keyring", "index-keys")
    keys = IndexKeys.parse(capsys.readouterr().out.encode())
    assert len(keys.months) == 2
    run(site, "keyring", "backup", str(tmp_path / "backup"))
    assert "files" in capsys.readouterr().out
    with pytest.raises(main.BackupError, match="exists"):
        run(site, "keyring", "backup", str(tmp_path / "backup"))


def test_the_gate_gets_another_key_and_another_identity(
    site: GateSite, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run(site, "keyring", "init")
    old = PublicKey.parse(capsys.readouterr().out)
    site.name_gate(old)
    lists = tmp_path / "day-keys.signed"
    run(site, "publish", "--output", str(lists))
    run(site, "keyring", "new-signing-key")
    new = PublicKey.parse(capsys.readouterr().out)
    run(site, "publish", "--output", str(lists))  # nobody knows the new one yet
    verify_day_keys(lists.read_bytes(), [old])
    site.name_gate(old, new)
    identity = tmp_path / "identity.txt"
    fresh = identity_file(generate_identity(KeyKind.CLASSIC, os.urandom))
    identity.write_text(fresh + identity.read_text())
    run(site, "keyring", "reseal")
    assert "files" in capsys.readouterr().out
    identity.write_text(fresh)
    run(site, "publish", "--output", str(lists))
    verify_day_keys(lists.read_bytes(), [new])
    # It went on with a log that its old key has signed, which stays in the roster.


def test_a_sweep_that_is_not_complete_fails(
    site: GateSite,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    left = Left(date(2025, 11, 28), "main", "it is locked")

    async def run_once(*_: object) -> SweepReport:
        return SweepReport(left=[left])

    run(site, "keyring", "init")
    site.name_gate(PublicKey.parse(capsys.readouterr().out))
    monkeypatch.setattr(Sweep, "run", run_once)
    with pytest.raises(SystemExit, match="1"):
        run(site, "sweep", "--no-dry-run")


def test_the_sweep_tells_before_it_erases(
    site: GateSite, capsys: pytest.CaptureFixture[str]
) -> None:
    run(site, "keyring", "init")
    site.name_gate(PublicKey.parse(capsys.readouterr().out))
    run(site, "sweep")
    assert capsys.readouterr().out == ""
    run(site, "sweep", "--no-dry-run")
    assert json.loads(capsys.readouterr().out)["erased"] == 0


def test_mistakes_are_one_line_and_exit_code_one(
    site: GateSite, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["gate", "check-config", "-c", str(site.path)])
    with pytest.raises(SystemExit) as ended:
        main.main()
    assert ended.value.code == 1
    assert "roster" in capsys.readouterr().err


def test_a_protected_identity_opens_with_its_passphrase(
    site: GateSite, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:

    path = tmp_path / "identity.txt"
    path.write_bytes(
        protect_identity_file(path.read_text(), "long words", os.urandom, 2)
    )
    (tmp_path / "passphrase").touch(0o600)
    (tmp_path / "passphrase").write_text("long words\n")
    text = site.path.read_text()
    site.path.write_text(
        text.replace("[keyring]", '[keyring]\npassphrase = "passphrase"')
    )
    run(site, "keyring", "init")
    assert capsys.readouterr().out.startswith("ssh-ed25519 ")


def test_the_next_month_follows_the_longest_too() -> None:
    assert main.next_month(date(2026, 12, 31)).month == 1
    assert main.next_month(date(2027, 1, 31)).month == 2


def test_without_its_extra_it_says_what_to_install(tmp_path: Path) -> None:
    missing = "import sys; sys.modules['fastapi'] = None; "
    entry = "from agent.gate.__main__ import main; main()"
    ran = subprocess.run(
        [sys.executable, "-c", missing + entry], capture_output=True, text=True,
        check=False, cwd=Path(__file__).parents[2], timeout=60,
    )  # fmt: skip
    assert ran.returncode == 1
    assert "recording-agent[gate]" in ran.stderr
    assert "Traceback" not in ran.stderr
