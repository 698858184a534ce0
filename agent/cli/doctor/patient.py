"""Looks at a host once, for all checks: configuration, daemon, unit."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from agent.cli.doctor.finding import Finding, Findings, Patient
from agent.common.errors import AgentError
from agent.common.strict_toml import ConfigError
from agent.service.commands import Reply, StatusRequest
from agent.service.config import Config, load
from agent.service.control import ask
from agent.service.material import Material, credentials_directory, read_material
from agent.signalling.secrets import Secrets

UNIT: Final = "recording-agent.service"
WORKERS: Final = "recording-agent-media@*.service"
ACTIVE_WORKERS: Final = "ActiveWorkers"
"Not systemd's own: how many of those are active."
PROPERTIES: Final = (
    "LoadState",
    "ActiveState",
    "SubState",
    "UnitFileState",
    "Result",
    "NRestarts",
    "MainPID",
    "FileDescriptorStoreMax",
    "LimitMEMLOCK",
    "LimitNOFILE",
    "LimitCORE",
    "MemorySwapMax",
    "ProtectSystem",
    "ReadWritePaths",
    "StateDirectory",
)
CREDENTIALS: Final = Path("/run/credentials")
"Where systemd puts those of its units."
PATIENCE: Final = 10.0
"Seconds that the service manager has to answer."
_FIX: Final = "Correct it in the file; every key is explained in config/agent.toml."


def look(file: Path) -> tuple[Patient | None, list[Finding]]:
    """The patient, and what is to be said of its configuration.

    None if the file itself is of no use: nothing else can be judged then.
    """
    found = Findings("configuration")
    try:
        config = load(file)
    except ConfigError as error:
        return None, [found.wrong(mistake, _FIX) for mistake in error.mistakes]
    except AgentError as error:
        return None, [found.wrong(str(error), "Name the daemon's file with --config.")]
    base, unit = file.resolve().parent, read_unit()
    if unit is not None:
        _find_credentials()
    reply, silence = _ask(base / config.agent.spool / "run")
    material, judged = _read(config, base, found)
    patient = Patient(
        file=file,
        config=config,
        secrets=Secrets(base, credentials_directory()),
        material=material,
        reply=reply,
        silence=silence,
        unit=unit,
    )
    return patient, judged


def _ask(directory: Path) -> tuple[Reply | None, str]:
    """What the daemon says of itself, or why it says nothing."""
    try:
        reply = ask(directory, StatusRequest())
    except AgentError as error:
        return None, str(error)
    return (None, reply.error) if reply.error else (reply, "")


def _read(
    config: Config, base: Path, found: Findings
) -> tuple[Material | None, list[Finding]]:
    """What the configuration names, and what is to be said of it."""
    try:
        material = read_material(config, base)
    except ConfigError as error:
        return None, [found.wrong(one, _remedy(one)) for one in error.mistakes]
    judged = list(_warnings(found, material.warnings))
    return material, judged or [found.right("no mistake in it, or in what it names")]


def _warnings(found: Findings, warnings: tuple[str, ...]) -> Iterator[Finding]:
    for warning in warnings:
        key = warning.partition(" ")[0].rstrip(":")
        # What begins with no key of the configuration is about people.
        remedy = f"Set {key}, or know what goes without it."
        if "." not in key:
            remedy = "See roster and officers' directory, or know what goes without it."
        yield found.warning(warning, remedy)


def _remedy(mistake: str) -> str:
    """A mistake's own hint stands in its text; this says where to look."""
    place = mistake.partition(":")[0]
    return f"Correct what {place} names, then run `recording-agent check-config`."


def read_unit() -> dict[str, str] | None:
    """What systemd knows of the daemon's unit; None where there is none."""
    if not Path("/run/systemd/system").is_dir():
        return None
    try:
        told = _show(UNIT, ",".join(PROPERTIES))
        workers = _show(WORKERS, "ActiveState")
    except (OSError, subprocess.SubprocessError):
        # No bus, no right to ask, no answer in time: as good as no unit, and told so.
        return None
    unit = dict(line.split("=", 1) for line in told.splitlines() if "=" in line)
    active = workers.splitlines().count("ActiveState=active")
    return unit | {ACTIVE_WORKERS: str(active)}


def _show(unit: str, properties: str) -> str:
    command = ["systemctl", "show", unit, f"--property={properties}"]
    return subprocess.run(  # noqa: S603 - a fixed program, no shell
        command, capture_output=True, check=True, timeout=PATIENCE, text=True
    ).stdout


def _find_credentials() -> None:
    """Look where the unit's credentials are while it runs, as it does itself."""
    there = CREDENTIALS / UNIT
    if there.is_dir():
        os.environ.setdefault("CREDENTIALS_DIRECTORY", str(there))
