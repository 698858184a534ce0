from datetime import date
from typing import Any

import msgspec
import pytest

from agent.archive import tombstones
from agent.archive.tombstones import Erased, Tombstone, TombstoneError
from agent.formats.canonical import canonical
from agent.formats.layout import LayoutError
from agent.formats.seal import SealPlace
from agent.upload.backends.memory import MemoryBackend
from tests.archive.logs import DAY
from tests.archive.shelves import Shelf, id_of


def tombstone(number: int = 1, **changed: Any) -> Tombstone:
    return msgspec.structs.replace(
        Tombstone(
            id=id_of(number), created=date(2025, 11, 28),
            erased_at="2026-11-29T12:00:00.000Z", method="key-destroyed", policy="P1Y",
        ),
        **changed,
    )  # fmt: skip


async def every(backend: MemoryBackend) -> list[Tombstone]:
    keys = [key async for key, _ in tombstones.ids(backend)]
    return [await tombstones.read(backend, key) for key in keys]


async def test_a_tombstone_is_read_back() -> None:
    backend = MemoryBackend()
    seal = SealPlace(host="host-a", chain=id_of(7), sequence=12, sha256="0" * 64)
    written = [tombstone(1), tombstone(2, seal=seal), tombstone(3, policy="early")]
    for one in written:
        await tombstones.write(backend, one)
    assert await every(backend) == written
    keys = [key async for key, _ in tombstones.ids(backend)]
    assert keys == [f"tombstones/2026/11/29/{id_of(n)}.json" for n in (1, 2, 3)]
    rest = [found async for _, found in tombstones.ids(backend, after=keys[0])]
    assert rest == [id_of(2), id_of(3)]


async def test_the_first_one_counts() -> None:
    backend = MemoryBackend()
    await tombstones.write(backend, tombstone())
    await tombstones.write(backend, tombstone(method="envelope-deleted"))
    assert await every(backend) == [tombstone()]


async def test_the_day_is_the_local_one() -> None:
    backend = MemoryBackend()
    await tombstones.write(backend, tombstone(erased_at="2026-11-29T22:30:00Z"))
    assert next(iter(backend.objects)).startswith("tombstones/2026/11/30/")


@pytest.mark.parametrize(
    "changed",
    [
        {"erased_at": "2026-13-40T12:00:00.000Z"},
        {"erased_at": "today"},
        {"method": "Matti Meikäläinen"},
        {"policy": ""},
    ],
)
async def test_what_is_none_is_not_written(changed: dict[str, Any]) -> None:
    backend = MemoryBackend()
    with pytest.raises(TombstoneError):
        await tombstones.write(backend, tombstone(**changed))
    assert not backend.objects


async def test_what_is_none_is_not_read() -> None:
    backend = MemoryBackend()
    key = f"tombstones/2026/11/29/{id_of(1)}.json"
    for data in (b"", b"{}", canonical(tombstone(2)), canonical(tombstone())[:-1]):
        backend.objects[key] = data
        with pytest.raises(TombstoneError):
            await every(backend)
    backend.objects = {"tombstones/strange": b""}
    with pytest.raises(TombstoneError):
        [one async for one in tombstones.ids(backend)]


async def test_what_was_erased_is_known_from_names_alone() -> None:
    shelf = Shelf()
    await tombstones.write(shelf.state, tombstone(1, erased_at="2026-01-01T12:00:00Z"))
    await tombstones.write(shelf.state, tombstone(2))
    erased = Erased(shelf.archive)
    assert await erased.load() == 2
    assert await erased.is_erased(id_of(1))
    assert not await erased.is_erased(id_of(3))
    with pytest.raises(LayoutError):
        await erased.is_erased("x")
    # By another process, today; and on the day after that.
    await tombstones.write(shelf.state, tombstone(3))
    assert await erased.is_erased(id_of(3))
    await tombstones.write(shelf.state, tombstone(4))
    shelf.now += DAY
    shelf.asked.clear()
    assert await erased.is_erased(id_of(4))
    assert await erased.is_erased(id_of(4))
    assert [operation for operation, _ in shelf.asked] == ["list"]
    assert not await erased.is_erased(id_of(5))


async def test_of_earlier_days_nothing_is_asked_for_each_recording() -> None:
    shelf = Shelf()
    await tombstones.write(shelf.state, tombstone(1))
    erased = Erased(shelf.archive)
    assert await erased.was_erased(id_of(1))
    await tombstones.write(shelf.state, tombstone(2))
    assert not await erased.was_erased(id_of(2))
    asked = [operation for operation, _ in shelf.asked]
    assert (asked.count("list"), asked.count("head")) == (1, 0)
    shelf.now += DAY
    assert await erased.was_erased(id_of(2))


async def test_what_a_sweep_writes_of_yesterday_is_known_by_tomorrow() -> None:
    shelf = Shelf()
    erased = Erased(shelf.archive)
    shelf.now += DAY
    await erased.load()
    # Its run began before midnight, and its time is in the tombstone.
    await tombstones.write(shelf.state, tombstone(1))
    shelf.now += DAY
    assert await erased.is_erased(id_of(1))
