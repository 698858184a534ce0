"""What the commands on signed files share: which roster counts, reading, writing."""

import os
import sys
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from agent.common.errors import AgentError
from agent.common.files import create_exclusively, write_all
from agent.common.strict_toml import ConfigError, decode_struct, read_toml
from agent.formats.roster import Roster
from agent.formats.signed import join_document
from agent.formats.sshsig import MAX_ARMORED, Namespace, SignatureError, parse_signature
from agent.identity.config import RosterConfig
from agent.identity.roster import MAX_FILE, load_roster

Config = Annotated[Path | None, Parameter(name=["--config", "-c"])]
Output = Annotated[Path | None, Parameter(name=["--output", "-o"])]
_ROOT_HINT: Final = (
    "Name a configuration with a [roster] (-c), or the roster's root key (--root)."
)


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Trusted:
    """Which roster counts, and why it is believed."""

    file: Path | None = None
    "The signed roster; that of the configuration if absent."
    _: KW_ONLY
    config: Config = None
    "A configuration file with a [roster]."
    root: str = ""
    "The root's public key: a .pub file, or the line in it."

    def roster(self) -> Roster:
        """Raises AgentError, RosterError among them."""
        return trusted_roster(self.config, self.file, self.root)


class SignedFileError(AgentError):
    """A file cannot be read, written, or put together."""


def trusted_roster(config: Path | None, path: Path | None, root: str) -> Roster:
    """The roster of a configuration, or that of a path and a root.

    `root` is a .pub file, or the line in it. Raises AgentError, RosterError among them.
    """
    if config is not None:
        # Of agent.toml, gate.toml or archive.toml: whoever needs a roster has the same.
        mistakes: list[str] = []
        table = read_toml(config).get("roster", {})
        section = decode_struct(RosterConfig, table, "roster", mistakes)
        if section is None:
            raise ConfigError(mistakes)
        base = config.resolve().parent
        path = path or (base / section.path if section.path else None)
        root = root or section.root
    if path is None or not root:
        raise SignedFileError("Which roster counts is not said.", hint=_ROOT_HINT)
    if not root.startswith(("ssh-", "sk-")):
        root = read(Path(root), MAX_ARMORED).decode("utf-8", "replace")
    return load_roster(path, root)


def read(path: Path, limit: int = MAX_FILE) -> bytes:
    """A file of at most `limit` bytes, `-` being standard input."""
    try:
        if path == Path("-"):
            data = sys.stdin.buffer.read(limit + 1)
        else:
            with path.open("rb") as file:
                data = file.read(limit + 1)
    except OSError as error:
        raise SignedFileError(f"{path} cannot be read: {error.strerror}.") from error
    if len(data) > limit:
        raise SignedFileError(f"{path} is longer than any that is believed.")
    return data


def write(data: bytes, output: Path | None) -> None:
    """To a new file, or to standard output."""
    if output is None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    try:
        fd = create_exclusively(output.resolve(), mode=0o644)
        try:
            write_all(fd, data)
            os.fsync(fd)
        finally:
            os.close(fd)
    except OSError as error:
        raise SignedFileError(
            f"{output} cannot be written: {error.strerror}.",
            hint="Name a file that does not exist yet, in a directory you may write.",
        ) from error


def join(payload: bytes, signatures: tuple[Path, ...], namespace: Namespace) -> bytes:
    """A document with the signatures that `ssh-keygen -Y sign` left beside it.

    Raises SignedFileError: one of them is none, or is for something else.
    """
    if not signatures:
        raise SignedFileError("No signature is given.", hint="Name FILE.sig, too.")
    armored = []
    for path in signatures:
        # Mail and editors put such a file's line ends and blanks as they like.
        data = read(path, MAX_ARMORED).strip().replace(b"\r\n", b"\n") + b"\n"
        try:
            parse_signature(data).verify(payload, namespace)
        except SignatureError as error:
            raise SignedFileError(f"{path}: {error}") from error
        armored.append(data.decode())
    return join_document(payload, armored)
