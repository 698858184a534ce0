from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest

from agent.cli.doctor import command
from agent.cli.doctor.finding import Finding, Verdict
from agent.service.commands import Reply
from tests.cli.doctor.conftest import SoundHost
from tests.cli.doctor.faults import (
    FAULTS,
    Fault,
    broker_away,
    spool_open,
    unit_may_not_write,
)


def test_a_sound_host_has_nothing_wrong(host: SoundHost) -> None:
    host.unit = None
    found = host.examine()
    assert not [one for one in found if one.verdict is Verdict.WRONG]
    assert {one.check for one in found} == {"configuration", *command.CHECKS}


@pytest.mark.parametrize(
    "fault",
    FAULTS,
    ids=[f"{spoil.__name__}-{check}" for spoil, _, check, *_ in FAULTS],
)
def test_each_fault_is_named_with_its_remedy(
    host: SoundHost, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    spoil, verdict, check, said, remedy = fault
    with ExitStack() as stack:
        spoil(host, stack, monkeypatch)
        found = host.examine()
    named = [one for one in found if one.check == check and said in one.text]
    assert named, found
    assert {one.verdict for one in named} == {verdict}
    assert all(remedy in one.remedy for one in named), named
    assert all(one.remedy for one in found if one.verdict is not Verdict.RIGHT)


@pytest.fixture
def doctor(
    host: SoundHost, run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    def doctor(*words: str) -> tuple[int, str]:
        code = run("doctor", "-c", host.config, *words)
        return code, capsys.readouterr().out

    return doctor


def test_its_exit_code_says_whether_something_is_wrong(
    host: SoundHost, doctor: Callable[..., tuple[int, str]]
) -> None:
    host.unit = None  # nothing says that the daemon ought to be there
    code, text = doctor()
    assert code == 0
    assert "right    ports " in text
    assert "0 wrong" in text
    spool_open(host)
    code, text = doctor("--brief")
    assert code == 1
    assert "\nright " not in text
    assert "chmod 700" in text


def test_findings_for_programs(
    host: SoundHost, doctor: Callable[..., tuple[int, str]]
) -> None:
    spool_open(host)
    code, text = doctor("--json")
    assert code == 1
    found = [msgspec.json.decode(line, type=Finding) for line in text.splitlines()]
    assert any(one.check == "disk" and one.verdict is Verdict.WRONG for one in found)


def test_a_daemon_that_answers_is_no_finding_to_mend(host: SoundHost) -> None:
    host.reply = Reply()
    [found] = [one for one in host.examine() if one.check == "daemon"]
    assert found.verdict is Verdict.RIGHT


def test_a_broker_that_lets_us_in(
    host: SoundHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def probe(*_: object) -> None:
        pass

    broker_away(host)
    monkeypatch.setattr("agent.cli.doctor.broker.probe_broker", probe)
    [found] = [one for one in host.examine() if one.check == "broker"]
    assert found.verdict is Verdict.RIGHT
    assert "lets us in" in found.text


def test_what_the_unit_may_write_is_not_told(host: SoundHost) -> None:
    unit_may_not_write(host)
    told = [one for one in host.examine() if "may not write" in one.text]
    assert len(told) == 1
    host.unit_says(
        ProtectSystem="strict", ReadWritePaths=str(host.root), StateDirectory=""
    )
    assert not [one for one in host.examine() if "may not write" in one.text]


def test_a_check_that_cannot_look_says_so(
    host: SoundHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("agent.cli.doctor.disk.mount_of", refuse)
    [found] = [one for one in host.examine() if one.check == "disk"]
    assert found.verdict is Verdict.WRONG
    assert "Permission denied" in found.text
    assert "root" in found.remedy


def test_without_a_file_there_is_no_host(tmp_path: Path) -> None:
    found = list(command.examine(tmp_path / "none.toml"))
    assert {(one.check, one.verdict) for one in found} == {
        ("configuration", Verdict.WRONG)
    }
