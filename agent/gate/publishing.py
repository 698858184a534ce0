"""The list of day keys where hosts and people find it: `gate/day-keys/<serial>.signed`.

Serials stand with leading zeros, so that the newest list is the last.
"""

from datetime import date
from typing import Final

from agent.archive.keyring import Keyring
from agent.formats.day_keys import MAX_LIST
from agent.formats.layout import Folder
from agent.formats.sshsig import Namespace
from agent.gate.parts import Parts
from agent.upload.backend import StorageBackend, read_object

LISTS: Final = f"{Folder.GATE}/day-keys"
KEPT: Final = 3
"Lists beside the newest: somebody may just be reading one."


async def publish(parts: Parts) -> int:
    """Make and store a new list; its serial.

    Raises KeyringError, StorageError: the list may be there then, or not.
    """
    return await publish_with(
        parts.keyring, parts.archive.state, parts.today(), parts.instant()
    )


async def publish_with(
    keyring: Keyring, state: StorageBackend, today: date, instant: str
) -> int:
    """As `publish`."""
    made = await keyring.publish(today, instant)
    signed = keyring.sign(made.to_bytes(), Namespace.DAY_KEYS)
    await state.put(list_key(made.serial), signed)
    keys = [info.key async for info in state.list(LISTS)]
    for key in keys[: -1 - KEPT]:
        await state.delete(key)
    return made.serial


async def latest(state: StorageBackend) -> bytes | None:
    """The newest list, signed; None before there is one. Raises StorageError."""
    newest = await latest_key(state)
    return None if newest is None else await read_object(state, newest, 2 * MAX_LIST)


async def latest_serial(state: StorageBackend) -> int:
    """Of the newest list in storage; 0 before there is one. Raises StorageError."""
    newest = await latest_key(state)
    stem = "" if newest is None else newest.rpartition("/")[2].partition(".")[0]
    return int(stem) if stem.isdigit() else 0


async def latest_key(state: StorageBackend) -> str | None:
    """The name of the newest list. Raises StorageError."""
    newest = None
    async for info in state.list(LISTS):
        newest = info.key
    return newest


def list_key(serial: int) -> str:
    """Where a list lies."""
    return f"{LISTS}/{serial:012}.signed"
