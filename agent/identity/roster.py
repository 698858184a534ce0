"""Reading the signed roster from disk, and remembering the newest that was seen."""

from pathlib import Path
from typing import Final

from agent.common.errors import AgentError
from agent.common.files import write_durably
from agent.formats.roster import Roster, RosterError
from agent.formats.roster_reading import MAX_ROSTER, verify_roster
from agent.formats.sshsig import PublicKey, SshKeyError

MAX_FILE: Final = MAX_ROSTER + (1 << 16)
"Bytes, with its signatures."
MAX_SERIAL_FILE: Final = 32


class SerialError(AgentError):
    """It cannot be told which document is the newest that was seen."""

    hint = (
        "Find out who changed that file; if nobody did, write the newest document's"
        " serial into it."
    )


def load_roster(path: Path, root: str, *, floor: int = 0) -> Roster:
    """Read a signed roster; `root` is the pinned key, `ssh-ed25519 AAAA…`.

    Raises RosterError, naming what is wrong; a serial below `floor` is refused.
    """
    try:
        trusted = PublicKey.parse(root)
    except SshKeyError as error:
        raise RosterError([f"the root's key: {error}"]) from None
    return verify_roster(_read(path), trusted, floor=floor)


def seen_serial(path: Path) -> int:
    """The highest serial that `remember_serial` has noted there; 0 if none was.

    Raises SerialError.
    """
    try:
        with path.open("rb") as file:
            text = file.read(MAX_SERIAL_FILE + 1)
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise SerialError(f"{path} cannot be read: {error.strerror}.") from error
    if not text.strip().isdigit() or len(text) > MAX_SERIAL_FILE:
        raise SerialError(f"{path} does not hold a serial.")
    return int(text)


def remember_serial(path: Path, serial: int) -> None:
    """Note durably that a document has been believed: older ones are over.

    Raises SerialError.
    """
    if serial <= seen_serial(path):
        return
    try:
        write_durably(path, f"{serial}\n".encode())
    except OSError as error:
        raise SerialError(f"{path} cannot be written: {error.strerror}.") from error


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE + 1)
    except OSError as error:
        raise RosterError([f"{path} cannot be read: {error.strerror}"]) from None
    if len(data) > MAX_FILE:
        raise RosterError([f"{path} is too large"])
    return data
