"""scripts/install from a clone, and the package of the other Debian, each in a call."""

import asyncio
from pathlib import Path

import pytest

from tests.lab.booted import booted
from tests.lab.daemon import ROOT
from tests.lab.operating import (
    check_diagnosis,
    check_explained,
    check_exposure,
    check_journal,
    check_stored,
    sipp_calls,
)
from tests.lab.packaged import (
    ETC,
    MAIN,
    NOTICE,
    OPT,
    SPOOL,
    WORKERS,
    Site,
    build,
    dependencies,
    python_of,
)
from tests.soak.upgrade import talk_through

pytestmark = [pytest.mark.integration, pytest.mark.beside]


def test_from_a_clone_it_is_installed_upgraded_and_taken_away(tmp_path: Path) -> None:
    folder = dependencies("bookworm")
    with booted(tmp_path, folder) as system:
        site = Site(system, NOTICE)
        command = [str(ROOT / "scripts/install"), "--dependencies", str(folder)]
        told = system.run(*command, timeout=240).stdout
        for word in ("agent.toml", "check-config", "doctor", "enable --now", "ssh-ed"):
            assert word in told
        site.configure()
        site.start()
        main, worker = system.pid(MAIN), system.pid(WORKERS[0])
        cost = talk_through(site, lambda: system.run(*command, timeout=240), calls=2)
        assert (cost.dropped, cost.outcomes) == ([], {"recorded"})
        assert system.pid(MAIN) != main
        assert system.pid(WORKERS[0]) == worker
        # Nobody but root may change what the services run.
        theirs = system.run("find", OPT, "!", "-user", "root", "-o", "-perm", "/022")
        links = system.run("find", OPT, "-type", "l")
        assert set(theirs.stdout.split()) <= set(links.stdout.split())

        # The package would not know what of it is whose.
        preinst = str(ROOT / "scripts/packaging/preinst")
        refused = system.run(preinst, "install", check=False)
        assert refused.returncode == 1
        assert "--uninstall" in refused.stderr

        told = system.run(*command[:1], "--uninstall").stdout
        assert ETC in told
        assert not site.inside(OPT).exists()
        assert system.show(MAIN, "LoadState") == "not-found"
        assert site.inside(f"{ETC}/agent.toml").exists()
        assert site.inside(f"{SPOOL}/ledger.sqlite").exists()

        purge = (command[0], "--uninstall", "--purge")
        unanswered = f"{' '.join(purge)} </dev/null"
        refused = system.run("sh", "-c", unanswered, check=False)
        assert refused.returncode != 0
        assert site.inside(f"{SPOOL}/ledger.sqlite").exists()
        told = system.run(*purge, "--yes").stdout
        assert "signing key" in told
        assert "not stored" in told
        assert not site.inside(ETC).exists()
        assert not site.inside(SPOOL).exists()


async def test_the_package_of_debian_13_records_a_call(tmp_path: Path) -> None:
    package = build(tmp_path, "trixie")
    with booted(tmp_path / "system", suite="trixie") as system:
        site = Site(system, NOTICE)
        site.install(package)
        assert python_of(system) == "3.13"
        site.configure()
        await asyncio.to_thread(site.start)
        call = await sipp_calls(site, tmp_path)
        check_stored(site, call)
        check_journal(site, call)
        check_explained(site)
        check_diagnosis(site)
        for unit, score in check_exposure(system, MAIN, WORKERS[0]).items():
            print(f"systemd-analyze security {unit}: {score}")  # noqa: T201
