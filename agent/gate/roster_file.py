"""The signed roster as the gate has it: read at start, on SIGHUP, and every day.

One that cannot be believed changes nothing, and is alarmed: whoever is taken out of the
roster is out only by a roster that its root has signed.
"""

from pathlib import Path
from typing import Final

import structlog

from agent.common.errors import AgentError
from agent.formats.roster import Roster
from agent.identity.roster import load_roster, remember_roster, seen_document

SERIAL: Final = "roster-serial"
"In the gate's state: of the newest that was believed."


class RosterFile:
    """Call it for the newest roster that was believed."""

    def __init__(self, path: Path, root: str, state: Path) -> None:
        """`root` is the pinned key. Raises RosterError, SerialError."""
        self._path = path
        self._root = root
        self._seen = state / SERIAL
        self._roster = self._read()

    def __call__(self) -> Roster:
        """The newest that was believed."""
        return self._roster

    def reload(self) -> None:
        """Read it again; one that is wrong is alarmed, and the old one counts."""
        log = structlog.get_logger()
        try:
            new = self._read()
        except AgentError as error:
            log.error("roster_refused", reason=str(error))
            return
        if new.serial != self._roster.serial:
            log.info("roster_read", serial=new.serial, people=len(new.people))
        self._roster = new

    def _read(self) -> Roster:
        seen = seen_document(self._seen)
        found = load_roster(self._path, self._root, seen=seen)
        remember_roster(self._seen, found)
        return found
