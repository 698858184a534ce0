"""What the gate remembers of its log beside it, and goes on from at its next start.

The file holds nothing that the log does not: without it the whole log is read once.
What was read is verified; a flaw is told, and what was known before it stays in force.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import structlog

from agent.archive.audit_verification import After, read_after
from agent.archive.chain import Chain
from agent.archive.keyring import Keyring
from agent.archive.witness import MAX_WITNESS, Witness
from agent.common.files import write_durably
from agent.common.moments import time_text
from agent.formats.audit import Act
from agent.formats.sshsig import PublicKey
from agent.retention.site import Site
from agent.upload.backend import StorageBackend

IN_FORCE: Final = "in-force.json"
"In the gate's state: what is in force, and to which row of the log that was read."


async def recall(
    state: Path, backend: StorageBackend, writer: str, trusted: Iterable[PublicKey]
) -> Witness:
    """What the log says, from what was remembered on.

    Raises WitnessError if the file cannot be read, StorageError, OSError.
    """
    witness = _remembered(state / IN_FORCE)
    chain = Chain(writer, trusted)
    place = After(witness.row, witness.day)
    async for page, lies in read_after(backend, chain, place):
        witness.take(page.rows, lies)
    for one in chain.findings:
        structlog.get_logger().critical("audit_log_flawed", what=str(one))
    return witness


def remember(state: Path, witness: Witness) -> None:
    """Have the next start go on from here. Raises OSError."""
    write_durably(state / IN_FORCE, witness.to_bytes())


async def destroy_again(
    site: Site, keyring: Keyring, witness: Witness, now_ns: int
) -> list[str]:
    """Destroy what the log says was destroyed, and a backup has brought back.

    Each has its row before it goes. What is not held is noted, so that no other key
    ever gets its name. Returns what was destroyed. Raises KeyringError, AuditLogError.
    """
    found = []
    at = time_text(now_ns)
    for name in sorted(witness.days & {*keyring.day_names()}):
        day, _, generation = name.partition(".")
        await site.row(
            Act.KEY_DESTROYED, result="again", day=day, generation=generation
        )
        found.append(name)
    for recording_id in sorted(witness.holds & {*await keyring.holds()}):
        await site.row(Act.KEY_DESTROYED, recording_id=recording_id, result="again")
        found.append(recording_id)
    await keyring.forget(witness.days, witness.holds, at=at)
    if found:
        structlog.get_logger().critical("destroyed_keys_returned", keys=found)
    return found


def _remembered(path: Path) -> Witness:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_WITNESS + 1)
    except FileNotFoundError:
        return Witness()
    return Witness.parse(data)
