"""Reading the signed roster from disk, and remembering the newest that was seen.

Of the newest its content is remembered too: a root that signs two rosters of one serial
has two truths, and whoever chose between them could choose who may do what.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.common.errors import AgentError
from agent.common.files import write_durably
from agent.formats.roster import Roster, RosterError
from agent.formats.roster_reading import MAX_ROSTER, verify_roster
from agent.formats.sshsig import PublicKey, SshKeyError

MAX_FILE: Final = MAX_ROSTER + (1 << 16)
"Bytes, with its signatures."
MAX_SERIAL_FILE: Final = 128
_SEEN: Final = re.compile(r"(\d{1,20})(?: ([0-9a-f]{64}))?\s*", re.ASCII)


class SerialError(AgentError):
    """It cannot be told which document is the newest that was seen."""

    hint = (
        "Find out who changed that file; if nobody did, write the newest document's"
        " serial into it."
    )


@dataclass(frozen=True, slots=True)
class Seen:
    """The newest document that was believed."""

    serial: int = 0
    digest: str = ""
    "SHA-256 of what was signed, in hexadecimal; empty: only the serial is known."


NOTHING_SEEN: Final = Seen()


def load_roster(path: Path, root: str, *, seen: Seen = NOTHING_SEEN) -> Roster:
    """Read a signed roster; `root` is the pinned key, `ssh-ed25519 AAAA…`.

    Raises RosterError, naming what is wrong: one that is older than `seen` is refused,
    and so is another of the same serial.
    """
    try:
        trusted = PublicKey.parse(root)
    except SshKeyError as error:
        raise RosterError([f"the root's key: {error}"]) from None
    roster = verify_roster(_read(path), trusted, floor=seen.serial)
    if roster.serial == seen.serial and seen.digest not in {"", _digest(roster)}:
        raise RosterError(
            [
                f"its serial {roster.serial} is that of another roster, which has been"
                " seen already and says something else"
            ]
        )
    return roster


def seen_document(path: Path) -> Seen:
    """The newest that was noted there; of serial 0 if none was. Raises SerialError."""
    try:
        with path.open("rb") as file:
            text = file.read(MAX_SERIAL_FILE + 1)
    except FileNotFoundError:
        return NOTHING_SEEN
    except OSError as error:
        raise SerialError(f"{path} cannot be read: {error.strerror}.") from error
    found = _SEEN.fullmatch(text.decode("ascii", "replace"))
    if found is None:
        raise SerialError(f"{path} does not hold a serial.")
    return Seen(int(found[1]), found[2] or "")


def remember_roster(path: Path, roster: Roster) -> None:
    """Note durably that a roster has been believed: all but it and newer are over.

    Raises SerialError.
    """
    _remember(path, Seen(roster.serial, _digest(roster)))


def remember_serial(path: Path, serial: int) -> None:
    """As `remember_roster`, of a document of which nothing but its serial counts."""
    _remember(path, Seen(serial))


def _remember(path: Path, now: Seen) -> None:
    before = seen_document(path)
    if (now.serial, bool(now.digest)) <= (before.serial, bool(before.digest)):
        return
    text = f"{now.serial} {now.digest}".rstrip()
    try:
        write_durably(path, f"{text}\n".encode())
    except OSError as error:
        raise SerialError(f"{path} cannot be written: {error.strerror}.") from error


def _digest(roster: Roster) -> str:
    return hashlib.sha256(roster.to_bytes()).hexdigest()


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE + 1)
    except OSError as error:
        raise RosterError([f"{path} cannot be read: {error.strerror}"]) from None
    if len(data) > MAX_FILE:
        raise RosterError([f"{path} is too large"])
    return data
