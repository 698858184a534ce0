"""The object store's own access log, held against the gate's: who read around it.

Files of the store's log are read as they are, line by line, in a thread. What concerns
key envelopes is kept, and needs a row of the gate's.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Final

from agent.archive.access_log import (
    MAX_LINE,
    Access,
    AccessLogError,
    parse_aws_line,
    parse_rgw_line,
)
from agent.archive.audit_verification import read_rows, writers
from agent.archive.reconciling import Place, Reconciled, Rows, reconcile
from agent.common.errors import AgentError
from agent.formats.audit import Row, host_of
from agent.formats.sshsig import PublicKey
from agent.upload.backend import StorageBackend

MAX_CONCERNED: Final = 50_000
"Accesses to envelopes in one check: far more than a month of releases has."
A_DAY: Final = timedelta(days=1)


class StoreLogError(AgentError):
    """The store's log cannot be checked."""

    hint = "Have the store's log written anew each day, and the last days checked."


class Form(StrEnum):
    """Whose log it is."""

    RGW = "rgw"
    "The operations log of Ceph's RADOS gateway."
    AWS = "aws"
    "The server access log of Amazon S3."


_PARSERS: Final[dict[Form, Callable[[bytes], list[Access]]]] = {
    Form.RGW: parse_rgw_line,
    Form.AWS: parse_aws_line,
}


@dataclass(slots=True)
class Checked:
    """What was found in files of the store's log."""

    requests: int = 0
    unreadable: int = 0
    "Lines that are none of such a log: what they were is not known."
    result: Reconciled = field(default_factory=Reconciled)

    @property
    def alarm(self) -> bool:
        """Whether somebody has to look into it."""
        return self.result.alarm or bool(self.unreadable)


@dataclass(frozen=True, slots=True)
class StoreLog:
    """Where a store's log is, and what is to be looked for in it."""

    files: tuple[Path, ...]
    form: Form
    place: Place

    async def check(self, log: StorageBackend, trusted: Iterable[PublicKey]) -> Checked:
        """Whether a row of the gate's stands behind every read of an envelope.

        `log` holds the audit logs; `trusted` are the gate's keys. Raises StoreLogError,
        AuditBrokenError, StorageError, OSError.
        """
        checked = Checked()
        concerned = await asyncio.to_thread(self._concerned, checked)
        days = {access.at.date() for access in concerned}
        if days:
            first, last = min(days) - A_DAY, max(days) + A_DAY
            rows = await _rows(log, tuple(trusted), first, last)
            checked.result = reconcile(concerned, Rows(rows), self.place)
        return checked

    def _concerned(self, checked: Checked) -> list[Access]:
        concerned = []
        for access in self._accesses(checked):
            checked.requests += 1
            if self.place.is_concerned(access):
                concerned.append(access)
            if len(concerned) > MAX_CONCERNED:
                raise StoreLogError(
                    f"the store's log has more than {MAX_CONCERNED} reads of envelopes."
                )
        return concerned

    def _accesses(self, checked: Checked) -> Iterator[Access]:
        parse = _PARSERS[self.form]
        for path in self.files:
            with path.open("rb") as file:
                while line := file.readline(MAX_LINE + 1):
                    try:
                        yield from parse(line)
                    except AccessLogError:
                        # One that cannot be read must not hide those after it.
                        checked.unreadable += 1


async def _rows(
    log: StorageBackend, trusted: tuple[PublicKey, ...], first: date, last: date
) -> list[Row]:
    """The gate's rows alone: a host's would explain what that host has stolen."""
    return [
        row
        for writer in await writers(log)
        if not host_of(writer)
        async for row in read_rows(log, writer, trusted, first, last)
    ]
