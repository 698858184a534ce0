"""The storage contract: what every backend promises, and how it fails."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final, Protocol

from agent.common.errors import AgentError

CHUNK: Final = 1 << 20
"Bytes at once when an object is read."
MAX_KEY: Final = 512
"Bytes of a key: object stores take 1024, and a prefix of the bucket comes before it."

_PART: Final = r"(?!\.{1,2}(?:/|$))[A-Za-z0-9._=+@:~-]+"
# Nothing that a directory or a URL takes for something else.
_KEY: Final = re.compile(rf"{_PART}(?:/{_PART})*")


class StorageError(AgentError):
    """Storage did not do what it was asked; trying again may help."""

    permanent = False
    hint = "Nothing is lost: it is tried again. Check the storage and the way to it."


class StorageDeniedError(StorageError):
    """Storage refuses us."""

    permanent = True
    hint = "Check the storage's permissions."


class BadKeyError(StorageError):
    """No object can have this key."""

    permanent = True
    hint = ""


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
    hint = (
        "Find out whether the spool's disk or the storage alters data, and repair it."
    )


class ObjectUnlockedError(StorageError):
    """It was stored without the lock that the bucket is to give it."""

    permanent = True
    hint = "Run `recording-agent storage check`; the local copy stays."


class ObjectLockedError(StorageError):
    """Its lock has not run out: it can neither be deleted nor replaced."""

    permanent = True
    hint = "Try again when its lock has run out."


class ObjectTooLargeError(StorageError):
    """It is larger than anything of its kind."""

    permanent = True
    hint = "Find out who wrote that object."


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One stored object."""

    key: str
    size: int
    modified_ns: int
    "When storage got it, in UTC nanoseconds by the storage's clock."


class StorageBackend(Protocol):
    """Where sealed recordings go. Retrying is a decorator's business.

    Keys are parts joined by `/`; whatever a backend is asked about a key that is none
    raises BadKeyError, which is a StorageError as all the others are.
    """

    page_costs: ClassVar[int]
    "How many questions about one object (`head`) cost as much as a thousand listed."

    async def put(self, key: str, source: Path | bytes, *, sha256: str = "") -> None:
        """Store an object that does not exist yet, all of it or nothing, durably.

        With `sha256`, in hexadecimal, it returns only when storage is known to hold
        these bytes, locked where they are to be. Raises ObjectExistsError if `key` is
        taken, whatever it holds; ObjectDamagedError; ObjectUnlockedError;
        StorageError.
        """

    async def holds(self, key: str, *, sha256: str, size: int) -> bool:
        """Whether the object is these bytes, and locked where it is to be.

        Raises ObjectMissingError, ObjectUnlockedError, StorageError.
        """

    def get(self, key: str) -> AsyncIterator[bytes]:
        """The object's bytes, in pieces. Raises ObjectMissingError, StorageError.

        The oldest version of them, where storage keeps versions.
        """

    async def head(self, key: str) -> ObjectInfo:
        """Whether it is there. Raises ObjectMissingError, StorageError."""

    def list(self, prefix: str, *, after: str = "") -> AsyncIterator[ObjectInfo]:
        """Every object in the folder `prefix`, in the order of their keys.

        With `after`, only keys greater than it. Raises StorageError.
        """

    async def replace(self, key: str, data: bytes) -> None:
        """Make `key` hold `data` and nothing else, no older version either; durably.

        Raises ObjectLockedError, StorageError.
        """

    async def delete(self, key: str) -> None:
        """Remove the object with every version of it; one that is not there is none.

        Raises ObjectLockedError, StorageError.
        """

    async def keep(self, key: str) -> None:
        """Let storage's own expiry, where there is one, pass this object by for good.

        Raises ObjectMissingError, StorageError.
        """


async def read_object(backend: StorageBackend, key: str, limit: int) -> bytes:
    """A whole object of at most `limit` bytes.

    Raises ObjectTooLargeError, ObjectMissingError, StorageError.
    """
    data = bytearray()
    async for chunk in backend.get(key):
        data += chunk
        if len(data) > limit:
            raise ObjectTooLargeError(f"{key} is larger than {limit} bytes.")
    return bytes(data)


def is_key(text: str) -> bool:
    """Whether an object can have this key."""
    return len(text) <= MAX_KEY and _KEY.fullmatch(text) is not None


def check_key(key: str) -> str:
    """`key`, if an object can have it. Raises BadKeyError."""
    if not is_key(key):
        raise BadKeyError(f"{key[:80]!r} is no key of an object.")
    return key


def folder_of(prefix: str) -> str:
    """What keys in the folder `prefix` begin with: it and a slash. Raises BadKeyError.

    All keys are in the folder that has no name.
    """
    name = prefix.rstrip("/")
    return f"{check_key(name)}/" if name else ""
