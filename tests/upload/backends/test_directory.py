import os
import stat
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from agent.common import files
from agent.upload.backend import (
    CHUNK,
    ObjectDamagedError,
    ObjectExistsError,
    ObjectMissingError,
    StorageDeniedError,
    StorageError,
)
from agent.upload.backends import directory
from agent.upload.backends.directory import DirectoryBackend
from tests.conformance.backend_suite import KEY, BackendSuite, contents, keys, listed


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
    monkeypatch.setattr(directory, "MAX_FOLDERS", 2)
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


@pytest.mark.parametrize("operation", ["get", "head", "list", "delete"])
async def test_what_the_file_system_refuses_is_a_storage_error(
    root: Path, operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = DirectoryBackend(root)
    await backend.put(KEY, bytes(2 * CHUNK))

    def fail(*_: object, **__: object) -> None:
        raise OSError(5, "Input/output error")

    step = {"get": "pread", "list": "scandir", "delete": "unlink"}
    if operation == "head":
        monkeypatch.setattr(Path, "lstat", fail)
    else:
        monkeypatch.setattr(os, step[operation], fail)
    acts = {
        "get": lambda: contents(backend, KEY),
        "head": lambda: backend.head(KEY),
        "list": lambda: listed(backend, "audio/"),
        "delete": lambda: backend.delete(KEY),
    }
    with pytest.raises(StorageError, match="Input/output"):
        await acts[operation]()


async def test_links_and_devices_are_no_objects(root: Path) -> None:
    backend = DirectoryBackend(root)
    await backend.put(KEY, b"data")
    secret = root.parent / "secret"
    secret.write_bytes(b"not in storage")
    folder = (root / KEY).parent
    (folder / "link").symlink_to(secret)
    (folder / "folder").symlink_to(root.parent)
    os.mkfifo(folder / "pipe")
    assert await keys(backend, "") == [KEY]
    for name in ("link", "folder", "pipe"):
        key = str((folder / name).relative_to(root))
        with pytest.raises(ObjectMissingError):
            await backend.head(key)
        with pytest.raises(StorageError):
            await contents(backend, key)


async def test_a_folder_is_no_object(root: Path) -> None:
    backend = DirectoryBackend(root)
    await backend.put(KEY, b"data")
    with pytest.raises(StorageError):
        await contents(backend, "audio")
    with pytest.raises(ObjectMissingError):
        await backend.head("audio")
    with pytest.raises(ObjectMissingError):
        await backend.head(f"{KEY}/below")
    assert await keys(backend, KEY) == []


async def test_an_object_replaced_while_it_is_read_is_not_mixed(root: Path) -> None:
    backend = DirectoryBackend(root)
    await backend.put(KEY, bytes(3 * CHUNK))
    reading = backend.get(KEY)
    await anext(reading)
    await backend.replace(KEY, b"x" * 3 * CHUNK)
    with pytest.raises(StorageError, match="replaced"):
        await anext(reading)


async def test_what_is_deleted_leaves_no_folder_and_no_copy(
    root: Path, synced: list[Path]
) -> None:
    backend = DirectoryBackend(root)
    for key in (KEY, "index/2026-11/caller/abc/1"):
        await backend.put(key, b"data")
    (root / "index/2026-11/caller/abc/1#77").write_bytes(b"half")
    synced.clear()
    await backend.delete("index/2026-11/caller/abc/1")
    assert [path.name for path in root.iterdir()] == ["audio"]
    assert synced[-1] == root
    await backend.put("index/2026-11/caller/abc/1", b"again")


async def test_a_folder_is_not_listed_for_each_object_that_is_deleted(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(directory, "monotonic", lambda: now)
    backend = DirectoryBackend(root)
    names = [f"{KEY}.{number}" for number in range(4)]
    for name in names:
        await backend.put(name, b"data")
    listed = 0
    iterdir = Path.iterdir

    def counted(path: Path) -> Iterator[Path]:
        nonlocal listed
        listed += 1
        return iterdir(path)

    monkeypatch.setattr(Path, "iterdir", counted)
    for name in names[:3]:
        (root / f"{name}#9").write_bytes(b"left before the first was deleted")
    for name in names[:3]:
        await backend.delete(name)
    assert listed == 1
    now = directory.LOOK
    (root / f"{names[3]}#9").write_bytes(b"left later")
    await backend.delete(names[3])
    assert listed == 2
    assert [*iterdir(root)] == []


async def test_a_damaged_copy_never_gets_the_objects_name(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = DirectoryBackend(root)
    write_new = files.write_new

    def alter(path: Path, chunks: Iterable[bytes]) -> None:
        write_new(path, [b"".join(chunks)[:-1]])

    wanted = sha256(b"data").hexdigest()
    with monkeypatch.context() as patch:
        patch.setattr(directory, "write_new", alter)
        with pytest.raises(ObjectDamagedError):
            await backend.put(KEY, b"data", sha256=wanted)
    assert [*(root / KEY).parent.iterdir()] == []
    await backend.put(KEY, b"data", sha256=wanted)


async def test_does_not_write_through_what_it_was_given(root: Path) -> None:
    """A put copies: storage may be another file system, and outlives the spool."""
    source = root.parent / "source"
    files.write_durably(source, b"data")
    await DirectoryBackend(root).put(KEY, source)
    assert (root / KEY).stat().st_ino != source.stat().st_ino
