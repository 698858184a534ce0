"""The parts of checks that ask the kernel, the disk and systemd."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from agent.cli.doctor import clock, disk, limits, patient
from agent.cli.doctor.finding import Findings, Patient
from agent.common.strict_toml import ConfigError
from agent.service.config import load
from agent.signalling.secrets import SecretError, Secrets
from tests.cli.conftest import DiskSite


def test_the_kernels_clock_is_read() -> None:
    reading = clock.read_clock()
    assert 0 <= reading.error < 3600
    assert reading.status >= 0


def test_a_clock_that_cannot_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> clock.Reading:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(clock, "read_clock", refuse)
    nobody: Any = None
    [found] = clock.check(nobody, Findings("clock"))
    assert "not permitted" in found.text


def test_writes_are_timed_and_leave_nothing(tmp_path: Path) -> None:
    taken = disk.latencies(tmp_path)
    assert 1 <= len(taken) <= disk.WRITES
    assert all(0 < seconds < 60 for seconds in taken)
    assert list(tmp_path.iterdir()) == []


def test_the_deepest_mount_counts_and_of_two_the_later(tmp_path: Path) -> None:
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "mountinfo").write_text(
        "1 0 8:1 / / rw - ext4 /dev/a rw\n"
        "2 1 8:2 / /var rw shared:1 - xfs /dev/b rw\n"
        "3 2 0:9 / /var/lib/a\\040b rw - tmpfs tmpfs rw\n"
        "4 1 8:3 / /var rw - btrfs /dev/c rw\n"
        "broken\n"
    )

    def kind(path: str) -> str:
        found = disk.mount_of(Path(path), tmp_path)
        assert found is not None
        return found.kind

    assert kind("/srv/x") == "ext4"
    assert kind("/var/spool") == "btrfs"
    assert kind("/variable") == "ext4"
    assert kind("/var/lib/a b/c") == "tmpfs"
    assert disk.mount_of(Path("/"), tmp_path / "none") is None


def looked_at(site: DiskSite, **more: Any) -> Patient:
    file = site.write()
    secrets = Secrets(site.root, None)
    return Patient(file=file, config=load(file), secrets=secrets, **more)


def test_a_running_daemons_own_limits_count(
    disk_site: DiskSite, tmp_path: Path
) -> None:
    (tmp_path / "77").mkdir()
    (tmp_path / "77" / "limits").write_text(
        "Limit                     Soft Limit           Hard Limit           Units\n"
        "Max core file size        0                    unlimited            bytes\n"
        "Max open files            1024                 999999               files\n"
        "Max locked memory         8388608              8388608              bytes\n"
    )
    (tmp_path / "77" / "status").write_text("Name:\tx\nCapEff:\t00000000000004c0\n")
    unit = {"MainPID": "77", "LimitMEMLOCK": "infinity"}
    seen = looked_at(disk_site, unit=unit, proc=tmp_path)
    texts = [one.text for one in limits.check(seen, Findings("limits"))]
    assert any("the daemon may lock 8 MiB" in text for text in texts)
    assert any("the daemon may open the files" in text for text in texts)
    assert any("core files" in text for text in texts)
    assert any("CapEff 4c0" in text for text in texts)
    (tmp_path / "77" / "status").write_text("Name:\tx\nCapEff:\t0000000000000000\n")
    texts = [one.text for one in limits.check(seen, Findings("limits"))]
    assert any("no right that it does not need" in text for text in texts)


def test_without_a_unit_what_is_started_from_here_counts(disk_site: DiskSite) -> None:
    found = list(limits.check(looked_at(disk_site), Findings("limits")))
    here = [one for one in found if "what is started from here" in one.text]
    assert len(here) >= 2


@pytest.mark.parametrize("fault", ["none", "no systemd", "no answer"])
def test_the_unit_is_asked_for(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        if patient.WORKERS in command:
            text = "ActiveState=active\n\nActiveState=failed\n\nActiveState=active\n"
            return subprocess.CompletedProcess([], 0, text, "")
        if fault == "no answer":
            raise subprocess.TimeoutExpired("systemctl", 10)
        text = "LoadState=loaded\nResult=exit=7\nnonsense\n"
        return subprocess.CompletedProcess([], 0, text, "")

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(Path, "is_dir", lambda _: fault != "no systemd")
    told = patient.read_unit()
    if fault == "none":
        assert told == {
            "LoadState": "loaded",
            "Result": "exit=7",
            patient.ACTIVE_WORKERS: "2",
        }
    else:
        assert told is None


def test_the_units_credentials_are_found_while_it_runs(
    disk_site: DiskSite, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = disk_site.write()
    monkeypatch.setattr(patient, "read_unit", lambda: {"LoadState": "loaded"})
    monkeypatch.setattr(patient, "CREDENTIALS", tmp_path)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "")
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    (tmp_path / patient.UNIT).mkdir()
    found, _ = patient.look(file)
    assert found is not None
    with pytest.raises(SecretError, match="No such file"):
        found.secrets.read("credential:tls-key")
    (tmp_path / patient.UNIT / "tls-key").write_text("secret")
    assert found.secrets.read("credential:tls-key") == "secret"


def test_a_broken_file_is_told_mistake_by_mistake(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text("[agent]\nnam = 1\n")
    with pytest.raises(ConfigError) as caught:
        load(file)
    found, mistakes = patient.look(file)
    assert found is None
    assert [one.text for one in mistakes] == list(caught.value.mistakes)
