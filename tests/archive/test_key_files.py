import os
from pathlib import Path

import pytest

from agent.archive.key_files import (
    Destruction,
    KeyFiles,
    KeyringBusyError,
    KeyringError,
    Kind,
)
from agent.formats.age import Identity, KeyKind, generate_identity

AT = "2026-11-29T12:00:00Z"
DAY = "2026-11-23.1"


@pytest.fixture(scope="module")
def gate() -> Identity:
    return generate_identity(KeyKind.CLASSIC, os.urandom)


@pytest.fixture
def files(tmp_path: Path, gate: Identity) -> KeyFiles:
    files = KeyFiles(tmp_path / "keyring", [gate])
    files.make()
    return files


def test_a_secret_is_encrypted_and_comes_back(files: KeyFiles, tmp_path: Path) -> None:
    files.add(Kind.HOLD, "a", b"the secret", os.urandom)
    path = tmp_path / "keyring" / "holds" / "a.age"
    assert path.read_bytes().startswith(b"age-encryption.org/v1\n")
    assert b"the secret" not in path.read_bytes()
    assert path.stat().st_mode & 0o077 == 0
    assert files.read(Kind.HOLD, "a") == b"the secret"
    assert files.names(Kind.HOLD) == ["a"]
    assert files.names(Kind.DAY) == []


def test_a_destroyed_secret_is_gone_and_its_record_says_when(
    files: KeyFiles, tmp_path: Path
) -> None:
    files.add(Kind.DAY, DAY, b"the secret", os.urandom)
    done = files.destroy(Kind.DAY, DAY, AT)
    assert done == Destruction(Kind.DAY, DAY, AT)
    assert files.destroy(Kind.DAY, DAY, "2027-01-01T00:00:00Z") == done
    assert files.names(Kind.DAY) == []
    assert files.destroyed(Kind.DAY) == [done]
    assert files.destroyed(Kind.HOLD) == []
    assert list((tmp_path / "keyring" / "days").iterdir()) == []
    with pytest.raises(KeyringError, match="was destroyed"):
        files.read(Kind.DAY, DAY)
    with pytest.raises(KeyringError, match="made before"):
        files.add(Kind.DAY, DAY, b"another", os.urandom)


def test_what_never_was_is_named(files: KeyFiles) -> None:
    with pytest.raises(KeyringError, match="not held"):
        files.read(Kind.DAY, DAY)
    with pytest.raises(KeyringError, match="not held"):
        files.destroy(Kind.DAY, DAY, AT)
    with pytest.raises(KeyringError, match="small letters"):
        files.read(Kind.DAY, "../roots/index")


def test_a_secret_of_another_gate_or_a_damaged_one_is_named(
    files: KeyFiles, tmp_path: Path
) -> None:
    files.add(Kind.ROOT, "index", b"the secret", os.urandom)
    stranger = generate_identity(KeyKind.CLASSIC, os.urandom)
    with pytest.raises(KeyringError, match="roots/index does not open"):
        KeyFiles(tmp_path / "keyring", [stranger]).read(Kind.ROOT, "index")
    path = tmp_path / "keyring" / "roots" / "index.age"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(KeyringError, match="roots/index does not open"):
        files.read(Kind.ROOT, "index")


def test_one_process_at_a_time_changes_it(
    files: KeyFiles, gate: Identity, tmp_path: Path
) -> None:
    files.claim()
    other = KeyFiles(tmp_path / "keyring", [gate])
    with pytest.raises(KeyringBusyError, match="in use"):
        other.claim()
    files.release()
    other.claim()
    other.release()
    other.release()


def test_no_keyring_is_not_an_empty_one(tmp_path: Path, gate: Identity) -> None:
    with pytest.raises(KeyringError, match="holds no keyring"):
        KeyFiles(tmp_path, [gate]).claim()


def test_a_keyring_is_never_replaced(files: KeyFiles) -> None:
    with pytest.raises(KeyringError, match="holds a keyring already"):
        files.make()


def test_a_broken_record_of_destruction_stops_the_gate(
    files: KeyFiles, tmp_path: Path
) -> None:
    (tmp_path / "keyring" / "destroyed" / f"days.{DAY}.json").write_bytes(b"{")
    with pytest.raises(KeyringError, match="cannot be read"):
        files.claim()
    files.release()


class KilledError(BaseException):
    """The process ends here."""


class Killer:
    """Kills at the n-th step that changes the disk."""

    STEPS = ("write", "fsync", "replace", "unlink", "fchmod")

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
        self.left = at
        for name in self.STEPS:
            monkeypatch.setattr(os, name, self._step(getattr(os, name)))

    def _step(self, real):  # type: ignore[no-untyped-def]
        def step(*args: object, **kwargs: object) -> object:
            if self.left == 0:
                raise KilledError
            self.left -= 1
            return real(*args, **kwargs)

        return step


def test_killed_at_any_step_a_destroyed_secret_never_comes_back(
    tmp_path: Path, gate: Identity
) -> None:
    whole = said = 0
    finished = False
    for steps in range(40):
        folder = tmp_path / str(steps)
        files = KeyFiles(folder, [gate])
        files.make()
        files.add(Kind.DAY, DAY, b"the secret", os.urandom)
        patch = pytest.MonkeyPatch()
        Killer(patch, steps)
        try:
            files.destroy(Kind.DAY, DAY, AT)
            finished = True
        except KilledError:
            pass
        finally:
            patch.undo()
        successor = KeyFiles(folder, [gate])
        successor.claim()
        if successor.destroyed(Kind.DAY):
            said += 1
            assert successor.names(Kind.DAY) == []
            assert list((folder / "days").iterdir()) == []
        else:
            # It was never said to be destroyed, and is whole.
            whole += 1
            assert successor.read(Kind.DAY, DAY) == b"the secret"
        successor.release()
        if finished:
            break
    assert finished
    assert whole > 2
    assert said > 2


def test_killed_at_any_step_a_new_secret_is_whole_or_not_there(
    tmp_path: Path, gate: Identity
) -> None:
    finished = False
    for steps in range(40):
        folder = tmp_path / str(steps)
        files = KeyFiles(folder, [gate])
        files.make()
        patch = pytest.MonkeyPatch()
        Killer(patch, steps)
        try:
            files.add(Kind.DAY, DAY, b"the secret", os.urandom)
            finished = True
        except KilledError:
            pass
        finally:
            patch.undo()
        successor = KeyFiles(folder, [gate])
        successor.claim()
        for name in successor.names(Kind.DAY):
            assert successor.read(Kind.DAY, name) == b"the secret"
        assert [p.suffix for p in (folder / "days").iterdir()] in ([], [".age"])
        successor.release()
        if finished:
            break
    assert finished


def test_a_secret_that_never_got_its_name_is_wiped(
    files: KeyFiles, tmp_path: Path
) -> None:
    left = tmp_path / "keyring" / "days" / f".{DAY}.age.x.tmp"
    left.write_bytes(b"half")
    files.claim()
    files.release()
    assert not left.exists()


def test_a_backup_is_the_ciphertext_and_opens_with_the_gates_key(
    files: KeyFiles, gate: Identity, tmp_path: Path
) -> None:
    files.add(Kind.HOLD, "a", b"the secret", os.urandom)
    files.add(Kind.HOLD, "b", b"another", os.urandom)
    files.destroy(Kind.HOLD, "b", AT)
    (tmp_path / "keyring" / "holds" / ".c.tmp").write_bytes(b"half")
    assert files.copy_to(tmp_path / "backup") == 2
    copy = KeyFiles(tmp_path / "backup", [gate])
    copy.claim()
    assert copy.read(Kind.HOLD, "a") == b"the secret"
    assert copy.names(Kind.HOLD) == ["a"]
    assert [done.name for done in copy.destroyed(Kind.HOLD)] == ["b"]
    copy.release()
    with pytest.raises(FileExistsError):
        files.copy_to(tmp_path / "backup")
