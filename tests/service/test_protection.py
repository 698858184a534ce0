from datetime import date
from pathlib import Path
from typing import Any

import pytest

from agent.common.strict_toml import ConfigError
from agent.formats.blind_index import IndexKeys
from agent.recording.dispatch import Dispatch
from agent.recording.spool import Spool
from agent.service.config import load
from agent.service.material import read_material
from agent.service.protection import (
    Protection,
    Renewal,
    read_protection,
    remember_day_keys,
)
from agent.signalling.secrets import Secrets
from tests.cli.conftest import DiskSite
from tests.formats.rosters import signing_key
from tests.recording.segments import STARTED_AT
from tests.service.protected import ProtectedSite, days_from

TODAY = date(2026, 11, 23)


@pytest.fixture
def site(tmp_path: Path) -> ProtectedSite:
    return ProtectedSite(DiskSite(tmp_path))


def mistakes(site: ProtectedSite) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read_material(load(site.site.config), site.root)
    return list(caught.value.mistakes)


def test_what_is_configured_is_read(site: ProtectedSite) -> None:
    config = load(site.write(*days_from(TODAY, 10)))
    material = read_material(config, site.root)
    found = material.protection
    assert found.signing is not None
    assert found.signing.public == site.host.public
    assert found.day_keys is not None
    assert found.day_keys.current(TODAY) is not None
    assert found.index is not None
    assert set(found.index.months) == {"2026-11", "2026-12"}
    of_others = ("region.here is empty",)
    empty = [w for w in material.warnings if "is empty" in w]
    assert [w for w in empty if not w.startswith(of_others)] == []
    assert "index" not in repr(found)


def test_what_is_not_configured_is_a_warning_each(site: ProtectedSite) -> None:
    material = read_material(load(site.site.write()), site.root)
    assert material.protection == Protection()
    assert [w.partition(" ")[0] for w in material.warnings if "is empty" in w] == [
        "roster.path",
        "signing.key",
        "gate.day_keys",
        "index.keys",
        "region.here",
    ]


def test_a_host_that_nobody_would_believe(site: ProtectedSite) -> None:
    site.write(TODAY)
    site.put_secret("host.key", signing_key("else").to_private_file())
    [mistake] = mistakes(site)
    assert mistake.startswith("signing.key: the roster has no host 'test'")
    assert "SHA256:" in mistake


def test_every_mistake_at_once(site: ProtectedSite) -> None:
    site.write(TODAY)
    (site.root / "host.key").chmod(0o644)
    site.put_secret("index-keys.json", b"{}")
    path = site.root / "day-keys.signed"
    path.write_bytes(path.read_bytes().replace(b"2026-11-23", b"2026-11-24"))
    found = mistakes(site)
    assert [mistake.partition(":")[0] for mistake in found] == [
        "signing.key",
        "gate.day_keys",
        "index.keys",
    ]
    path.unlink()
    assert "No such file" in mistakes(site)[1]


def test_a_list_of_day_keys_needs_a_roster(site: ProtectedSite) -> None:
    path = site.write(TODAY)
    sections = path.read_text().replace('path = "roster.signed"', "")
    path.write_text(sections.partition("[roster]")[0] + '[gate]\nday_keys = "x"\n')
    [mistake] = mistakes(site)
    assert "a [roster] is needed" in mistake


def test_a_roster_that_was_altered(site: ProtectedSite) -> None:
    site.write(TODAY)
    path = site.root / "roster.signed"
    path.write_bytes(path.read_bytes().replace(b"p-quinn", b"p-quine"))
    assert mistakes(site)[0].startswith("roster: ")


def test_an_old_list_is_refused_after_a_restart_too(site: ProtectedSite) -> None:
    spool = site.root / "spool"
    spool.mkdir(exist_ok=True)
    site.write(*days_from(TODAY, 3))
    site.write_lists(*days_from(TODAY, 3), serial=2)
    config = load(site.root / "agent.toml")
    material = read_material(config, site.root)
    remember_day_keys(material.protection, spool)
    site.write_lists(*days_from(TODAY, 9), serial=1)
    [mistake] = mistakes(site)
    assert mistake.startswith("gate.day_keys: ")
    assert "serial 1, and 2 has been seen" in mistake
    remember_day_keys(Protection(), site.root)
    assert not (site.root / "day-keys-serial").exists()


class Finishers:
    index: IndexKeys | None = None


def test_lists_are_renewed_and_bad_ones_are_not(
    site: ProtectedSite, log: list[dict[str, Any]]
) -> None:
    config = load(site.write(*days_from(TODAY, 3)))
    material = read_material(config, site.root)

    def read(mistakes: list[str], floor: int) -> Protection:
        secrets, roster = Secrets(site.root, None), material.roster
        return read_protection(
            config, site.root, secrets, roster, mistakes, floor=floor
        )

    finishers = Finishers()
    dispatch = Dispatch(Spool(site.root), utc_ns=lambda: STARTED_AT)
    renew = Renewal(
        read,
        material.protection,
        dispatch=dispatch,
        indexing=finishers,
        today=lambda: date(2026, 11, 29),
    )
    assert dispatch.coming_days() == 3
    assert finishers.index is not None
    # In three days a month begins whose key should be there by now.
    assert [(e["event"], e["level"]) for e in log] == [
        ("day_keys_running_out", "warning"),
        ("index_key_missing", "error"),
    ]
    assert log[1]["month"] == "2026-12"
    log.clear()
    site.write_lists(*days_from(TODAY, 20), serial=2)
    renew()
    assert dispatch.coming_days() == 20
    assert set(finishers.index.months) == {"2026-11", "2026-12"}
    assert [e["event"] for e in log] == ["protection_reloaded"]
    for wrong in (b"junk", None):
        if wrong is None:
            site.write_lists(*days_from(TODAY, 5), serial=1)  # an old one
        else:
            (site.root / "day-keys.signed").write_bytes(wrong)
        renew()
        assert log[-1]["event"] == "protection_not_reloaded"
        assert log[-1]["reason"].startswith("gate.day_keys: ")
        assert dispatch.coming_days() == 20
