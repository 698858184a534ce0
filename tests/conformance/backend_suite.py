"""What every storage backend must do; one suite for all of them.

A test module subclasses `BackendSuite` and gives the fixture `backend`.
"""

import asyncio
from hashlib import sha256
from pathlib import Path

import pytest

from agent.common.clock import utc_ns
from agent.upload.backend import (
    CHUNK,
    BadKeyError,
    ObjectDamagedError,
    ObjectExistsError,
    ObjectInfo,
    ObjectMissingError,
    ObjectTooLargeError,
    StorageBackend,
    StorageError,
    read_object,
)

KEY = "audio/2026/11/23/6f1c.wav.age"


async def contents(backend: StorageBackend, key: str) -> bytes:
    return b"".join([chunk async for chunk in backend.get(key)])


async def listed(backend: StorageBackend, prefix: str) -> list[ObjectInfo]:
    return [info async for info in backend.list(prefix)]


async def keys(backend: StorageBackend, prefix: str, after: str = "") -> list[str]:
    return [info.key async for info in backend.list(prefix, after=after)]


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
        assert (await backend.head(KEY)).size == size

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
        for prefix in ("keys/a", "keys/a/"):
            found = [(info.key, info.size) for info in await listed(backend, prefix)]
            assert found == [("keys/a/1", 8), ("keys/a/22", 9)]
        assert len(await keys(backend, "keys/")) == 3
        assert len(await keys(backend, "")) == 4
        assert await keys(backend, "manifest/") == []

    async def test_lists_in_the_order_of_keys_and_goes_on_after_any(
        self, backend: StorageBackend
    ) -> None:
        # A folder's slash sorts between its neighbours' next characters.
        wanted = ["k/a-", "k/a.b", "k/a/b/c", "k/a/z", "k/a0", "k/ab", "k/b/1", "k/b2"]
        assert wanted == sorted(wanted)
        for key in (*reversed(wanted), "j", "l"):
            await backend.put(key, key.encode())
        assert await keys(backend, "k") == wanted
        for after in (*wanted, "j", "k", "k/", "k/a", "k/a/", "k/a/b", "k/a/b/d", "l"):
            later = [key for key in wanted if key > after]
            assert await keys(backend, "k", after) == later, after

    async def test_tells_when_storage_got_it(self, backend: StorageBackend) -> None:
        before = utc_ns()
        await backend.put(KEY, b"data")
        [info] = await listed(backend, "audio")
        assert info == await backend.head(KEY)
        # Whole seconds are what some storages count in; both clocks are this host's.
        assert before - 2_000_000_000 <= info.modified_ns <= utc_ns() + 2_000_000_000

    async def test_a_verified_put(
        self, backend: StorageBackend, tmp_path: Path
    ) -> None:
        source = tmp_path / "source"
        source.write_bytes(bytes(CHUNK + 1))
        digest = sha256(source.read_bytes()).hexdigest()
        await backend.put(KEY, source, sha256=digest)
        assert await backend.holds(KEY, sha256=digest, size=CHUNK + 1)
        assert not await backend.holds(KEY, sha256=digest, size=CHUNK)
        other = sha256(b"").hexdigest()
        assert not await backend.holds(KEY, sha256=other, size=CHUNK + 1)
        with pytest.raises(ObjectMissingError):
            await backend.holds("audio/none", sha256=digest, size=1)

    async def test_what_is_not_what_it_was_to_be_is_not_stored(
        self, backend: StorageBackend, tmp_path: Path
    ) -> None:
        source = tmp_path / "source"
        source.write_bytes(b"altered")
        wanted = sha256(b"sealed!").hexdigest()
        with pytest.raises(ObjectDamagedError):
            await backend.put(KEY, source, sha256=wanted)
        with pytest.raises(ObjectDamagedError):
            await backend.put(KEY, b"altered", sha256=wanted)
        assert await keys(backend, "") == []

    async def test_replaces(self, backend: StorageBackend) -> None:
        for data in (b"first", b"", bytes(CHUNK), b"last"):
            await backend.replace(KEY, data)
            assert await contents(backend, KEY) == data
            assert (await backend.head(KEY)).size == len(data)
            assert await keys(backend, "audio") == [KEY]
        with pytest.raises(ObjectExistsError):
            await backend.put(KEY, b"put")

    async def test_deletes(self, backend: StorageBackend) -> None:
        beside = f"{KEY}.beside"
        for key in (KEY, beside):
            await backend.put(key, b"data")
        await backend.delete(KEY)
        await backend.delete(KEY)
        assert await keys(backend, "") == [beside]
        with pytest.raises(ObjectMissingError):
            await contents(backend, KEY)
        await backend.delete(beside)
        await backend.put(KEY, b"again")
        assert await contents(backend, KEY) == b"again"

    async def test_keeps_what_is_there(self, backend: StorageBackend) -> None:
        await backend.put(KEY, b"data")
        await backend.keep(KEY)
        await backend.keep(KEY)
        assert await contents(backend, KEY) == b"data"
        with pytest.raises(ObjectMissingError):
            await backend.keep("keys/none")

    async def test_reads_what_is_small_enough(self, backend: StorageBackend) -> None:
        await backend.put(KEY, bytes(CHUNK + 5))
        assert len(await read_object(backend, KEY, CHUNK + 5)) == CHUNK + 5
        with pytest.raises(ObjectTooLargeError):
            await read_object(backend, KEY, CHUNK + 4)

    @pytest.mark.parametrize(
        "key", ["", "/a", "a/", "a//b", "../a", "a/./b", "a/..", "a#1", "a\n", "ä" * 9]
    )
    async def test_refuses_what_is_no_key(
        self, backend: StorageBackend, key: str
    ) -> None:
        for act in (
            lambda: backend.put(key, b""),
            lambda: backend.replace(key, b""),
            lambda: backend.head(key),
            lambda: backend.delete(key),
            lambda: contents(backend, key),
            lambda: backend.holds(key, sha256="", size=0),
        ):
            with pytest.raises(BadKeyError):
                await act()
        if key.strip("/") and not key.endswith("/") and key != "/a":
            with pytest.raises(BadKeyError):
                await keys(backend, key)

    async def test_a_reader_may_leave_early(self, backend: StorageBackend) -> None:
        await backend.put(KEY, bytes(4 * CHUNK))
        async for _ in backend.get(KEY):
            break
        assert len(await contents(backend, KEY)) == 4 * CHUNK
