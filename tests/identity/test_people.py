from collections.abc import Callable
from datetime import date, timedelta

import msgspec

from agent.formats.age import KeyKind, parse_recipient
from agent.identity.directory import Directory, OfficerEntry
from agent.identity.people import People, directory_of, openers
from tests.formats.rosters import TODAY, recipient, roster


def texts(people: People) -> list[str]:
    return [str(one) for one in people.quality()]


def calendar(day: date) -> tuple[list[date], Callable[[], date]]:
    """A day that a test moves on."""
    days = [day]
    return days, lambda: days[-1]


def test_without_a_roster_they_are_who_was_given() -> None:
    quality = [parse_recipient(recipient(name)) for name in ("a", "b")]
    directory = Directory([OfficerEntry("201", "One")])
    people = People(quality, directory, today=lambda: TODAY)
    assert people.quality() == tuple(quality)
    assert people.directory() is directory
    assert people.roster is None
    assert len(People(today=lambda: TODAY).directory()) == 0


def test_a_rosters_people_are_those_of_the_day() -> None:
    days, today = calendar(TODAY - timedelta(days=1))
    people = People(roster=roster(), today=today)
    quinn, riku, recovery = map(recipient, ("quinn", "riku", "recovery"))
    assert texts(people) == [quinn, riku, recovery]
    days.append(TODAY)
    assert texts(people) == [quinn, recovery]
    names = [entry.name for entry in people.directory()]
    assert names == ["Otso", "Otso", "Lumi"]
    days.append(TODAY + timedelta(days=1))
    entry = people.directory().lookup("202")
    assert entry is not None
    assert entry.name == "Meri"


def test_within_a_day_nothing_is_made_twice() -> None:
    people = People(roster=roster(), today=lambda: TODAY)
    assert people.directory() is people.directory()


def test_another_roster_counts_at_once() -> None:
    people = People(roster=roster(), today=lambda: TODAY)
    assert people.directory().lookup("203") is None
    changed = [
        msgspec.structs.replace(one, numbers=("203",)) if one.id == "p-otso" else one
        for one in roster().people
    ]
    newer = roster(serial=8, people=tuple(changed))
    people.replace(newer)
    assert people.roster is newer
    assert people.directory().lookup("203") is not None
    assert people.directory().lookup("201") is None
    assert "Otso" not in repr(people)


def test_they_become_others_but_never_of_an_older_roster() -> None:
    given = People([parse_recipient(recipient("quinn"))], today=lambda: TODAY)
    empty = People(today=lambda: TODAY)
    empty.become(given)
    assert empty.quality() == given.quality()
    newer = People(roster=roster(serial=8), today=lambda: TODAY)
    empty.become(newer)
    assert empty.roster is newer.roster
    for older in (People(roster=roster(serial=7), today=lambda: TODAY), given):
        empty.become(older)
        assert empty.roster is newer.roster
        assert empty.quality() == newer.quality()


def test_officers_are_found_in_any_written_form() -> None:
    directory = directory_of(roster(), TODAY)
    for number in ("0295000201", "+358295000201", "201"):
        entry = directory.lookup(number)
        assert entry == OfficerEntry(entry.number, "Otso", recipient("otso"))  # type: ignore[union-attr]


def test_openers_are_of_the_rosters_kind() -> None:
    assert {one.kind for one in openers(roster(), TODAY)} == {KeyKind.CLASSIC}
