from datetime import date

from agent.archive.index_verification import (
    IndexFault,
    IndexFinding,
    MonthIndex,
    read_month,
    verify_index,
)
from agent.formats.layout import index_key, unindexed_key
from tests.archive.shelves import Shelf, id_of

MONTH = "2026-11"
DAY = date(2026, 11, 2)
CALLER, OFFICER, OTHER = "c" * 64, "d" * 64, "e" * 64


async def never(_: str) -> bool:
    return False


async def found(shelf: Shelf) -> list[IndexFinding]:
    return await verify_index(
        shelf.archive, await read_month(shelf.archive, MONTH), never
    )


async def test_an_index_that_is_whole() -> None:
    shelf = Shelf()
    shelf.store(1, DAY, {"caller": CALLER, "officer": OFFICER})
    shelf.store(2, date(2026, 11, 30), {"officer": OFFICER})
    shelf.store(3, date(2026, 12, 1), {"officer": OFFICER})
    shelf.state.objects[unindexed_key(MONTH, shelf.store(4, DAY, {}))] = b""
    assert await found(shelf) == []
    assert len((await read_month(shelf.archive, MONTH)).ids) == 3


async def test_an_entry_without_its_recording() -> None:
    shelf = Shelf()
    shelf.store(1, DAY, {"caller": CALLER})
    for key in (
        index_key(MONTH, "officer", OFFICER, id_of(2)),
        unindexed_key(MONTH, id_of(3)),
    ):
        shelf.state.objects[key] = b""
    assert await found(shelf) == [
        IndexFinding(IndexFault.DANGLING, id_of(2), "officer"),
        IndexFinding(IndexFault.DANGLING, id_of(3), "unindexed"),
    ]

    async def erased(recording_id: str) -> bool:
        return recording_id == id_of(2)

    index = await read_month(shelf.archive, MONTH)
    [left] = await verify_index(shelf.archive, index, erased)
    assert left.id == id_of(3)


async def test_a_recording_that_no_number_finds() -> None:
    shelf = Shelf()
    shelf.store(1, DAY, {})
    [finding] = await found(shelf)
    assert finding == IndexFinding(IndexFault.ABSENT, id_of(1), "")


async def test_a_name_that_is_none_is_counted_and_not_repeated() -> None:
    shelf = Shelf()
    shelf.store(1, DAY, {"caller": CALLER})
    shelf.state.objects[f"index/{MONTH}/caller/+358401234567/{id_of(1)}"] = b""
    [finding] = await found(shelf)
    assert finding == IndexFinding(IndexFault.STRANGE, "", "")


async def test_what_is_on_its_way_is_looked_at_again() -> None:
    shelf = Shelf()
    index = await read_month(shelf.archive, MONTH)
    shelf.store(1, DAY, {"caller": CALLER})  # stored while the rest was read
    assert await verify_index(shelf.archive, index, never) == []


def names(*blinds: tuple[str, str]) -> list[str]:
    return [
        index_key(MONTH, "caller" if domain == "caller" else "officer", blind, id_of(1))
        for domain, blind in blinds
    ]


def test_entries_are_held_against_the_recordings_own_numbers() -> None:
    expected = names(("caller", CALLER), ("officer", OFFICER))
    assert MonthIndex(MONTH, expected).compare(id_of(1), expected) == []
    moved = MonthIndex(MONTH, names(("caller", OTHER), ("officer", OFFICER)))
    assert moved.compare(id_of(1), expected) == [
        IndexFinding(IndexFault.ABSENT, id_of(1), "caller"),
        IndexFinding(IndexFault.FALSE, id_of(1), "caller"),
    ]
    nothing = MonthIndex(MONTH, []).compare(id_of(1), expected)
    assert [one.domain for one in nothing] == ["caller", "officer"]


def test_what_is_unindexed_is_opened_by_who_searches_and_lacks_nothing() -> None:
    expected = names(("caller", CALLER))
    index = MonthIndex(MONTH, [unindexed_key(MONTH, id_of(1))])
    assert index.compare(id_of(1), expected) == []
    both = MonthIndex(
        MONTH, [unindexed_key(MONTH, id_of(1)), *names(("caller", OTHER))]
    )
    assert [one.fault for one in both.compare(id_of(1), expected)] == [IndexFault.FALSE]
