from collections.abc import Iterable
from datetime import date, timedelta

import msgspec
import pytest

from agent.formats.roster import GateEntry, Host, Person, Role, Roster
from tests.formats.rosters import TODAY, recipient, roster, signing_key, spki

TOMORROW = TODAY + timedelta(days=1)


def ids(people: Iterable[Person]) -> list[str]:
    return [person.id for person in people]


@pytest.fixture(scope="module")
def members() -> Roster:
    return roster()


def test_people_are_found_by_id_whenever(members: Roster) -> None:
    riku = members.person("p-riku")
    assert riku is not None
    assert riku.name == "Riku"
    assert members.person("p-nobody") is None


def test_a_certificate_is_somebody_on_their_days_alone(members: Roster) -> None:
    quinn = members.by_certificate(spki("quinn"), TODAY)
    assert quinn is members.person("p-quinn")
    assert members.by_certificate(spki("riku"), TODAY) is None
    assert members.by_certificate(spki("meri"), TODAY) is None
    assert members.by_certificate(spki("meri"), TOMORROW) is not None
    assert members.by_certificate(spki("host-b"), TODAY) is None
    assert members.by_certificate("", TODAY) is None


def test_who_left_opens_no_new_recording(members: Roster) -> None:
    assert members.quality_recipients(TODAY) == (recipient("quinn"),)
    before = members.quality_recipients(date(2026, 11, 22))
    assert before == (recipient("quinn"), recipient("riku"))
    assert ids(members.active(Role.QUALITY, TODAY)) == ["p-quinn"]


def test_a_number_is_its_officers_of_the_day(members: Roster) -> None:
    def who(number: str, day: date = TODAY) -> str | None:
        found = members.officer_by_number(number, day)
        return None if found is None else found.id

    assert who("201") == who("+358295000201") == "p-otso"
    assert who("202") == "p-lumi"
    assert who("202", TOMORROW) == "p-meri"
    assert who("203") is None


def test_a_number_of_one_who_is_no_officer_finds_nobody() -> None:
    quinn, *others = roster().people
    quinn = msgspec.structs.replace(quinn, numbers=("299",))
    changed = roster(people=(quinn, *others))
    assert changed.officer_by_number("299", TODAY) is None


def test_approvers_are_known_by_their_keys(members: Roster) -> None:
    approvers = members.approvers(TODAY)
    assert ids(approvers.values()) == ["p-quinn", "p-dan"]
    assert approvers[signing_key("dan").public].id == "p-dan"


def test_hosts_and_gate_keep_the_keys_they_had(members: Roster) -> None:
    assert members.host_keys() == {
        "host-a": (signing_key("host-a").public, signing_key("host-a new").public),
        "host-b": (signing_key("host-b").public,),
    }
    assert members.gate_keys() == (signing_key("gate").public,)


def test_keys_have_their_days() -> None:
    old, new = str(signing_key("old").public), str(signing_key("new").public)
    known = roster(
        hosts=(
            Host(name="host-a", key=old, until="2026-11-20", certificates=(spki("a"),)),
            Host(name="host-a", key=new, since="2026-11-20"),
        ),
        gate=(GateEntry(key=old, until="2026-11-20"), GateEntry(key=new)),
    )
    both = (signing_key("old").public, signing_key("new").public)
    assert known.host_keys() == {"host-a": both}
    # What was recorded before the change may be sealed after it, and not the reverse.
    assert known.host_keys(date(2026, 11, 20)) == {"host-a": both}
    assert known.host_keys(date(2026, 10, 16)) == {"host-a": both}
    assert known.host_keys(date(2026, 10, 15)) == {"host-a": both[:1]}
    assert known.host_keys(date(2026, 11, 21)) == {"host-a": both[1:]}
    assert known.gate_keys() == both
    assert known.gate_keys(date(2026, 11, 20)) == both
    assert known.gate_keys(date(2026, 11, 21)) == both[1:]
    assert known.knows_host(spki("a"), date(2026, 11, 20))
    assert not known.knows_host(spki("a"), date(2026, 11, 21))
    assert not known.knows_host(spki("b"), date(2026, 11, 20))


def test_nobodys_name_is_printed(members: Roster) -> None:
    shown = f"{members!r} {members.people!r}"
    assert "Otso" not in shown
    assert "p-otso" in shown
    assert shown.startswith("Roster(serial=7, 6 people)")
