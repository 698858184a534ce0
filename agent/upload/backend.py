"""The storage contract: what every backend promises, and how it fails."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from agent.common.errors import AgentError

CHUNK: Final = 1 << 20
"Bytes at once when an object is read."


class StorageError(AgentError):
    """Storage did not do what it was asked; trying again may help."""

    permanent = False
    hint = "Nothing is lost: it is tried again. Check the storage and the way to it."


class StorageDeniedError(StorageError):
    """Storage refuses us."""

    permanent = True
    hint = "Check the storage's permissions."


class ObjectExistsError(StorageError):
    """The key holds other bytes, which are never overwritten."""

    permanent = True
    hint = "Find out who wrote that object; nothing of ours was overwritten."


class ObjectMissingError(StorageError):
    """There is no such object."""

    permanent = True
    hint = ""


class ObjectDamagedError(StorageError):
    """What was read back is not what was put."""

    permanent = True
    hint = "The storage alters data: repair it, and remove the damaged object."


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One stored object."""

    key: str
    size: int


class StorageBackend(Protocol):
    """Where sealed recordings go. Retrying is a decorator's business."""

    async def put(self, key: str, source: Path | bytes) -> None:
        """Store an object that does not exist yet, all of it or nothing, durably.

        Raises ObjectExistsError if `key` is taken, whatever it holds, and
        StorageError.
        """

    def get(self, key: str) -> AsyncIterator[bytes]:
        """The object's bytes, in pieces. Raises ObjectMissingError, StorageError."""

    async def head(self, key: str) -> ObjectInfo:
        """Whether it is there. Raises ObjectMissingError, StorageError."""

    def list(self, prefix: str) -> AsyncIterator[ObjectInfo]:
        """Every object in the folder `prefix`. Raises StorageError."""
