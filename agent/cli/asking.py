"""What the verbs that ask the running daemon share."""

import sys
from pathlib import Path
from typing import Final

import msgspec
from rich.table import Table

from agent.call.joint import CallStatus
from agent.cli.terminal import console, printable
from agent.common.errors import AgentError
from agent.service.alarm_board import Alarm
from agent.service.commands import LocalRequest, Reply
from agent.service.config import load
from agent.service.control import ask
from agent.service.host_status import HostStatus

SHOWN_ID: Final = 8
"Characters of a call's id: as many as the daemon takes for all of it."

_ABOUT: Final = 24
"Characters of what an alarm is about."
_COMMON: Final = frozenset({"host", "logger"})


class RefusedError(AgentError):
    """The daemon was asked, and refused."""


def ask_daemon(config: Path, request: LocalRequest) -> Reply:
    """Ask the daemon of a configuration file.

    Raises ConfigError, ControlError, and RefusedError with what it said.
    """
    settings = load(config)
    reply = ask(config.resolve().parent / settings.agent.spool / "run", request)
    if reply.error:
        raise RefusedError(reply.error)
    return reply


def show(calls: tuple[CallStatus, ...], *, json: bool) -> None:
    """Print calls as a table, or as JSON lines."""
    if json:
        for call in calls:
            sys.stdout.buffer.write(msgspec.json.encode(call) + b"\n")
        return
    table = Table(box=None, padding=(0, 1, 0, 0))
    for name in ("call", "route", "direction", "state", "recording"):
        table.add_column(name, no_wrap=True)
    for call in calls:
        table.add_row(
            call.call_id[:SHOWN_ID],
            call.route,
            call.direction,
            call.state,
            _recording(call),
        )
    console().print(table, soft_wrap=False)


def show_host(host: HostStatus, *, json: bool) -> None:
    """Print how it stands with the host: a line for each matter, or one of JSON."""
    if json:
        sys.stdout.buffer.write(msgspec.json.encode({"host": host}) + b"\n")
        return
    if host.draining:
        console().print("draining: no new calls but emergency calls are taken")
    for alarm in host.alarms:
        times = f", {alarm.count} times" if alarm.count > 1 else ""
        summary = alarm.summary.rstrip(".")
        console().print(f"alarm: {named(alarm)}: {summary}{times}")
    console().print(
        f"spool: {host.spool_used * 100:.0f} % used, {host.spool_free_mb} MiB free;"
        f" high-water mark {host.spool_high_water * 100:.0f} %"
        + (", passed: no recording begins" if host.spool_alarm else "")
    )
    console().print(
        "recordings:"
        f" {host.to_finish} to be finished{_for(host.to_finish_for)}"
        + (", too many: no recording begins" if host.finishing_alarm else "")
        + f"; {host.to_store} to be stored{_for(host.to_store_for)}"
        + (", storage fails" if host.storage_away else "")
    )
    if host.day_keys_for is not None:
        console().print(
            f"day keys of the gate: for {host.day_keys_for} days from today"
        )
    if len(host.storages) > 1:
        for storage in host.storages:
            console().print(
                f"{storage.name}: {storage.to_store} to be stored"
                f"{_for(storage.to_store_for)}" + (", fails" if storage.away else "")
            )


def named(alarm: Alarm) -> str:
    """An alarm's event, and what it is about: words of ours, ids cut short."""
    about = [
        f"{name}={printable(value)[:_ABOUT]}"
        for name, value in sorted(alarm.fields.items())
        if name not in _COMMON
    ]
    return " ".join((alarm.event, *about))


def _for(seconds: float | None) -> str:
    return "" if seconds is None else f" (the first for {seconds:.0f} s)"


def _recording(call: CallStatus) -> str:
    if call.exempt:
        return "exempt"
    if call.paused_for is None or call.resumes_in is None:
        return call.recording
    return f"paused for {call.paused_for:.0f} s, {call.resumes_in:.0f} s left"
