"""What every storage backend must do; one suite for all of them.

A test module subclasses `BackendSuite` and gives the fixture `backend`.
"""

import asyncio
from pathlib import Path

import pytest

from agent.upload.backend import (
    CHUNK,
    ObjectExistsError,
    ObjectInfo,
    ObjectMissingError,
    StorageBackend,
    StorageError,
)

KEY = "audio/2026/11/23/6f1c.wav.age"


async def contents(backend: StorageBackend, key: str) -> bytes:
    return b"".join([chunk async for chunk in backend.get(key)])


async def listed(backend: StorageBackend, prefix: str) -> list[ObjectInfo]:
    return sorted(
        [info async for info in backend.list(prefix)], key=lambda info: info.key
    )


class BackendSuite:
    """The storage contract, test by test."""

    @pytest.mark.parametrize(
        "size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 17]
    )
    async def test_gives_back_what_was_put(
        self, backend: StorageBackend, size: int
    ) -> None:
        data = (bytes(range(256)) * (size // 256 + 1))[:size]
        await backend.put(KEY, data)
        assert await contents(backend, KEY) == data
        assert await backend.head(KEY) == ObjectInfo(KEY, size)

    async def test_puts_a_file(self, backend: StorageBackend, tmp_path: Path) -> None:
        source = tmp_path / "source"
        source.write_bytes(b"sealed" * CHUNK)
        await backend.put(KEY, source)
        assert await contents(backend, KEY) == source.read_bytes()

    async def test_a_missing_file_stores_nothing(
        self, backend: StorageBackend, tmp_path: Path
    ) -> None:
        with pytest.raises((StorageError, OSError)):
            await backend.put(KEY, tmp_path / "gone")
        with pytest.raises(ObjectMissingError):
            await backend.head(KEY)
        await backend.put(KEY, b"later")
        assert await contents(backend, KEY) == b"later"

    @pytest.mark.parametrize("second", [b"first", b"other", b""])
    async def test_never_overwrites(
        self, backend: StorageBackend, second: bytes
    ) -> None:
        await backend.put(KEY, b"first")
        with pytest.raises(ObjectExistsError):
            await backend.put(KEY, second)
        assert await contents(backend, KEY) == b"first"

    async def test_one_of_many_at_once_wins(self, backend: StorageBackend) -> None:
        results = await asyncio.gather(
            *(backend.put(KEY, b"writer %d" % n) for n in range(8)),
            return_exceptions=True,
        )
        winners = [n for n, result in enumerate(results) if result is None]
        losers = [r for r in results if isinstance(r, ObjectExistsError)]
        assert (len(winners), len(losers)) == (1, 7)
        assert await contents(backend, KEY) == b"writer %d" % winners[0]

    async def test_what_is_not_there_is_missing(self, backend: StorageBackend) -> None:
        with pytest.raises(ObjectMissingError):
            await backend.head(KEY)
        with pytest.raises(ObjectMissingError):
            await contents(backend, KEY)

    async def test_reads_in_bounded_pieces(self, backend: StorageBackend) -> None:
        await backend.put(KEY, bytes(5 * CHUNK))
        assert all([0 < len(c) <= 2 * CHUNK async for c in backend.get(KEY)])

    async def test_lists_folders_not_beginnings_of_names(
        self, backend: StorageBackend
    ) -> None:
        for key in ("keys/a/1", "keys/a/22", "keys/ab/1", "audio/a/1"):
            await backend.put(key, key.encode())
        expected = [ObjectInfo("keys/a/1", 8), ObjectInfo("keys/a/22", 9)]
        assert await listed(backend, "keys/a") == expected
        assert await listed(backend, "keys/a/") == expected
        assert len(await listed(backend, "keys/")) == 3
        assert await listed(backend, "manifest/") == []

    async def test_a_reader_may_leave_early(self, backend: StorageBackend) -> None:
        await backend.put(KEY, bytes(4 * CHUNK))
        async for _ in backend.get(KEY):
            break
        assert len(await contents(backend, KEY)) == 4 * CHUNK
