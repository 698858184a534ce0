"""Whether systemd keeps the daemon, and its calls over the daemon's death."""

from collections.abc import Iterator
from typing import Final

from agent.cli.doctor.finding import Finding, Findings, Patient
from agent.cli.doctor.patient import UNIT

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
    if state == "failed":
        yield found.wrong(
            f"{UNIT} has failed: {unit.get('Result', '')}",
            f"See `journalctl -xu {UNIT}`, then `systemctl restart {UNIT}`.",
        )
    elif state != "active":
        yield found.wrong(f"{UNIT} is {state}", f"Run `systemctl start {UNIT}`.")
    else:
        yield found.right(f"{UNIT} is active ({unit.get('SubState', '')})")
    if unit.get("UnitFileState") not in {"enabled", "enabled-runtime", "static"}:
        yield found.warning(
            "it does not start by itself after the host does",
            f"Run `systemctl enable {UNIT}`.",
        )
    if unit.get("FileDescriptorStoreMax", "0") == "0":
        yield found.wrong(
            "systemd keeps nothing for it: calls end when the daemon does",
            "Set FileDescriptorStoreMax= in the unit, as the shipped one has it.",
        )
    restarts = unit.get("NRestarts", "0")
    if restarts.isdecimal() and int(restarts) >= MANY_RESTARTS:
        yield found.warning(
            f"systemd has restarted it {restarts} times",
            f"See `journalctl -xu {UNIT}` for why, and report what it says.",
        )
