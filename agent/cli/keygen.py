"""`recording-agent keygen`: key pairs in age's own file format."""

import os
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from agent.common.clock import utc_now
from agent.common.errors import AgentError
from agent.common.files import create_exclusively, sync_directory
from agent.formats.age import (
    KeyKind,
    generate_identity,
    identity_file,
    protect_identity_file,
)
from agent.formats.sshsig import SigningKey


class KeygenError(AgentError):
    """The key file cannot be made."""

    hint = "Name a file that does not exist yet, in a directory you may write."


def command(
    *,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    classic: Annotated[bool, Parameter(negative="--pq")] = False,
    passphrase: bool = False,
    signing: bool = False,
) -> None:
    """Make a key pair: the file is secret, what is printed is public.

    Args:
        output: Where the secret key goes (mode 0600); standard output if absent.
        classic: Make an X25519 pair; the default is the post-quantum hybrid.
        passphrase: Protect the file with a passphrase, asked for on the terminal.
        signing: Make a key that signs (OpenSSH's format, Ed25519), for a host's seals.
    """
    if signing:
        if classic or passphrase:
            raise KeygenError(
                "a signing key is of one kind, and a daemon asks for no passphrase.",
                hint="Leave out --classic and --passphrase.",
            )
        key = SigningKey.from_seed(os.urandom(32))
        _put(output, key.to_private_file(), str(key.public))
        return
    kind = KeyKind.CLASSIC if classic else KeyKind.POST_QUANTUM
    identity = generate_identity(kind, os.urandom)
    text = identity_file(identity, utc_now())
    data = text.encode()
    if passphrase:
        data = protect_identity_file(text, _ask_passphrase(), os.urandom)
    _put(output, data, str(identity.recipient()))


def _put(output: Path | None, data: bytes, public: str) -> None:
    """Write the secret half, durably if to a file, and then print the public one."""
    if output is None:
        sys.stdout.buffer.write(data)
        return
    try:
        fd = create_exclusively(output)
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        sync_directory(output.resolve().parent)
    except OSError as error:
        raise KeygenError(f"{output} cannot be written: {error.strerror}.") from error
    print(public)


def _ask_passphrase() -> str:
    import getpass  # noqa: PLC0415 - only here, and slow to import

    first = getpass.getpass("Passphrase: ")
    if not first or first != getpass.getpass("Once more: "):
        raise KeygenError("the passphrases are empty or differ.")
    return first
