"""Secrets from files of their own, or from the service manager: never the main file.

A file that others can read is refused: a password in it is none. Errors name the
file, never what stands in it.
"""

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from agent.common.errors import AgentError

CREDENTIAL: Final = "credential:"
"What a name begins with that the service manager gives (systemd's LoadCredential=)."
MAX_BYTES: Final = 4 * 1024 * 1024
"A phones file of ten thousand users has three."

_CREDENTIAL_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]*")


class SecretError(AgentError):
    """A secret cannot be had."""


class Secrets:
    """Where secrets are: files beside the configuration, and the service manager's."""

    def __init__(self, base: Path, credentials: Path | None) -> None:
        """`base` is the configuration's directory; `credentials` is systemd's."""
        self._base = base
        self._credentials = credentials

    def password(self, name: str) -> str:
        """The first line of a file. Raises SecretError."""
        lines = self.read(name).splitlines()
        if not lines or not lines[0]:
            raise SecretError(f"{name}: the first line, the password, is empty.")
        return lines[0]

    def read(self, name: str) -> str:
        """The text of a file, or of `credential:NAME`. Raises SecretError."""
        with self._opened(name) as (file, _):
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise SecretError(f"{name}: this is too long.")
        try:
            return data.decode()
        except UnicodeDecodeError:
            raise SecretError(f"{name}: this is not UTF-8.") from None

    def path(self, name: str) -> Path:
        """Where it is, for a library that reads it itself. Raises SecretError."""
        with self._opened(name) as (_, path):
            return path

    @contextmanager
    def _opened(self, name: str) -> Iterator[tuple[BinaryIO, Path]]:
        """Open a secret that nobody else can read. Raises SecretError."""
        path, ours = self._path(name)
        try:
            # Opened first and judged then, so that it is the same file.
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            with os.fdopen(fd, "rb") as file:
                status = os.fstat(fd)
                if not stat.S_ISREG(status.st_mode):
                    raise SecretError(f"{name}: this is no file.")
                if ours and status.st_mode & 0o077:
                    raise SecretError(
                        f"{name}: its mode {stat.S_IMODE(status.st_mode):04o} lets"
                        " others read it.",
                        hint=f"Run chmod 600 {path}, and change what it held.",
                    )
                yield file, path
        except OSError as error:
            raise SecretError(f"{name}: cannot be read: {error.strerror}.") from error

    def _path(self, name: str) -> tuple[Path, bool]:
        """The file, and whether its mode must keep others out."""
        if not name.startswith(CREDENTIAL):
            return self._base / name, True
        credential = name.removeprefix(CREDENTIAL)
        if _CREDENTIAL_NAME.fullmatch(credential) is None:
            raise SecretError(f"{name}: a credential's name is letters and digits.")
        if self._credentials is None:
            raise SecretError(
                f"{name}: the service manager has given no credentials.",
                hint="Add LoadCredential= to the unit, or name a file.",
            )
        # systemd guards the directory, and shows its access list as the group's mode.
        return self._credentials / credential, False
