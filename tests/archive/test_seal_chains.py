from datetime import date, timedelta

import pytest
from hypothesis import given, settings, strategies as st

from agent.archive.seal_chains import ChainBook, Finding, FindingKind, Link
from agent.formats.seal import FIRST, SealPlace

DAY = date(2026, 11, 23)
NEXT = DAY + timedelta(1)


def place(number: int, host: str = "a") -> SealPlace:
    return SealPlace(host=host, chain="c", sequence=number, sha256=f"{number:064}")


def link(number: int, day: date = DAY, host: str = "a") -> Link:
    previous = FIRST if number == 1 else f"{number - 1:064}"
    return Link(f"id{number}", day, place(number, host), previous)


def book(*links: Link, erased: tuple[int, ...] = ()) -> ChainBook:
    made = ChainBook(DAY, [place(number) for number in erased])
    for one in links:
        made.add(one)
    return made


def holes(made: ChainBook) -> list[str]:
    findings = made.findings()
    assert {one.kind for one in findings} <= {FindingKind.CHAIN_HOLE}
    return [one.what for one in findings]


def test_a_chain_in_a_row() -> None:
    made = book(link(1), link(2), link(3))
    assert made.findings() == []
    assert not made.is_complete  # what was behind the third is not known yet
    made.add(link(4, NEXT))
    assert made.is_complete


def test_no_recording_at_all() -> None:
    assert book().findings() == []
    assert book(link(5, NEXT)).is_complete


def test_each_hole_is_named() -> None:
    links = [link(number) for number in (3, 5, 9)]
    assert holes(book(*links)) == ["a/c/2", "a/c/4", "a/c/6-8"]
    assert holes(book(*links, erased=(2, 4, 6, 7, 8))) == []
    assert holes(book(*links, erased=(4, 7))) == ["a/c/2", "a/c/6", "a/c/8"]


def test_what_is_taken_off_the_end_shows_by_what_comes_after() -> None:
    made = book(link(1), link(2))
    assert holes(made) == []
    made.add(link(5, NEXT))
    assert holes(made) == ["a/c/3-4"]
    # The next day's own holes are the next day's business.
    made.add(link(8, NEXT))
    assert holes(made) == ["a/c/3-4"]


def test_what_left_late_is_filed_under_its_own_day() -> None:
    made = book(link(1), link(2, NEXT), link(3), link(4, NEXT))
    assert made.findings() == []


def test_hosts_have_chains_of_their_own() -> None:
    made = book(link(1), link(1, host="b"), link(2, NEXT), link(3, host="b"))
    assert holes(made) == ["b/c/2"]


def test_a_seal_that_was_replaced() -> None:
    false = Link("false", DAY, place(2), "ab" * 32)
    [finding] = book(link(1), false, link(3)).findings()
    assert finding.kind is FindingKind.CHAIN_BROKEN
    assert (finding.id, finding.what) == ("false", "a/c/2")
    first = Link("first", DAY, place(1), "ab" * 32)
    assert [one.id for one in book(first).findings()] == ["first"]


def test_what_follows_an_erased_one_is_held_against_its_tombstone() -> None:
    false = Link("false", DAY, place(3), "ab" * 32)
    [finding] = book(link(1), false, erased=(2,)).findings()
    assert finding.kind is FindingKind.CHAIN_BROKEN
    assert book(link(1), link(3), erased=(2,)).findings() == []


def test_breaks_of_other_days_are_theirs() -> None:
    false = Link("false", NEXT, place(3), "ab" * 32)
    assert book(link(1), link(2, NEXT), false).findings() == []


def test_two_with_one_number() -> None:
    other = SealPlace(host="a", chain="c", sequence=2, sha256="ab" * 32)
    twin = Link("twin", NEXT, other, link(2).previous)
    [finding] = book(link(1), link(2), twin).findings()
    assert finding.kind is FindingKind.CHAIN_FORKED
    assert finding.what == "a/c/2"
    assert "id2" in finding.reason
    made = book(link(1), link(2), link(2))  # read twice, it is the same one
    assert made.findings() == []
    elsewhere = ChainBook(DAY + timedelta(5))
    for one in (link(2), twin):
        elsewhere.add(one)
    assert elsewhere.findings() == []


@settings(max_examples=200)
@given(
    days=st.lists(st.integers(-1, 1), min_size=1, max_size=12),
    removed=st.sets(st.integers(1, 12), max_size=4),
    buried=st.sets(st.integers(1, 12), max_size=4),
)
def test_whatever_is_removed_between_two_that_are_there_is_named(
    days: list[int], removed: set[int], buried: set[int]
) -> None:
    numbers = range(1, len(days) + 1)
    there = {n for n in numbers if n not in removed}
    made = book(
        *(link(n, DAY + timedelta(days[n - 1])) for n in there),
        erased=tuple(removed & buried & set(numbers)),
    )
    named: set[int] = set()
    for what in holes(made):
        first, _, last = what.rpartition("/")[2].partition("-")
        named |= set(range(int(first), int(last or first) + 1))
    gone = removed & set(numbers) - buried
    assert named <= gone
    of_day = [n for n in there if days[n - 1] == 0]
    if of_day:
        known = there | (removed & buried & set(numbers))
        behind = [n for n in known if n > max(of_day)]
        until = min(behind, default=max(of_day))
        assert named == {n for n in gone if min(of_day) - 1 <= n < until}


@pytest.mark.parametrize("kind", FindingKind)
def test_findings_sort(kind: FindingKind) -> None:
    assert min([Finding(kind, "b", ""), Finding(kind, "a", "")]).id == "a"
