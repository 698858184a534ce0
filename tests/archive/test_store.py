import asyncio
from collections.abc import AsyncIterator
from datetime import date, timedelta

import pytest

from agent.archive import store as module
from agent.archive.store import LONGEST_BACK, MAX_ENVELOPE, Archive, NotFoundError
from agent.formats.layout import Folder, LayoutError, annotation_key, dated, seal_key
from agent.upload.backend import ObjectInfo, ObjectTooLargeError, StorageError
from agent.upload.backends.memory import MemoryBackend
from agent.upload.targets import Target
from tests.archive.shelves import TODAY, Shelf, id_of

DAY = TODAY - timedelta(100)


@pytest.mark.parametrize("by", [Folder.KEYS, Folder.MANIFEST])
@pytest.mark.parametrize(
    "day", [TODAY + timedelta(1), TODAY, DAY, TODAY - timedelta(LONGEST_BACK - 2)]
)
async def test_a_recording_is_found_by_its_id_alone(by: Folder, day: date) -> None:
    shelf = Shelf(by)
    recording_id = shelf.store(1, day, {})
    shelf.store(2, DAY, {})
    assert await shelf.archive.locate(recording_id) == day
    assert await shelf.archive.locate(id_of(3)) is None


@pytest.mark.parametrize("off", [-3, -1, 0, 1, 3])
async def test_a_day_that_is_nearly_right_saves_questions(off: int) -> None:
    shelf = Shelf()
    recording_id = shelf.store(1, DAY, {})
    assert await shelf.archive.locate(recording_id, DAY + timedelta(off)) == DAY
    assert len(shelf.asked) <= 16
    far = TODAY - timedelta(10 * LONGEST_BACK)
    assert await shelf.archive.locate(recording_id, far) == DAY


async def test_every_day_that_an_id_is_filed_under_is_found() -> None:
    shelf = Shelf()
    days = [TODAY + timedelta(1), DAY, TODAY - timedelta(LONGEST_BACK - 2)]
    for day in days:
        shelf.store(1, day, {})
    assert await shelf.archive.locate_all(id_of(1)) == days
    assert await shelf.archive.locate_all(id_of(2)) == []
    assert len(shelf.asked) <= 2 * (LONGEST_BACK + 1)


async def test_the_days_of_many_are_listed_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shelf = Shelf()
    for number, days in ((1, (DAY, TODAY)), (2, (DAY,)), (3, (DAY,)), (9, (DAY,))):
        for day in days:
            shelf.store(number, day, {})
    shelf.state.objects[f"keys/{DAY:%Y/%m/%d}/{id_of(1)}.other"] = b""
    shelf.state.objects[f"keys/{DAY:%Y/%m/%d}/strange"] = b""
    wanted = [id_of(number) for number in range(1, 6)]
    assert await shelf.archive.list_days_of(wanted) == {
        id_of(1): [TODAY, DAY], id_of(2): [DAY], id_of(3): [DAY],
        id_of(4): [], id_of(5): [],
    }  # fmt: skip
    monkeypatch.setattr(shelf.state, "page_costs", 100)
    assert await shelf.archive.list_days_of(wanted) is None  # to ask is less


async def test_a_listing_of_all_days_that_takes_too_long_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Endless(MemoryBackend):
        async def list(
            self, prefix: str, *, after: str = ""
        ) -> AsyncIterator[ObjectInfo]:
            await asyncio.Event().wait()
            yield ObjectInfo(prefix, 0, 0)

    monkeypatch.setattr(module, "LISTING", 0)
    archive = Archive(MemoryBackend(), Endless())
    assert await archive.list_days_of([id_of(number) for number in range(9)]) is None


async def test_a_recording_without_a_manifest_is_found_by_its_seal() -> None:
    shelf = Shelf(Folder.MANIFEST)
    shelf.locked.objects[seal_key(DAY, id_of(1))] = b""
    assert await shelf.archive.locate(id_of(1)) == DAY
    assert await shelf.archive.recordings(DAY) == [id_of(1)]


async def test_storage_that_fails_is_no_answer() -> None:
    def before(operation: str, _key: str) -> None:
        raise StorageError("away.")

    archive = Archive(MemoryBackend(), MemoryBackend(before))
    with pytest.raises(StorageError):
        await archive.locate(id_of(1))
    with pytest.raises(LayoutError):
        await archive.locate("../../etc")


async def test_an_envelope_is_read_and_bounded() -> None:
    shelf = Shelf()
    recording_id = shelf.store(1, DAY, {})
    assert await shelf.archive.envelope(recording_id, DAY) == b"envelope"
    with pytest.raises(NotFoundError):
        await shelf.archive.envelope(recording_id, TODAY)
    key = next(iter(shelf.state.objects))
    shelf.state.objects[key] = bytes(MAX_ENVELOPE + 1)
    with pytest.raises(ObjectTooLargeError):
        await shelf.archive.envelope(recording_id, DAY)


async def test_objects_of_one_recording_among_others() -> None:
    shelf = Shelf()
    for number in range(5):
        shelf.store(number, DAY, {})
    for epoch in (1, 2):
        name = f"{id_of(7)}.{epoch}.journal"
        shelf.locked.objects[dated(Folder.AUDIO, DAY, name)] = b"journal"
    audio = await shelf.archive.objects(Folder.AUDIO, id_of(3), DAY)
    assert [(stored.name.suffix, stored.size) for stored in audio] == [("wav.age", 6)]
    both = await shelf.archive.objects(Folder.MANIFEST, id_of(3), DAY)
    assert [stored.name.suffix for stored in both] == ["json.age", "seal"]
    journals = await shelf.archive.objects(Folder.AUDIO, id_of(7), DAY)
    assert [stored.name.suffix for stored in journals] == ["1.journal", "2.journal"]
    assert await shelf.archive.objects(Folder.AUDIO, id_of(9), DAY) == []


async def test_annotations_come_in_order() -> None:
    shelf = Shelf()
    keys = [annotation_key(id_of(1), number) for number in (1, 2, 10)]
    for key in reversed(keys):
        shelf.state.objects[key] = b""
    assert await shelf.archive.annotations(id_of(1)) == keys
    assert await shelf.archive.annotations(id_of(2)) == []


async def test_a_day_is_listed_and_strangers_are_left_out() -> None:
    shelf = Shelf()
    ids = [shelf.store(number, DAY, {}) for number in range(5)]
    shelf.store(9, TODAY, {})
    shelf.state.objects[f"keys/{DAY:%Y/%m/%d}/strange"] = b""
    assert await shelf.archive.recordings(DAY) == ids
    listed = [one async for one in shelf.archive.list_day(Folder.KEYS, DAY)]
    assert [one.name.id for one in listed] == ids


@pytest.mark.parametrize("long", [1, 2, 3, 2000])
async def test_the_days_that_have_any(
    long: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.archive.store.LONG_DAY", long)
    shelf = Shelf()
    days = [TODAY - timedelta(back) for back in (400, 399, 31, 1, 0)]
    for number, day in enumerate(days * 4):
        shelf.store(number, day, {})
    shelf.state.objects["keys/0000"] = b""
    shelf.state.objects["keys/2026/strange"] = b""
    assert [day async for day in shelf.archive.days(Folder.KEYS)] == days
    asked = len(shelf.asked)
    some = [day async for day in shelf.archive.days(Folder.AUDIO, days[2])]
    assert some == days[2:]
    assert len(shelf.asked) - asked == (1 if long > 3 else 4)
    assert [day async for day in Shelf().archive.days(Folder.KEYS)] == []


def test_an_archive_is_in_a_target() -> None:
    locked, state = MemoryBackend(), MemoryBackend()
    archive = Archive.of(Target(locked, state))
    assert (archive.backend(Folder.AUDIO), archive.backend(Folder.KEYS)) == (
        locked, state,
    )  # fmt: skip
