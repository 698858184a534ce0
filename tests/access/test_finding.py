from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from agent.access.finding import FindError, Window, find_days, find_number
from agent.archive.index import Hit
from agent.formats.age import KeyKind, generate_identity
from agent.formats.blind_index import IndexKeys, month_key
from tests.access.site import (
    DAY,
    OFFICER_NUMBER,
    QUALITY,
    ROOT_KEY,
    Site,
    with_two_targets,
)
from tests.recording.segments import CALLER, entropy

WINDOW = Window(DAY, DAY + timedelta(6))


def hits(*segments: Any) -> tuple[Hit, ...]:
    return tuple(sorted(Hit(DAY, segment.id) for segment in segments))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


async def test_by_the_index_nothing_is_opened(site: Site) -> None:
    one, two = site.record(), site.record()
    desk = site.desk(identities=[])
    found = await find_number(desk, CALLER, "caller", WINDOW, QUALITY)
    assert (found.hits, found.truncated, found.unopened) == (hits(one, two), False, 0)
    by_officer = await find_number(desk, OFFICER_NUMBER, "officer", WINDOW, QUALITY)
    assert by_officer.hits == hits(one, two)


@pytest.mark.parametrize(
    ("number", "domain"),
    [("+358401234568", "caller"), (CALLER, "officer"), (OFFICER_NUMBER, "caller")],
)
async def test_another_number_or_domain_finds_nothing(
    site: Site, number: str, domain: str
) -> None:
    site.record()
    for index in (ROOT_KEY, None):
        desk = site.desk(index=index)
        found = await find_number(desk, number, domain, WINDOW, QUALITY)
        assert found.hits == ()


async def test_what_has_no_index_entry_is_opened(site: Site) -> None:
    one, two = site.record(), site.record(indexed=False)
    found = await find_number(site.desk(), CALLER, "caller", WINDOW, QUALITY)
    assert found.hits == hits(one, two)
    blind = await find_number(
        site.desk(identities=[]), CALLER, "caller", WINDOW, QUALITY
    )
    assert (blind.hits, blind.unopened) == (hits(one), 1)


async def test_without_index_keys_every_manifest_of_the_window_is_opened(
    site: Site,
) -> None:
    one, two = site.record(), site.record(indexed=False)
    days: list[date] = []
    found = await find_number(
        site.desk(index=None), CALLER, "caller", WINDOW, QUALITY, on_day=days.append
    )
    assert found.hits == hits(one, two)
    assert days == [*WINDOW.days()]


async def test_a_month_without_a_key_is_opened(site: Site) -> None:
    one = site.record()
    held = IndexKeys({"2026-10": month_key(ROOT_KEY, "2026-10")})
    window = Window(date(2026, 10, 30), DAY)
    desk = site.desk(index=held)
    days: list[date] = []
    found = await find_number(
        desk, CALLER, "caller", window, QUALITY, on_day=days.append
    )
    assert found.hits == hits(one)
    assert days[0] == date(2026, 11, 1)


async def test_a_stranger_finds_nothing_and_is_told_how_much_there_is(
    site: Site,
) -> None:
    site.record()
    stranger = generate_identity(KeyKind.CLASSIC, entropy)
    desk = site.desk(index=None, identities=[stranger])
    found = await find_number(desk, CALLER, "caller", WINDOW, QUALITY)
    assert (found.hits, found.unopened) == ((), 1)


async def test_outside_the_window_nothing_is_found(site: Site) -> None:
    site.record()
    before = Window(DAY - timedelta(3), DAY - timedelta(1))
    for index in (ROOT_KEY, None):
        desk = site.desk(index=index)
        assert not (await find_number(desk, CALLER, "caller", before, QUALITY)).hits
    assert not (await find_days(site.desk(), before, QUALITY)).hits


async def test_a_day_has_all_of_it_whatever_the_keys(site: Site) -> None:
    one, two = site.record(indexed=False), site.record(journal=True)
    desk = site.desk(identities=[], index=None)
    assert (await find_days(desk, WINDOW, QUALITY)).hits == hits(one, two)


async def test_each_recording_once_though_it_is_stored_twice(
    site: Site, tmp_path: Path
) -> None:
    one = site.record()
    other = Site(tmp_path / "second")
    two = other.record()
    desk = with_two_targets(site.desk(), other)
    found = await find_number(desk, CALLER, "caller", WINDOW, QUALITY)
    assert found.hits == hits(one, two)
    desk = with_two_targets(site.desk(), site)
    assert (await find_days(desk, WINDOW, QUALITY)).hits == hits(one)


def test_a_window() -> None:
    assert Window(date(2026, 1, 31), date(2026, 3, 1)).months() == [
        "2026-01", "2026-02", "2026-03",
    ]  # fmt: skip
    for last in (DAY - timedelta(1), DAY + timedelta(800)):
        with pytest.raises(FindError, match="window"):
            Window(DAY, last)
