"""The Debian package in a booted system: installed, upgraded in live calls, removed."""

import asyncio
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from agent import __version__
from agent.common.catalogue import CATALOGUE
from agent.service.host_status import HostStatus
from tests.lab.booted import booted
from tests.lab.daemon import ROOT
from tests.lab.operating import (
    check_diagnosis,
    check_explained,
    check_exposure,
    check_journal,
    check_stored,
    lines,
    sipp_calls,
)
from tests.lab.packaged import (
    ETC,
    MAIN,
    NOTICE,
    OPT,
    SITE,
    SPOOL,
    SUFFIXES,
    UPGRADED,
    WORKERS,
    Site,
    build,
    dependencies,
)
from tests.soak.upgrade import talk_through

pytestmark = pytest.mark.integration

CALLS = 10
LATER = 3
"Calls that begin after the upgrade."


@pytest.fixture(scope="module")
def packages(
    tmp_path_factory: pytest.TempPathFactory, debian: str
) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("packages")
    return build(folder, debian), build(folder, debian, revision=2)


@pytest.fixture(scope="module")
def versions(debian: str) -> tuple[str, str]:
    """Theirs."""
    first, second = (f"{__version__}-{n}{SUFFIXES[debian]}" for n in (1, 2))
    return first, second


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, debian: str) -> Iterator[Site]:
    with booted(tmp_path_factory.mktemp("system"), suite=debian) as system:
        site = Site(system, NOTICE)
        try:
            yield site
        except BaseException as error:
            error.add_note(system.journal("recording-agent*"))
            raise


def test_it_is_installed_and_says_what_is_next(
    site: Site, packages: tuple[Path, Path], versions: tuple[str, str]
) -> None:
    told = site.install(packages[0])
    for word in ("agent.toml", "check-config", "doctor", "systemctl enable --now"):
        assert word in told
    [public] = [line for line in told.splitlines() if "ssh-ed25519" in line]
    assert public.strip().startswith("ssh-ed25519 AAAA")
    assert site.version == versions[0]
    files = (ETC, f"{ETC}/agent.toml", f"{ETC}/notices/fi.wav", f"{ETC}/host.key")
    listed = site.system.run("stat", "-c", "%a %U %G", *files)
    assert listed.stdout.splitlines() == [
        "750 root recording-agent",
        "640 root recording-agent",
        "640 root recording-agent",
        "600 recording-agent recording-agent",
    ]
    assert 'key = "host.key"' in site.inside(f"{ETC}/agent.toml").read_text()
    for unit in (MAIN, *WORKERS):
        assert site.system.show(unit, "ActiveState") == "inactive"
    explained = site.system.run("journalctl", "--list-catalog").stdout.splitlines()
    catalogued = {entry.message_id for entry in CATALOGUE.values()}
    assert catalogued <= {line.split()[0] for line in explained}


async def test_a_call_that_sipp_makes_is_recorded_stored_and_opened_by_age(
    site: Site, tmp_path: Path
) -> None:
    site.configure()
    await asyncio.to_thread(site.start)
    call = await sipp_calls(site, tmp_path)
    check_stored(site, call)
    for query, found in check_journal(site, call).items():
        print(f"journalctl {query}… -o json: {', '.join(found)}")  # noqa: T201


def test_an_operator_finds_it_well_and_is_told_of_a_mistake(site: Site) -> None:
    check_explained(site)
    for one in check_diagnosis(site):
        print(f"doctor: {one.verdict}: {one.check}: {one.text}")  # noqa: T201
    for unit, score in check_exposure(site).items():
        print(f"systemd-analyze security {unit}: {score}")  # noqa: T201


def test_an_upgrade_during_live_calls_costs_them_nothing(
    site: Site, packages: tuple[Path, Path], versions: tuple[str, str]
) -> None:
    written = site.inside(f"{ETC}/agent.toml").read_text()
    main = site.system.pid(MAIN)
    pids = [site.system.pid(unit) for unit in WORKERS]
    sockets: list[int] = []

    def look() -> None:
        sockets.extend(site.sockets(*units) for units in (WORKERS, UPGRADED))
        # Of the workers before, who had no calls has ended already.
        kept = [site.system.pid(unit) for unit in WORKERS]
        assert sorted(kept) in ([0, pids[0]], [0, pids[1]])

    cost = talk_through(
        site,
        lambda: site.install(packages[1]),
        calls=CALLS,
        later=LATER,
        seen=look,
    )
    print(f"\nupgraded under {CALLS} calls: {cost}")  # noqa: T201 - a figure
    assert site.version == versions[1]
    assert site.system.pid(MAIN) != main
    # Calls stay where they were; those that begin go to workers of the new version.
    assert sockets == [4 * CALLS, 4 * LATER]
    assert (cost.dropped, cost.outcomes) == ([], {"recorded"})
    clicks = cost.clicks
    assert clicks.expected > CALLS * 100
    # None, where the machine keeps up with the phones.
    assert clicks.lost + clicks.unheard <= clicks.expected // 1000
    assert clicks.misplaced == 0
    # What an operator wrote is never overwritten.
    assert site.inside(f"{ETC}/agent.toml").read_text() == written


def test_workers_of_the_version_before_end_with_their_last_call(
    site: Site, versions: tuple[str, str]
) -> None:
    deadline = time.monotonic() + 10
    for unit in WORKERS:
        while site.system.show(unit, "ActiveState") != "inactive":
            assert time.monotonic() < deadline, unit
            time.sleep(0.1)
        assert site.system.show(unit, "Result") == "success"
    for event in ("media_worker_draining", "media_worker_drained"):
        [told] = lines(site, f"EVENT={event}")
        assert told["VERSION"] == versions[0]
        assert told["SOCKET"] in {"media-0.sock", "media-1.sock"}
    last = msgspec.json.decode(site.command("status", "--json").splitlines()[-1])
    [worker] = msgspec.convert(last["host"], HostStatus).workers
    assert (worker.alive, worker.version) == (True, versions[1])
    check_diagnosis(site)


def test_an_upgrade_that_does_not_take_the_configuration_leaves_main_alone(
    site: Site,
) -> None:
    configuration = site.inside(f"{ETC}/agent.toml")
    text, main = configuration.read_text(), site.system.pid(MAIN)
    configuration.write_text(text.replace("[media]", "[media]\nworkerz = 1", 1))
    configure = (f"{OPT}/share/configure", "/usr", f"{__version__}-1")
    told = site.system.run(*configure, check=False)
    configuration.write_text(text)
    assert told.returncode == 1
    assert "workerz" in told.stderr
    assert "the old one goes on" in told.stderr
    assert site.system.pid(MAIN) == main


def test_removed_it_leaves_configuration_and_recordings(site: Site) -> None:
    site.system.run("dpkg", "-r", "recording-agent", timeout=120)
    for unit in (MAIN, *WORKERS, *UPGRADED):
        assert site.system.show(unit, "ActiveState") == "inactive"
    enabled = site.system.run("systemctl", "list-unit-files", "--state=enabled")
    assert "recording-agent" not in enabled.stdout
    assert not site.inside("/opt/recording-agent").exists()
    assert site.inside(f"{ETC}/agent.toml").exists()
    assert site.inside(f"{SPOOL}/ledger.sqlite").exists()


def test_purged_it_leaves_recordings_unless_told(
    site: Site, packages: tuple[Path, Path]
) -> None:
    site.system.run("dpkg", "-P", "recording-agent", timeout=120)
    assert not site.inside(ETC).exists()
    assert site.inside(f"{SPOOL}/ledger.sqlite").exists()
    assert site.inside(SITE).exists()
    postrm = str(ROOT / "scripts/packaging/postrm")
    site.system.run("env", "RECORDING_AGENT_PURGE=recordings", postrm, "purge")
    assert not site.inside(SPOOL).exists()
    assert site.inside(SITE).exists()


def test_it_holds_no_test_no_secret_and_nothing_of_the_machine_that_built_it(
    packages: tuple[Path, Path], debian: str, tmp_path: Path
) -> None:
    for argument in ("-x", "-e"):
        target = tmp_path / ("tree" if argument == "-x" else "tree/DEBIAN")
        command = ("dpkg-deb", argument, str(packages[0]), str(target))
        subprocess.run(command, check=True)
    tree = tmp_path / "tree"
    names = [str(path.relative_to(tree)) for path in tree.rglob("*")]
    assert len(names) > 1000
    assert "usr/share/man/man1/recording-agent.1.gz" in names
    assert "usr/share/bash-completion/completions/recording-agent" in names
    suspect = re.compile(
        r"(^|/)(tests?|conftest\.py|\.git|\.env)(/|$)|\.key$|(?<!/cacert)\.pem$"
    )
    assert [name for name in names if suspect.search(name)] == []
    # Folders of the build, of whoever built it, and marks of secret keys.
    places = {str(ROOT), str(dependencies(debian)), str(tmp_path.parents[1])}
    marks = [re.escape(place.encode()) for place in places if len(place) > 5]
    marks += [rb"AGE-SECRET-KEY-(PQ-)?1[A-Z0-9]{50}"]
    marks += [rb"PRIVATE KEY-----\s+[A-Za-z0-9+/]{30}"]
    secret = re.compile(b"|".join(marks))
    found = [
        (str(path.relative_to(tree)), match[0])
        for path in tree.rglob("*")
        if path.is_file() and not path.is_symlink()
        for match in [secret.search(path.read_bytes())]
        if match
    ]
    assert found == []


def test_the_same_sources_give_the_same_bytes(
    packages: tuple[Path, Path], debian: str, tmp_path: Path
) -> None:
    assert build(tmp_path, debian).read_bytes() == packages[0].read_bytes()
