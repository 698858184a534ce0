import os
import stat
from pathlib import Path

import obstore
import pytest

from agent.common import files
from agent.upload.backend import (
    CHUNK,
    ObjectExistsError,
    ObjectMissingError,
    StorageDeniedError,
    StorageError,
)
from agent.upload.backends import object_store
from agent.upload.backends.object_store import DirectoryBackend, open_store
from tests.conformance.backend_suite import KEY, BackendSuite, contents, listed


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "storage"
    root.mkdir()
    return root


class TestDirectoryBackend(BackendSuite):
    @pytest.fixture
    def backend(self, root: Path) -> DirectoryBackend:
        return DirectoryBackend(root)


def descriptor_name(fd: int) -> Path:
    return Path(f"/proc/self/fd/{fd}").readlink()


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """What was made durable, in order."""
    found: list[Path] = []
    fsync = os.fsync

    def spy(fd: int) -> None:
        fsync(fd)
        found.append(descriptor_name(fd))

    monkeypatch.setattr(os, "fsync", spy)
    return found


async def test_an_object_its_name_and_its_folders_are_durable(
    root: Path, synced: list[Path]
) -> None:
    await DirectoryBackend(root).put(KEY, b"data")
    path = root / KEY
    folders = [folder for folder in synced if folder.is_dir()]
    written = [file for file in synced if file.parent == path.parent and file != path]
    assert len(written) == 1, "the bytes, under the name they had before the link"
    assert synced.index(written[0]) < len(synced) - 1 - synced[::-1].index(path.parent)
    assert {root, *path.parents[:4]} <= set(folders) | {path.parent}


async def test_known_folders_are_not_synced_again(
    root: Path, synced: list[Path]
) -> None:
    backend = DirectoryBackend(root)
    await backend.put(KEY, b"data")
    synced.clear()
    await backend.put(f"{KEY}.2", b"data")
    assert len(synced) == 2
    assert synced[1] == (root / KEY).parent


async def test_an_object_put_by_a_killed_attempt_is_made_durable(
    root: Path, synced: list[Path]
) -> None:
    path = root / KEY
    path.parent.mkdir(parents=True)
    path.write_bytes(b"data")
    with pytest.raises(ObjectExistsError):
        await DirectoryBackend(root).put(KEY, b"data")
    assert path.parent in synced


async def test_objects_are_for_the_owner_alone(root: Path) -> None:
    await DirectoryBackend(root).put(KEY, b"data")
    assert stat.S_IMODE((root / KEY).stat().st_mode) == 0o600
    assert stat.S_IMODE((root / "audio").stat().st_mode) == 0o700


@pytest.mark.parametrize("step", ["fsync", "link"])
async def test_a_failed_put_leaves_nothing_and_can_be_repeated(
    root: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = DirectoryBackend(root)
    await backend.put("audio/2026/11/23/other", b"")
    with monkeypatch.context() as patch:

        def fail(*_: object, **__: object) -> None:
            raise OSError(28, "No space left on device")

        patch.setattr(os, step, fail)
        with pytest.raises(StorageError, match="No space left"):
            await backend.put(KEY, b"data")
    assert [p.name for p in (root / KEY).parent.iterdir()] == ["other"]
    await backend.put(KEY, b"data")
    assert await contents(backend, KEY) == b"data"


async def test_a_copy_in_the_making_is_not_listed(root: Path) -> None:
    backend = DirectoryBackend(root)
    await backend.put(KEY, b"data")
    (root / f"{KEY}#12345").write_bytes(b"left by a killed process")
    assert [info.key for info in await listed(backend, "audio/")] == [KEY]


async def test_a_copy_that_a_dead_process_left_goes_with_the_next_attempt(
    root: Path,
) -> None:
    """… at the same object; what others are writing beside it is theirs."""
    folder = (root / KEY).parent
    folder.mkdir(parents=True)
    dead = [folder / f"{Path(KEY).name}#{n}" for n in (1, 22)]
    others = folder / "another.age#3"
    for path in (*dead, others):
        path.write_bytes(b"half of i")
    backend = DirectoryBackend(root)
    await backend.put(KEY, b"data")
    assert {path.name for path in folder.iterdir()} == {Path(KEY).name, others.name}
    # Also where it had come as far as to the object itself.
    dead[0].write_bytes(b"data")
    with pytest.raises(ObjectExistsError):
        await DirectoryBackend(root).put(KEY, b"data")
    assert not dead[0].exists()


async def test_a_storage_that_comes_later_is_used_then(tmp_path: Path) -> None:
    backend = DirectoryBackend(tmp_path / "mount")
    with pytest.raises(StorageError, match="not there") as caught:
        await backend.put(KEY, b"data")
    assert not caught.value.permanent
    assert not (tmp_path / "mount").exists()
    (tmp_path / "mount").mkdir()
    await backend.put(KEY, b"data")


async def test_a_storage_taken_away_is_not_made_anew(root: Path) -> None:
    backend = DirectoryBackend(root)
    await backend.put(KEY, b"data")
    os.rename(root, f"{root}-unmounted")  # noqa: PTH104 - as an operator would
    with pytest.raises(StorageError):
        await backend.put(KEY, b"data")
    assert not [path for path in root.parent.iterdir() if path == root]


async def test_an_object_without_a_folder(root: Path) -> None:
    backend = DirectoryBackend(root)
    await backend.put("object", b"data")
    assert await contents(backend, "object") == b"data"


async def test_a_folder_taken_away_is_made_again(root: Path) -> None:
    backend = DirectoryBackend(root)
    await backend.put(KEY, b"data")
    (root / KEY).unlink()
    (root / KEY).parent.rmdir()
    with pytest.raises(StorageError) as caught:
        await backend.put(KEY, b"data")
    assert not isinstance(caught.value, ObjectMissingError)
    await backend.put(KEY, b"data")
    assert await contents(backend, KEY) == b"data"


async def test_remembers_no_more_folders_than_it_must(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_store, "MAX_FOLDERS", 2)
    backend = DirectoryBackend(root)
    for day in range(5):
        await backend.put(f"keys/{day}/a", b"data")
        await backend.put(f"keys/{day}/b", b"data")
    assert len(await listed(backend, "keys/")) == 10


async def test_a_refused_write_is_the_operators_to_mend(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(StorageDeniedError, match="permissions"):
        await DirectoryBackend(root).put(KEY, b"data")


@pytest.mark.parametrize("operation", ["get", "head", "list"])
async def test_failed_reads_are_storage_errors(
    root: Path, operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = DirectoryBackend(root)
    await backend.put(KEY, bytes(2 * CHUNK))

    def fail(*_: object, **__: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(obstore, operation, fail)
    reading = {
        "get": lambda: contents(backend, KEY),
        "head": lambda: backend.head(KEY),
        "list": lambda: listed(backend, "audio/"),
    }
    with pytest.raises(StorageError, match="Input/output"):
        await reading[operation]()


async def test_does_not_write_through_what_it_was_given(root: Path) -> None:
    """A put copies: storage may be another file system, and outlives the spool."""
    source = root.parent / "source"
    files.write_durably(source, b"data")
    await DirectoryBackend(root).put(KEY, source)
    assert (root / KEY).stat().st_ino != source.stat().st_ino


async def test_opens_file_urls(root: Path) -> None:
    spaced = root / "a b"
    spaced.mkdir()
    backend = open_store(f"file://{root}/a%20b", Path("/nowhere"))
    await backend.put(KEY, b"data")
    assert (spaced / KEY).read_bytes() == b"data"


def test_refuses_other_urls() -> None:
    with pytest.raises(StorageError, match="s3: is not supported"):
        open_store("s3://bucket/prefix", Path("/nowhere"))
