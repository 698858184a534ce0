from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from agent.cli import asking, drain
from agent.common.errors import AgentError
from agent.model.recording import RecordState
from agent.service.commands import (
    DrainRequest,
    PauseRequest,
    Reply,
    Request,
    ResumeRequest,
    StatusRequest,
    UndrainRequest,
)
from tests.cli.conftest import DiskSite
from tests.cli.prepared import alarm
from tests.service.test_commands import HOST, STATUS


class Daemon:
    """Says what a test has it say."""

    def __init__(self) -> None:
        self.asked: list[tuple[Path, Request]] = []
        self.reply = Reply()

    def ask(self, directory: Path, request: Request) -> Reply:
        self.asked.append((directory, request))
        return self.reply


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> Daemon:
    daemon = Daemon()
    monkeypatch.setattr(asking, "ask", daemon.ask)
    monkeypatch.setenv("COLUMNS", "80")
    return daemon


def test_the_verbs_ask_the_daemon_of_the_file(
    daemon: Daemon, disk_site: DiskSite, run: Callable[..., int]
) -> None:
    disk_site.write()
    assert run("status", "-c", disk_site.config) == 0
    assert run("pause", "abc", "-c", disk_site.config, "--seconds", "9") == 0
    assert run("resume", "abc", "-c", disk_site.config) == 0
    run_directory = disk_site.root / "spool" / "run"
    assert daemon.asked == [
        (run_directory, StatusRequest()),
        (run_directory, PauseRequest(call_id="abc", seconds=9.0)),
        (run_directory, ResumeRequest(call_id="abc")),
    ]


@pytest.mark.parametrize(("wait", "code"), [(0, 0), (30, 1)])
def test_who_drains_waits_for_calls_as_long_as_asked(
    daemon: Daemon,
    disk_site: DiskSite,
    run: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    *,
    wait: int,
    code: int,
) -> None:
    now, left = [100.0], [3, 2, 1, 1, 1]

    def pass_time(seconds: float) -> None:
        now[0] += 10 * seconds
        daemon.reply = Reply(calls=(STATUS,) * left.pop(0))

    monkeypatch.setattr(drain, "monotonic", lambda: now[0])
    monkeypatch.setattr("agent.cli.drain.time.sleep", pass_time)
    disk_site.write()
    daemon.reply = Reply(calls=(STATUS,) * left.pop(0))
    told = ("drain", "-c", disk_site.config, "--wait", wait)
    if code:
        with pytest.raises(AgentError, match="1 call is up after 30 s"):
            run(*told)
        assert [type(request) for _, request in daemon.asked] == [
            DrainRequest,
            *(StatusRequest,) * 3,
        ]
    else:
        assert run(*told) == 0
        assert "3 calls are up" in capsys.readouterr().out
    daemon.reply = Reply()
    assert run("drain", "-c", disk_site.config, "--wait", 30) == 0
    assert run("undrain", "-c", disk_site.config) == 0
    assert isinstance(daemon.asked[-1][1], UndrainRequest)


def test_the_table_says_what_is_recorded(
    daemon: Daemon,
    disk_site: DiskSite,
    run: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    disk_site.write()
    paused = {"recording": RecordState.PAUSED, "paused_for": 12.4, "resumes_in": 59.6}
    exempt = {"recording": RecordState.OFF, "exempt": True}
    replace = msgspec.structs.replace
    daemon.reply = Reply(
        calls=(STATUS, replace(STATUS, **paused), replace(STATUS, **exempt))
    )
    assert run("status", "-c", disk_site.config) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("talking")[1].strip() for line in lines[1:]] == [
        "on",
        "paused for 12 s, 60 s left",
        "exempt",
    ]
    assert run("status", "-c", disk_site.config, "--json") == 0
    shown = capsys.readouterr().out.splitlines()
    assert msgspec.json.decode(shown[1])["resumes_in"] == 59.6


def test_status_tells_of_the_host(
    daemon: Daemon,
    disk_site: DiskSite,
    run: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    disk_site.write()
    daemon.reply = Reply(calls=(STATUS,), host=HOST)
    assert run("status", "-c", disk_site.config) == 0
    assert capsys.readouterr().out.splitlines()[2:] == [
        "spool: 91 % used, 2048 MiB free; high-water mark 90 %, passed: no recording"
        " begins",
        "recordings: 0 to be finished; 12 to be stored (the first for 305 s), storage"
        " fails",
        "day keys of the gate: for 6 days from today",
    ]
    assert run("status", "-c", disk_site.config, "--json") == 0
    call, host = map(msgspec.json.decode, capsys.readouterr().out.splitlines())
    assert call["call_id"] == STATUS.call_id
    assert host["host"]["to_store"] == 12
    daemon.reply = Reply(
        host=msgspec.structs.replace(HOST, finishing_alarm=True, to_finish=10_000)
    )
    assert run("status", "-c", disk_site.config) == 0
    told = capsys.readouterr().out
    assert "10000 to be finished, too many" in told
    assert "draining" not in told
    daemon.reply = Reply(host=msgspec.structs.replace(HOST, draining=True))
    assert run("status", "-c", disk_site.config) == 0
    assert "draining: no new calls but emergency" in capsys.readouterr().out


def test_status_tells_of_alarms(
    daemon: Daemon,
    disk_site: DiskSite,
    run: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    disk_site.write()
    on = (alarm("storing_failed", 9, 7, storage="b\x1b"), alarm("task_failed", 9))
    daemon.reply = Reply(host=msgspec.structs.replace(HOST, alarms=on))
    assert run("status", "-c", disk_site.config) == 0
    assert capsys.readouterr().out.splitlines()[1:3] == [
        "alarm: storing_failed storage=b\N{REPLACEMENT CHARACTER}: Something is wrong,"
        " 7 times",
        "alarm: task_failed: Something is wrong",
    ]


def test_a_refusal_is_a_failure(
    daemon: Daemon,
    disk_site: DiskSite,
    run: Callable[..., int],
) -> None:
    disk_site.write()
    daemon.reply = Reply(error="No call that is up has this id.")
    with pytest.raises(asking.RefusedError, match="No call"):
        run("resume", "abc", "-c", disk_site.config)
