"""A person's secret keys: age's own identity files, protected by passphrase or not."""

from collections.abc import Callable, Iterable
from pathlib import Path

from agent.common.errors import AgentError
from agent.formats.age import Identity, is_protected, open_identity_file


class IdentityFileError(AgentError):
    """A file of secret keys cannot be used."""

    hint = "Name your identity files in [person], or with -i."


def read_identities(
    paths: Iterable[Path], ask: Callable[[str], str]
) -> tuple[Identity, ...]:
    """The keys of all files; `ask` gives a passphrase for a prompt that names the file.

    Raises IdentityFileError, and AgeError for a file that is none or a passphrase that
    is wrong.
    """
    found: list[Identity] = []
    for path in paths:
        try:
            data = path.read_bytes()
        except OSError as error:
            raise IdentityFileError(
                f"{path} cannot be read: {error.strerror}."
            ) from error
        passphrase = ask(f"Passphrase of {path}: ") if is_protected(data) else None
        found += open_identity_file(data, passphrase)
    return tuple(found)
