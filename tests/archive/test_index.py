from collections import Counter
from datetime import UTC, date, datetime, time, timedelta

import pytest

from agent.archive.index import Hit, find, find_unindexed
from agent.formats.layout import Domain, Folder, envelope_key, unindexed_key
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
async def test_many_are_found_by_listing_their_month(
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
    assert len(shelf.asked) == 2 + 1
    monkeypatch.setattr("agent.archive.index.MAX_HITS", 50)
    found = await find(shelf.archive, blind_of, MONTHS, "officer")
    assert (len(found.hits), found.truncated) == (50, True)


@pytest.mark.parametrize("every", [1, 2, 7, 50])
async def test_pages_are_listed_as_long_as_they_tell_of_many(
    every: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("agent.archive.index.PAGE", "agent.archive.store.PAGE"):
        monkeypatch.setattr(name, 20)
    shelf = Shelf()
    hits, gone = [], 0
    for number in range(300):
        day = date(2026, 11, 1) + timedelta(number % 29)
        wanted = number % every == 0
        one = shelf.store(number, day, {"officer": OFFICER} if wanted else {})
        noon = datetime.combine(day, time(12), UTC).timestamp()
        for key in [key for key in shelf.state.objects if one in key]:
            shelf.state.modified[key] = int(noon) * 10**9
        if wanted and number % 5 == 0:
            gone += 1
            del shelf.state.objects[envelope_key(day, one)]
        elif wanted:
            hits.append(Hit(day, one))
    shelf.asked.clear()
    found = await find(shelf.archive, blind_of, MONTHS, "officer")
    assert (found.hits, found.missing) == (sorted(hits), gone)
    asked = Counter(operation for operation, _ in shelf.asked)
    pages = 300 // 20 + 2
    assert asked["list"] <= 2 + pages + 1
    if every == 50:
        assert asked["list"] == 2 + 1 + 1
    elif every == 1:
        assert asked["head"] <= 4


async def test_those_that_had_no_index_key_are_found_by_month() -> None:
    shelf = Shelf()
    one = shelf.store(1, NOVEMBER, {})
    shelf.store(2, TODAY, {"caller": CALLER})
    shelf.state.objects[unindexed_key("2026-11", one)] = b""
    assert await find_unindexed(shelf.archive, MONTHS) == [Hit(NOVEMBER, one)]
