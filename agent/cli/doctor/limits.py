"""Whether the daemon may hold what it needs: memory, descriptors, no swap, no dumps."""

import re
from collections.abc import Iterator
from typing import Final

from agent.cli.doctor.finding import Finding, Findings, Patient
from agent.common.swap import unencrypted_swaps
from agent.signalling.config import parse_listen

MEMORY_OF_A_RECORDING: Final = 128 * 1024
"Bytes of an open block that outlives its worker, as README says."
FILES_OF_A_CALL: Final = 12
"Descriptors: sockets of two legs, doubles of them, a journal, memory."
NET_BIND_SERVICE: Final = 1 << 10
"The capability that ports below 1024 take."
INFINITE: Final = 1 << 62
_LINE: Final = re.compile(r"^(Max [a-z ]+?)\s{2,}(\S+)\s+(\S+)", re.MULTILINE)


def check(patient: Patient, found: Findings) -> Iterator[Finding]:
    """Judge the running daemon's limits, else its unit's, else our own."""
    whose, memory, files, core = _limits(patient)
    calls = patient.config.sip.max_calls
    if memory < calls * MEMORY_OF_A_RECORDING:
        yield found.warning(
            f"{whose} may lock {_mebibytes(memory)} of memory, and {calls} recordings"
            f" need {_mebibytes(calls * MEMORY_OF_A_RECORDING)}: the others lose their"
            " last second when a worker dies",
            "Set LimitMEMLOCK= in the unit, as the shipped one has it, or `ulimit -l`.",
        )
    else:
        yield found.right(f"{whose} may lock the memory that {calls} recordings need")
    if files < calls * FILES_OF_A_CALL:
        yield found.warning(
            f"{whose} may open {files} files, and {calls} calls need"
            f" {calls * FILES_OF_A_CALL}",
            "Set LimitNOFILE= in the unit, or lower sip.max_calls.",
        )
    else:
        yield found.right(f"{whose} may open the files that {calls} calls need")
    if core:
        yield found.warning(
            f"{whose} may leave core files: the agent forbids its own, and others of"
            " its user may not",
            "Set LimitCORE=0 in the unit, as the shipped one has it.",
        )
    yield _swap(patient, found)
    yield from _rights(patient, found)


def _swap(patient: Patient, found: Findings) -> Finding:
    bare = unencrypted_swaps(patient.proc, patient.sys)
    if not bare:
        return found.right("no swap space is in the clear")
    names = ", ".join(bare)
    if (patient.unit or {}).get("MemorySwapMax") == "0":
        return found.right(f"swap space is in the clear ({names}), and out of reach")
    text = f"keys in memory could get on a disk in the clear: {names}"
    remedy = "Encrypt the swap space, turn it off, or run with MemorySwapMax=0."
    if patient.config.agent.allow_swap:
        return found.warning(text, remedy)
    return found.wrong(f"{text}; the daemon refuses to start", remedy)


def _rights(patient: Patient, found: Findings) -> Iterator[Finding]:
    """Capabilities of the running daemon (capabilities(7)): it needs none."""
    pid = (patient.unit or {}).get("MainPID", "0")
    if not pid.isdecimal() or pid == "0":
        return
    status = (patient.proc / pid / "status").read_text(errors="replace")
    told = re.search(r"^CapEff:\s*([0-9a-f]+)", status, re.MULTILINE)
    effective = int(told[1], 16) if told else 0
    low = any(parse_listen(e).address.port < 1024 for e in patient.config.sip.listen)
    if effective & ~(NET_BIND_SERVICE if low else 0):
        yield found.warning(
            f"the daemon has rights that it does not need (CapEff {effective:x})",
            "Run it as its own user, with CapabilityBoundingSet= as the shipped unit.",
        )
    else:
        yield found.right("the daemon has no right that it does not need")


def _limits(patient: Patient) -> tuple[str, int, int, int]:
    unit = patient.unit or {}
    pid = unit.get("MainPID", "0")
    if pid.isdecimal() and pid != "0":
        path, whose = patient.proc / pid / "limits", "the daemon"
    elif unit.get("LoadState") == "loaded":
        wanted = ("LimitMEMLOCK", "LimitNOFILE", "LimitCORE")
        memory, files, core = (_number(unit.get(key, "0")) for key in wanted)
        return "the unit", memory, files, core
    else:
        path, whose = patient.proc / "self" / "limits", "what is started from here"
    hard = {name: _number(limit) for name, _, limit in _LINE.findall(path.read_text())}
    return (
        whose,
        hard.get("Max locked memory", 0),
        hard.get("Max open files", 0),
        hard.get("Max core file size", 0),
    )


def _number(text: str) -> int:
    if text in {"infinity", "unlimited"}:
        return INFINITE
    return int(text) if text.isdecimal() else 0


def _mebibytes(size: int) -> str:
    return f"{size / (1 << 20):.0f} MiB"
