import pytest

from agent.archive.reading import AT_ONCE, read_folder
from agent.upload.backend import StorageError
from agent.upload.backends.memory import MemoryBackend


async def test_objects_come_in_the_order_of_their_names() -> None:
    backend = MemoryBackend()
    expected = {f"folder/{number:04}": b"%d" % number for number in range(5 * AT_ONCE)}
    for key, data in reversed(expected.items()):
        await backend.put(key, data)
    await backend.put("other/0000", b"")
    found = [one async for one in read_folder(backend, "folder", 10)]
    assert found == list(expected.items())
    after = [
        one async for one in read_folder(backend, "folder", 10, after="folder/0042")
    ]
    assert after == list(expected.items())[43:]


async def test_one_that_is_too_large_ends_nothing() -> None:
    backend = MemoryBackend()
    await backend.put("folder/1", b"much too large")
    await backend.put("folder/2", b"small")
    found = [one async for one in read_folder(backend, "folder", 10)]
    assert found == [("folder/1", b""), ("folder/2", b"small")]


async def test_few_large_ones_are_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once: list[str] = []
    most = 0

    def before(operation: str, key: str) -> None:
        nonlocal most
        if operation == "get":
            at_once.append(key)
            most = max(most, len(at_once))

    monkeypatch.setattr("agent.archive.reading.MAX_BATCH", 100)
    backend = MemoryBackend(before)
    for number in range(8):
        await backend.put(f"folder/{number}", bytes(60))
    async for _ in read_folder(backend, "folder", 100):
        at_once.clear()
    assert most == 2


async def test_storage_that_fails_is_told() -> None:
    def before(operation: str, _key: str) -> None:
        if operation == "get":
            raise StorageError("away.")

    backend = MemoryBackend(before)
    await backend.put("folder/1", b"")
    with pytest.raises(StorageError):
        [one async for one in read_folder(backend, "folder", 10)]
