"""A folder of secrets, one file each, encrypted to the gate's own key.

What is destroyed stays destroyed: the record of it is durable before the file is
touched, and whoever opens the folder carries out what a record asks for. Each file is
an age file, so that a copy of the folder is a backup that needs no other care than
the gate's key, kept apart from it.
"""

import fcntl
import os
import re
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec

from agent.common.errors import AgentError
from agent.common.files import (
    make_private_directory,
    sync_directory,
    write_all,
    write_durably,
    write_new,
)
from agent.formats.age import AgeError, Entropy, Identity, decrypt, encrypt

MAX_SECRET: Final = 1 << 16
"Bytes of a file; a post-quantum key takes four thousand."
METHOD: Final = "overwritten-unlinked"
"How a file is destroyed, as the record says it."
_NAME: Final = re.compile(r"[0-9a-z][0-9a-z.-]{0,63}", re.ASCII)
_DESTROYED: Final = "destroyed"
_LOCK: Final = "lock"
_SERIAL: Final = "serial"
_SERIAL_SIZE: Final = 20


class KeyringError(AgentError):
    """The keyring is not as it should be, or lacks what is asked for."""


class KeyringBusyError(KeyringError):
    """Another process changes this keyring."""

    permanent = False
    hint = "Stop it first; one gate has one keyring."


class Kind(StrEnum):
    """What a secret is; each kind has a folder of its own."""

    ROOT = "roots"
    "The gate's signing key and the root of the index keys."
    DAY = "days"
    HOLD = "holds"


class Destruction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """That a secret was destroyed: it names the secret, never its content."""

    kind: Kind
    name: str
    at: str
    "UTC, ISO 8601."
    method: str = METHOD


class KeyFiles:
    """The folder. Blocks on the disk; one process at a time may change it."""

    def __init__(self, folder: Path, identities: Sequence[Identity]) -> None:
        """`identities` are the gate's own; the first is what is encrypted to."""
        self._folder = folder
        self._identities = identities
        self._lock: int | None = None

    def make(self) -> None:
        """Make the folders of an empty keyring. Raises KeyringError if one is there."""
        if (self._folder / Kind.ROOT).exists():
            raise KeyringError(
                f"{self._folder} holds a keyring already.",
                hint="Name another folder: a keyring is never replaced.",
            )
        for name in (*Kind, _DESTROYED):
            make_private_directory(self._folder / name)

    def claim(self) -> None:
        """Become the one that may change it, and finish what a dead one began.

        Raises KeyringBusyError, KeyringError if there is no keyring.
        """
        self._must_be_there()
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        fd = os.open(self._folder / _LOCK, flags, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            raise KeyringBusyError(f"{self._folder} is in use.") from None
        self._lock = fd
        self._finish()

    def release(self) -> None:
        """Let another process change it."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def names(self, kind: Kind) -> list[str]:
        """The secrets of a kind that are held, in order."""
        files = (self._folder / kind).glob("*.age")
        return sorted(path.stem for path in files if self.holds(kind, path.stem))

    def holds(self, kind: Kind, name: str) -> bool:
        """Whether a secret is held. Raises KeyringError if that can be no name."""
        there = self._path(kind, name).exists()
        return there and not self._record(kind, name).exists()

    def destroyed(self, kind: Kind) -> list[Destruction]:
        """What was destroyed, in order of names. Raises KeyringError."""
        files = sorted((self._folder / _DESTROYED).glob(f"{kind}.*.json"))
        return [_destruction(path) for path in files]

    def add(self, kind: Kind, name: str, secret: bytes, entropy: Entropy) -> None:
        """Keep a secret, durably. Raises KeyringError if the name was ever used."""
        path = self._path(kind, name)
        if path.exists() or self._record(kind, name).exists():
            raise KeyringError(f"{kind}/{name} was made before.")
        sealed = encrypt(secret, [self._identities[0].recipient()], entropy)
        write_durably(path, sealed)

    def read(self, kind: Kind, name: str) -> bytes:
        """A secret. Raises KeyringError: it is not held, or damaged."""
        path = self._path(kind, name)
        if self._record(kind, name).exists():
            raise KeyringError(f"{kind}/{name} was destroyed.")
        try:
            with path.open("rb") as file:
                sealed = file.read(MAX_SECRET)
            return decrypt(sealed, self._identities)
        except FileNotFoundError:
            raise KeyringError(f"{kind}/{name} is not held.") from None
        except AgeError as error:
            raise KeyringError(
                f"{kind}/{name} does not open: {error}",
                hint="Give the gate its own key, or bring the file back from a backup.",
            ) from error

    def destroy(self, kind: Kind, name: str, at: str) -> Destruction:
        """Destroy a secret for good, and say so; again: what was said the first time.

        `at` is UTC, ISO 8601. Raises KeyringError if there never was such a secret.
        """
        record = self._record(kind, name)
        if record.exists():
            done = _destruction(record)
        else:
            if not self._path(kind, name).exists():
                raise KeyringError(f"{kind}/{name} is not held.")
            done = Destruction(kind, name, at)
            # First, for it is what a dead gate's successor goes by.
            write_durably(record, msgspec.json.encode(done))
        _wipe(self._path(kind, name))
        return done

    def bar(self, kind: Kind, name: str, at: str) -> None:
        """As `destroy`, of a secret that need not be held: its name is used up."""
        record = self._record(kind, name)
        if not record.exists():
            write_durably(record, msgspec.json.encode(Destruction(kind, name, at)))
        _wipe(self._path(kind, name))

    def reseal(self, entropy: Entropy) -> int:
        """Encrypt each secret anew, to the first of the gate's own keys; how many.

        Each is whole at every moment; after a crash it may be done again. Raises
        KeyringError, OSError.
        """
        count = 0
        recipient = self._identities[0].recipient()
        for kind in Kind:
            for name in self.names(kind):
                sealed = encrypt(self.read(kind, name), [recipient], entropy)
                write_durably(self._path(kind, name), sealed)
                count += 1
        return count

    def serial(self) -> int:
        """The serial of the last list of day keys; 0 before there was one.

        Raises KeyringError.
        """
        try:
            text = (self._folder / _SERIAL).read_bytes()[:_SERIAL_SIZE]
        except FileNotFoundError:
            return 0
        if not text.isdigit():
            raise KeyringError(
                "The keyring's serial cannot be read.",
                hint="Write the newest published list's serial into it.",
            )
        return int(text)

    def next_serial(self) -> int:
        """Count one up, durably: no two lists bear the same. Raises KeyringError."""
        serial = self.serial() + 1
        write_durably(self._folder / _SERIAL, str(serial).encode())
        return serial

    def copy_to(self, destination: Path) -> int:
        """Copy the ciphertexts into a new folder, durably; returns how many files.

        Raises KeyringError, FileExistsError, OSError.
        """
        self._must_be_there()
        destination.mkdir(mode=0o700)
        count = 0
        for name in (_DESTROYED, *Kind):
            (destination / name).mkdir(mode=0o700)
            for path in sorted((self._folder / name).iterdir()):
                if path.name.startswith("."):
                    continue
                try:
                    data = path.read_bytes()
                except FileNotFoundError:
                    continue  # destroyed meanwhile: it has no place in a backup
                write_new(destination / name / path.name, [data])
                count += 1
            sync_directory(destination / name)
        write_new(destination / _SERIAL, [str(self.serial()).encode()])
        sync_directory(destination)
        sync_directory(destination.parent)
        return count

    def _must_be_there(self) -> None:
        if not (self._folder / Kind.ROOT).is_dir():
            raise KeyringError(
                f"{self._folder} holds no keyring.",
                hint="Mount it, or make one by `recording-agent-gate keyring init`.",
            )

    def _finish(self) -> None:
        """Destroy what a record says is destroyed, and what was never given a name."""
        for record in (self._folder / _DESTROYED).glob("*.json"):
            done = _destruction(record)
            _wipe(self._path(done.kind, done.name))
        for kind in Kind:
            for left in (self._folder / kind).glob(".*.tmp"):
                _wipe(left)

    def _path(self, kind: Kind, name: str) -> Path:
        if _NAME.fullmatch(name) is None:
            raise KeyringError("A secret's name holds small letters, digits, '.', '-'.")
        return self._folder / kind / f"{name}.age"

    def _record(self, kind: Kind, name: str) -> Path:
        return self._folder / _DESTROYED / f"{kind}.{name}.json"


def _destruction(path: Path) -> Destruction:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Destruction)
    except (OSError, msgspec.DecodeError) as error:
        raise KeyringError(
            f"{path.name}, a record of a destroyed key, cannot be read.",
            hint="Repair the file system; until then it is not known what must go.",
        ) from error


def _wipe(path: Path) -> None:
    """Overwrite a file as far as the medium allows, and take its name away."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        write_all(fd, os.urandom(os.fstat(fd).st_size))
        os.fsync(fd)
    finally:
        os.close(fd)
    path.unlink()
    sync_directory(path.parent)
