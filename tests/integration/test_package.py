"""The Debian package in a booted system: installed, upgraded in live calls, removed."""

import asyncio
import re
import subprocess
import time
from collections.abc import Iterator
from functools import partial
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
    WORKERS,
    Site,
    build,
    dependencies,
)
from tests.patience import PATIENCE
from tests.soak.upgrade import talk_through

pytestmark = pytest.mark.integration

CALLS = 10
LATER = 3
"Calls that begin after each upgrade."
REVISIONS = (1, 2, 3)
"The second upgrade comes while the workers of two versions have calls."


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory, debian: str) -> list[Path]:
    folder = tmp_path_factory.mktemp("packages")
    return [build(folder, debian, revision=number) for number in REVISIONS]


@pytest.fixture(scope="module")
def versions(debian: str) -> list[str]:
    """Theirs."""
    return [f"{__version__}-{number}{SUFFIXES[debian]}" for number in REVISIONS]


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
    site: Site, packages: list[Path], versions: list[str]
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
    for unit, score in check_exposure(site.system, MAIN, WORKERS[0]).items():
        print(f"systemd-analyze security {unit}: {score}")  # noqa: T201


def test_upgrades_during_live_calls_cost_them_nothing(
    site: Site, packages: list[Path], versions: list[str]
) -> None:
    written = site.inside(f"{ETC}/agent.toml").read_text()
    mains = [site.system.pid(MAIN)]
    generations = [site.workers()]
    sockets: list[list[int]] = []

    def look() -> None:
        mains.append(site.system.pid(MAIN))
        # Who had no calls ends at once: one of each version before is left.
        wait_for_workers(site, len(WORKERS) + len(generations))
        running = site.workers()
        generations.append(running.difference(*generations))
        sockets.append([site.sockets(generation) for generation in generations])
        kept = [len(generation & running) for generation in generations]
        assert kept == [*(1 for _ in generations[1:]), len(WORKERS)]

    cost = talk_through(
        site,
        *(partial(site.install, package) for package in packages[1:]),
        calls=CALLS,
        later=LATER,
        seen=look,
    )
    print(f"\ntwo upgrades under {CALLS} calls and more: {cost}")  # noqa: T201
    assert site.version == versions[-1]
    assert len(set(mains)) == len(REVISIONS)
    # Calls stay where they were; those that begin go to workers of the new version.
    assert sockets == [[4 * CALLS, 4 * LATER], [4 * CALLS, 4 * LATER, 4 * LATER]]
    assert (cost.dropped, cost.outcomes) == ([], {"recorded"})
    clicks = cost.clicks
    assert clicks.expected > CALLS * 100
    # None, where the machine keeps up with the phones.
    assert clicks.lost + clicks.unheard <= clicks.expected // 1000
    assert clicks.misplaced == 0
    # What an operator wrote is never overwritten.
    assert site.inside(f"{ETC}/agent.toml").read_text() == written


def wait_for_workers(site: Site, count: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while len(site.workers()) != count:
        assert time.monotonic() < deadline, site.workers()
        time.sleep(0.1)


def test_workers_of_the_versions_before_end_with_their_last_call(
    site: Site, versions: list[str]
) -> None:
    wait_for_workers(site, len(WORKERS))
    failed = site.system.run("systemctl", "list-units", "--failed", "recording-agent*")
    assert "0 loaded units" in failed.stdout
    told = [line["VERSION"] for line in lines(site, "EVENT=media_worker_drained")]
    assert sorted(told) == versions[:-1]
    # Those of the first version have drained under two main processes.
    told = [line["VERSION"] for line in lines(site, "EVENT=media_worker_draining")]
    assert sorted(told) == [versions[0], *versions[:-1]]
    last = msgspec.json.decode(site.command("status", "--json").splitlines()[-1])
    [worker] = msgspec.convert(last["host"], HostStatus).workers
    assert (worker.alive, worker.version) == (True, versions[-1])
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
    assert site.system.show(MAIN, "ActiveState") == "inactive"
    assert site.workers() == set()
    # Of a template `systemctl list-unit-files` lists no instances.
    enabled = site.inside("/etc/systemd/system").glob("*.wants/recording-agent*")
    assert list(enabled) == []
    assert not site.inside("/opt/recording-agent").exists()
    assert site.inside(f"{ETC}/agent.toml").exists()
    assert site.inside(f"{SPOOL}/ledger.sqlite").exists()


def test_purged_it_leaves_recordings_unless_told(
    site: Site, packages: list[Path]
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
    packages: list[Path], debian: str, tmp_path: Path
) -> None:
    for argument in ("-x", "-e"):
        target = tmp_path / ("tree" if argument == "-x" else "tree/DEBIAN")
        command = ("dpkg-deb", argument, str(packages[0]), str(target))
        subprocess.run(command, check=True)
    tree = tmp_path / "tree"
    names = [str(path.relative_to(tree)) for path in tree.rglob("*")]
    assert len(names) > 1000
    for name in (
        "man/man1/recording-agent.1.gz",
        "man/man1/recording-agent-gate.1.gz",
        "bash-completion/completions/recording-agent",
        "zsh/vendor-completions/_recording-agent",
        "fish/vendor_completions.d/recording-agent.fish",
    ):
        assert f"usr/share/{name}" in names
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
    packages: list[Path], debian: str, tmp_path: Path
) -> None:
    assert build(tmp_path, debian).read_bytes() == packages[0].read_bytes()
