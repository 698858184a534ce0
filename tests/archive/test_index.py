from datetime import UTC, date, datetime, time, timedelta

import pytest

from agent.archive.index import Hit, find, find_unindexed
from agent.formats.layout import Domain, Folder, unindexed_key
from tests.archive.shelves import TODAY, Shelf

CALLER, OFFICER = "c" * 64, "d" * 64
MONTHS = ("2026-10", "2026-11")
OCTOBER, NOVEMBER = date(2026, 10, 31), date(2026, 11, 2)


def blind_of(_month: str, domain: Domain) -> str | None:
    return CALLER if domain == "caller" else OFFICER


@pytest.mark.parametrize("by", [Folder.KEYS, Folder.MANIFEST])
async def test_recordings_are_found_by_number(by: Folder) -> None:
    shelf = Shelf(by)
    one = shelf.store(1, NOVEMBER, {"caller": CALLER, "officer": OFFICER})
    two = shelf.store(2, OCTOBER, {"caller": CALLER})
    shelf.store(3, NOVEMBER, {"caller": "e" * 64, "officer": CALLER})
    found = await find(shelf.archive, blind_of, MONTHS, "caller")
    assert found.hits == [Hit(OCTOBER, two), Hit(NOVEMBER, one)]
    assert (found.truncated, found.unkeyed, found.missing) == (False, (), 0)
    found = await find(shelf.archive, blind_of, MONTHS, "officer")
    assert found.hits == [Hit(NOVEMBER, one)]
    found = await find(shelf.archive, blind_of, MONTHS[:1], "caller")
    assert found.hits == [Hit(OCTOBER, two)]


async def test_a_month_without_a_key_is_told() -> None:
    shelf = Shelf()
    one = shelf.store(1, NOVEMBER, {"caller": CALLER})
    found = await find(
        shelf.archive,
        lambda month, _: CALLER if month == "2026-11" else None,
        MONTHS,
        "caller",
    )
    assert (found.hits, found.unkeyed) == ([Hit(NOVEMBER, one)], ("2026-10",))


async def test_an_entry_whose_recording_is_gone_is_counted() -> None:
    shelf = Shelf()
    shelf.store(1, NOVEMBER, {"caller": CALLER})
    shelf.state.objects = {
        key: data
        for key, data in shelf.state.objects.items()
        if key.startswith("index")
    }
    found = await find(shelf.archive, blind_of, MONTHS, "caller")
    assert (found.hits, found.missing) == ([], 1)


async def test_what_lies_among_the_entries_finds_nothing() -> None:
    shelf = Shelf()
    shelf.state.objects[f"index/2026-11/caller/{CALLER}/strange"] = b""
    found = await find(shelf.archive, blind_of, MONTHS, "caller")
    assert (found.hits, found.missing) == ([], 0)


@pytest.mark.parametrize("copied", [True, False])
async def test_many_are_found_by_one_question_each_or_by_listing_their_days(
    *, copied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = Shelf()
    hits = []
    for number in range(100):
        day = date(2026, 11, 1) + timedelta(number % 29)
        hits.append(Hit(day, shelf.store(number, day, {"officer": OFFICER})))
        if not copied:
            noon = datetime.combine(day, time(12), UTC).timestamp()
            for key in shelf.state.objects:
                shelf.state.modified.setdefault(key, int(noon) * 10**9)
    shelf.store(9999, NOVEMBER, {"caller": CALLER})
    shelf.asked.clear()
    found = await find(shelf.archive, blind_of, MONTHS, "officer")
    assert found.hits == sorted(hits)
    # Of 29 days 13 have four of them: those are listed.
    assert len(shelf.asked) == 2 + (30 if copied else 13 + 16 * 3)
    monkeypatch.setattr("agent.archive.index.MAX_HITS", 50)
    found = await find(shelf.archive, blind_of, MONTHS, "officer")
    assert (len(found.hits), found.truncated) == (50, True)


async def test_a_day_that_has_many_of_them_is_listed() -> None:
    shelf = Shelf()
    days = [NOVEMBER] * 20 + [NOVEMBER + timedelta(1)] * 3
    hits = [
        Hit(day, shelf.store(number, day, {"officer": OFFICER}))
        for number, day in enumerate(days)
    ]
    for hit, key in zip(hits, [*shelf.state.objects][1::2], strict=True):
        noon = datetime.combine(hit.day, time(12), UTC).timestamp()
        shelf.state.modified[key] = int(noon) * 10**9
    shelf.asked.clear()
    found = await find(shelf.archive, blind_of, MONTHS, "officer")
    assert found.hits == sorted(hits)
    assert len(shelf.asked) == 2 + 1 + 3


async def test_those_that_had_no_index_key_are_found_by_month() -> None:
    shelf = Shelf()
    one = shelf.store(1, NOVEMBER, {})
    shelf.store(2, TODAY, {"caller": CALLER})
    shelf.state.objects[unindexed_key("2026-11", one)] = b""
    assert await find_unindexed(shelf.archive, MONTHS) == [Hit(NOVEMBER, one)]
