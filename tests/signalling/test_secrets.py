import os
from pathlib import Path

import pytest

from agent.signalling import secrets
from agent.signalling.secrets import SecretError, Secrets


def write(path: Path, data: bytes = b"s3cret\n", mode: int = 0o600) -> Path:
    path.write_bytes(data)
    path.chmod(mode)
    return path


def test_a_password_is_the_first_line(tmp_path: Path) -> None:
    found = Secrets(tmp_path, None)
    for data in (b"s3cret", b"s3cret\n", b"s3cret\r\nand a note\n"):
        write(tmp_path / "trunk", data)
        assert found.password("trunk") == "s3cret"
    write(tmp_path / "trunk", "s\u00e4 cret \n".encode())
    assert found.password("trunk") == "s\u00e4 cret "
    assert found.password(str(tmp_path / "trunk")) == "s\u00e4 cret "


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o610, 0o777])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    write(tmp_path / "trunk", mode=mode)
    with pytest.raises(SecretError, match=f"{mode:04o}") as caught:
        Secrets(tmp_path, None).password("trunk")
    assert "chmod 600" in caught.value.hint
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"", "empty"), (b"\nsecond", "empty"), (b"\xff", "UTF-8")],
)
def test_what_is_no_password(tmp_path: Path, data: bytes, reason: str) -> None:
    write(tmp_path / "trunk", data)
    with pytest.raises(SecretError, match=reason):
        Secrets(tmp_path, None).password("trunk")


def test_what_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = Secrets(tmp_path, None)
    with pytest.raises(SecretError, match="No such file"):
        found.read("none")
    (tmp_path / "folder").mkdir(mode=0o700)
    with pytest.raises(SecretError, match="Is a directory"):
        found.read("folder")
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(SecretError, match="no file"):
        found.read("pipe")
    monkeypatch.setattr(secrets, "MAX_BYTES", 6)
    write(tmp_path / "trunk")
    with pytest.raises(SecretError, match="too long"):
        found.read("trunk")


def test_a_credential_of_the_service_manager(tmp_path: Path) -> None:
    given = tmp_path / "credentials"
    given.mkdir()
    # Its access list shows as the group's mode.
    write(given / "trunk.password", mode=0o440)
    found = Secrets(tmp_path / "elsewhere", given)
    assert found.password("credential:trunk.password") == "s3cret"
    with pytest.raises(SecretError, match="cannot be read"):
        found.password("credential:other")


@pytest.mark.parametrize("name", ["", "../trunk", "a/b", ".hidden", "a b"])
def test_a_credential_is_a_plain_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(SecretError, match="name"):
        Secrets(tmp_path, tmp_path).read(f"credential:{name}")


def test_a_credential_needs_a_service_manager(tmp_path: Path) -> None:
    with pytest.raises(SecretError, match="given no credentials") as caught:
        Secrets(tmp_path, None).read("credential:trunk")
    assert "LoadCredential=" in caught.value.hint
