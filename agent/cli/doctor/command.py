"""Runs every check, and tells what each has found."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from agent.cli.doctor import (
    broker,
    certificates,
    clock,
    daemon,
    disk,
    keys,
    limits,
    names,
    notices,
    ports,
    siprec,
    storage,
    unit,
)
from agent.cli.doctor.finding import Finding, Findings, Patient
from agent.cli.doctor.patient import look
from agent.cli.doctor.showing import show
from agent.cli.working import Working
from agent.common.errors import AgentError

Check = Callable[[Patient, Findings], Iterator[Finding]]
CHECKS: Final[dict[str, Check]] = {
    "daemon": daemon.check,
    "unit": unit.check,
    "ports": ports.check,
    "names": names.check,
    "siprec": siprec.check,
    "certificates": certificates.check,
    "clock": clock.check,
    "keys": keys.check,
    "storage": storage.check,
    "broker": broker.check,
    "notices": notices.check,
    "disk": disk.check,
    "limits": limits.check,
}


def command(
    *,
    config: Annotated[Path, Parameter(name=["--config", "-c"])],
    json: Annotated[bool, Parameter(negative="")] = False,
    brief: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Look for what is wrong with a host, and say what to do: 1 if something is.

    Asks nothing of the calls, and changes nothing. Run it as the daemon's user or root.

    Args:
        config: The configuration file of the daemon.
        json: Print JSON lines instead, one a finding.
        brief: Leave out what is right.
    """
    with Working("looking …") as working:
        found = examine(config, lambda name: working.tell(f"{name} …"))
        wrong = show(working.through(found), json=json, brief=brief)
    if wrong:
        sys.exit(1)


def examine(
    config: Path, telling: Callable[[str], None] = lambda _: None
) -> Iterator[Finding]:
    """All findings; `telling` hears which check begins."""
    telling("configuration")
    patient, findings = look(config)
    yield from findings
    if patient is None:
        return
    for name, check in CHECKS.items():
        telling(name)
        yield from guarded(name, check, patient)


def guarded(name: str, check: Check, patient: Patient) -> Iterator[Finding]:
    """A check's findings; what it cannot look at is one itself."""
    found = Findings(name)
    try:
        yield from check(patient, found)
    except (AgentError, OSError) as error:
        yield found.wrong(
            f"this could not be looked at: {error}",
            "Run doctor as the daemon's user or root.",
        )
