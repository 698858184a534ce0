"""The ledger's file, read beside a running daemon or without one."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from agent.recording.database import LedgerError
from agent.recording.ledger_schema import VERSION


@contextlib.contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """The file, to be read only; what is asked of it is of one moment after a BEGIN.

    Raises LedgerError: there is none, it is of another version, or what is asked of it
    meanwhile fails.
    """
    try:
        with contextlib.closing(
            sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)
        ) as db:
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version != VERSION:
                raise LedgerError(
                    f"the ledger {path} is of version {version}, not {VERSION}.",
                    hint="Read it with the version of this software that wrote it;"
                    " a daemon of this version brings an older one up to date.",
                )
            yield db
    except sqlite3.Error as error:
        raise LedgerError(
            f"the ledger {path} cannot be read: {error}.",
            hint="Check agent.spool, and that you may read it.",
        ) from error
