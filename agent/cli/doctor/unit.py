"""Whether systemd keeps the daemon, and its calls over the daemon's death."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from agent.cli.doctor.finding import Finding, Findings, Patient
from agent.cli.doctor.patient import ACTIVE_WORKERS, UNIT

MANY_RESTARTS: Final = 5


def check(patient: Patient, found: Findings) -> Iterator[Finding]:
    """Judge its unit."""
    unit = patient.unit
    if unit is None or unit.get("LoadState") != "loaded":
        yield found.warning(
            f"no service manager here knows {UNIT}",
            "Install it with scripts/install or the Debian package: without it calls"
            " do not outlive the daemon's death.",
        )
        return
    state = unit.get("ActiveState", "")
    enabled = unit.get("UnitFileState") in {"enabled", "enabled-runtime", "static"}
    if state == "failed":
        yield found.wrong(
            f"{UNIT} has failed: {unit.get('Result', '')}",
            f"See `journalctl -xu {UNIT}`, then `systemctl restart {UNIT}`.",
        )
    elif state == "active":
        yield found.right(f"{UNIT} is active ({unit.get('SubState', '')})")
        yield from _workers(patient, unit, found)
    else:
        # Before its first start that is as it should be.
        make = found.wrong if enabled else found.warning
        yield make(f"{UNIT} is {state}", f"Run `systemctl enable --now {UNIT}`.")
    if not enabled:
        yield found.warning(
            "it does not start by itself after the host does",
            f"Run `systemctl enable {UNIT}`.",
        )
    if unit.get("FileDescriptorStoreMax", "0") == "0":
        yield found.wrong(
            "systemd keeps nothing for it: calls end when the daemon does",
            "Set FileDescriptorStoreMax= in the unit, as the shipped one has it.",
        )
    yield from _writable(patient, unit, found)
    restarts = unit.get("NRestarts", "0")
    if restarts.isdecimal() and int(restarts) >= MANY_RESTARTS:
        yield found.warning(
            f"systemd has restarted it {restarts} times",
            f"See `journalctl -xu {UNIT}` for why, and report what it says.",
        )


def _writable(
    patient: Patient, unit: dict[str, str], found: Findings
) -> Iterator[Finding]:
    """In its sandbox everything is read-only but what the unit names."""
    if unit.get("ProtectSystem") != "strict":
        return
    allowed = [Path(path.lstrip("-+")) for path in unit["ReadWritePaths"].split()]
    allowed += patient.made_by_unit
    wanted = {"agent.spool": patient.spool}
    for index, storage in enumerate(patient.config.storage):
        if not storage.is_s3:
            for key, url in (("locked_url", storage.locked_url), ("url", storage.url)):
                path = patient.base / unquote(urlsplit(url).path)
                wanted[f"storage[{index}].{key}"] = path
    for place, path in wanted.items():
        if not any(path.resolve().is_relative_to(one) for one in allowed):
            yield found.wrong(
                f"{place}: the unit may not write below {path}",
                f"Run `systemctl edit {UNIT}`, and write under [Service]:"
                f" ReadWritePaths={path}",
            )


def _workers(
    patient: Patient, unit: dict[str, str], found: Findings
) -> Iterator[Finding]:
    """Media workers are units of their own, which the daemon does not start."""
    media = patient.config.media
    wanted = (media.workers or os.cpu_count() or 1) + media.spares
    active = int(unit.get(ACTIVE_WORKERS, "0"))
    if active < wanted:
        yield found.wrong(
            f"{active} units of media workers are active, of {wanted} that [media] has",
            f"Run `systemctl enable --now recording-agent-media@{{0..{wanted - 1}}}`.",
        )
    else:
        yield found.right(f"{active} units of media workers are active")
