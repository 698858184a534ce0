import getpass
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.cli.keygen import KeygenError, command
from agent.formats.age import (
    KeyKind,
    is_protected,
    open_identity_file,
    parse_recipient,
)
from agent.formats.sshsig import PublicKey, SigningKey


@pytest.mark.parametrize(
    ("option", "kind"),
    [("--classic", KeyKind.CLASSIC), ("--pq", KeyKind.POST_QUANTUM)],
)
def test_a_pair_of_either_kind(
    run: Callable[..., int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    option: str,
    kind: KeyKind,
) -> None:
    path = tmp_path / "key.txt"
    assert run("keygen", option, "-o", path) == 0
    assert path.stat().st_mode & 0o777 == 0o600
    [identity] = open_identity_file(path.read_bytes())
    shown = capsys.readouterr().out.strip()
    assert parse_recipient(shown).kind is kind
    assert shown == str(identity.recipient())


def test_post_quantum_is_the_default(
    run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("keygen") == 0
    [identity] = open_identity_file(capsys.readouterr().out.encode())
    assert identity.kind is KeyKind.POST_QUANTUM


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "key.txt"
    command(output=path, classic=True)
    before = path.read_bytes()
    with pytest.raises(KeygenError, match="exists") as caught:
        command(output=path, classic=True)
    assert "does not exist" in caught.value.hint
    assert path.read_bytes() == before


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(KeygenError):
        command(output=tmp_path / "none" / "key.txt")


def test_with_a_passphrase(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(getpass, "getpass", lambda _: "correct horse")
    path = tmp_path / "key.txt"
    command(output=path, classic=True, passphrase=True)
    data = path.read_bytes()
    assert is_protected(data)
    assert len(open_identity_file(data, "correct horse")) == 1


@pytest.mark.parametrize("answers", [["", ""], ["one", "other"]])
def test_passphrases_that_differ_make_no_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: list[str]
) -> None:
    monkeypatch.setattr(getpass, "getpass", lambda _: answers.pop(0))
    with pytest.raises(KeygenError, match="passphrases"):
        command(output=tmp_path / "key.txt", passphrase=True)
    assert not (tmp_path / "key.txt").exists()


def test_the_stock_tool_reads_our_classic_keys(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stock = Path("/usr/bin/age-keygen")
    if not stock.exists():
        pytest.skip("the package age is not installed")
    path = tmp_path / "key.txt"
    command(output=path, classic=True)
    done = subprocess.run(
        [stock, "-y", path], capture_output=True, check=True, timeout=20
    )
    assert done.stdout.decode() == capsys.readouterr().out


def test_a_key_that_signs(
    run: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "host.key"
    assert run("keygen", "--signing", "-o", path) == 0
    assert path.stat().st_mode & 0o777 == 0o600
    key = SigningKey.from_private_file(path.read_bytes())
    assert capsys.readouterr().out.strip() == str(key.public)
    shown = subprocess.run(
        ["ssh-keygen", "-y", "-f", path], capture_output=True, text=True, check=True
    ).stdout
    assert PublicKey.parse(shown) == key.public
    with pytest.raises(KeygenError, match="passphrase"):
        command(signing=True, passphrase=True)
