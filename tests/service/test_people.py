from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from agent.common.strict_toml import ConfigError
from agent.formats.roster import Role, Roster
from agent.identity.roster import seen_document
from agent.service import people as module
from agent.service.config import load
from agent.service.material import Material, read_material
from agent.service.people import remember_roster, reread_roster
from tests.cli.conftest import DiskSite
from tests.formats.rosters import ROOT, TODAY, person, recipient, roster, signed

SECTION = f'[roster]\npath = "roster.signed"\nroot = "{ROOT.public}"\n'


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DiskSite:
    """A site whose roster counts, and says the same as the files beside it."""
    monkeypatch.setattr(module, "today", lambda: TODAY)
    site = DiskSite(tmp_path)
    site.recipients = ()
    site.directory = ""
    put(site, roster())
    return site


def put(site: DiskSite, made: Roster) -> None:
    (site.root / "roster.signed").write_bytes(signed(made))


def read(site: DiskSite) -> Material:
    path = site.write()
    path.write_text(path.read_text() + SECTION)
    (site.root / "spool").mkdir(exist_ok=True)
    return read_material(load(path), site.root)


def mistakes(site: DiskSite) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        read(site)
    return caught.value.mistakes


def keys(*names: str) -> tuple[str, ...]:
    return tuple(map(recipient, names))


def told(site: DiskSite) -> list[str]:
    """Warnings, but those of sections that are not there."""
    return [w for w in read(site).warnings if " is empty: " not in w]


def test_the_roster_says_who_opens_and_who_takes_calls(site: DiskSite) -> None:
    material = read(site)
    found = tuple(str(one) for one in material.people.quality())
    assert found == keys("quinn", "recovery")
    assert material.people.directory().lookup("201") is not None
    assert material.roster == roster()
    assert not told(site)


def test_a_roster_that_cannot_be_used_is_named(site: DiskSite) -> None:
    put(site, roster(serial=0))
    [mistake] = mistakes(site)
    assert mistake == "roster: serial: it must count up from 1"
    path = site.root / "roster.signed"
    path.write_bytes(signed().replace(b"Otso", b"Olli"))
    [mistake] = mistakes(site)
    assert mistake.startswith("roster: its signature: ")
    path.unlink()
    [mistake] = mistakes(site)
    assert "cannot be read" in mistake


def test_a_roster_of_the_past_is_refused_by_its_serial(site: DiskSite) -> None:
    spool = site.root / "spool"
    remember_roster(read(site).people, spool)
    assert seen_document(spool / "roster-serial").serial == 7
    put(site, roster(serial=6))
    [mistake] = mistakes(site)
    assert "serial is 6, and 7 has been seen" in mistake
    (spool / "roster-serial").write_text("what?")
    [mistake] = mistakes(site)
    assert mistake.startswith("roster: ")
    assert "does not hold a serial" in mistake


def test_one_key_that_opens_today_is_not_enough(
    site: DiskSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(site, roster(people=(person("quinn", Role.QUALITY, until="2026-11-23"),)))
    read(site)
    monkeypatch.setattr(module, "today", lambda: date(2026, 11, 24))
    [mistake] = mistakes(site)
    assert "at least two" in mistake


def test_recipients_beside_a_roster_are_its_own(site: DiskSite) -> None:
    site.recipients = keys("recovery", "quinn")
    assert not told(site)
    site.recipients = keys("recovery", "quinn", "riku")
    [warning] = told(site)
    assert warning == "recording.recipients[2]: p-riku opens nothing today"
    site.recipients = keys("recovery", "mallory")
    assert mistakes(site) == (
        "recording.recipients[1]: no quality member or recovery key of the roster",
        "recording.recipients: the roster's key of p-quinn is missing",
    )
    site.recipients = keys("quinn")
    [mistake] = mistakes(site)
    assert mistake.endswith("the roster's key of recovery[0] is missing")


def test_an_unsigned_change_of_an_officer_is_named(site: DiskSite) -> None:
    site.directory = "officers.csv"
    site.officers = f"number,name,recipient\n201,Mallory,{recipient('otso')}\n"
    [mistake] = mistakes(site)
    assert mistake == (
        "officers.directory: line 2: name is not that of the signed roster"
    )
    site.officers = f"number,name,recipient\n201,Otso,{recipient('otso')}\n"
    assert read(site).people.directory().lookup("202") is not None


def test_without_a_roster_nobody_vouches(site: DiskSite) -> None:
    site.recipients = keys("quinn", "recovery")
    material = read_material(load(site.write()), site.root)
    assert material.roster is None
    assert material.warnings[0] == "officers.directory is empty: no officer has a name"
    assert material.warnings[1].startswith("roster.path is empty: nobody vouches")
    remember_roster(material.people, site.root)
    assert not (site.root / "roster-serial").exists()


async def reread(site: DiskSite, material: Material) -> list[tuple[str, str]]:
    """What the log says after another reading."""
    with capture_logs() as entries:
        await reread_roster(material.people, load(site.config), site.root)
    return [(entry["event"], str(entry.get("reason", ""))) for entry in entries]


async def test_a_newer_roster_counts_after_the_signal(site: DiskSite) -> None:
    material = read(site)
    put(site, roster(serial=8, people=roster().people[:2]))
    assert await reread(site, material) == [("roster_read", "")]
    assert len(material.people.directory()) == 0
    assert seen_document(site.root / "spool" / "roster-serial").serial == 8


async def test_a_bad_roster_keeps_the_old_one_and_says_why(site: DiskSite) -> None:
    material = read(site)
    remember_roster(material.people, site.root / "spool")
    put(site, roster(serial=6))
    [(event, reason)] = await reread(site, material)
    assert event == "roster_refused"
    assert "serial is 6" in reason
    assert material.roster == roster()
    assert material.people.directory().lookup("201") is not None


async def test_of_two_readings_at_once_the_newer_roster_wins(
    site: DiskSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    material = read(site)
    real: Callable[..., Roster] = module._read_roster

    def overtaken(*arguments: object) -> Roster:
        old = real(*arguments)
        material.people.replace(roster(serial=9))
        return old

    monkeypatch.setattr(module, "_read_roster", overtaken)
    assert await reread(site, material) == []
    assert material.roster == roster(serial=9)


async def test_a_file_of_officers_that_lags_behind_is_told(site: DiskSite) -> None:
    site.directory = "officers.csv"
    site.officers = f"number,name,recipient\n201,Otso,{recipient('otso')}\n"
    material = read(site)
    put(site, roster(serial=8, people=roster().people[:2]))
    assert await reread(site, material) == [
        ("roster_read", ""),
        (
            "officers_file_not_of_roster",
            "line 2: number is no officer's in the signed roster",
        ),
    ]


async def test_without_a_roster_there_is_nothing_to_read_again(site: DiskSite) -> None:
    site.recipients = keys("quinn", "recovery")
    material = read_material(load(site.write()), site.root)
    assert await reread(site, material) == []
