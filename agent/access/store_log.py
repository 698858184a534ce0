"""The object store's own access log, held against the gate's log: who read around it.

Files of the store's log are read as they are, line by line, and twice: first for the
time that they are of, so that no more rows are read than that.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Final

from agent.access.desk import Desk, DeskError
from agent.archive.access_log import (
    MAX_LINE,
    Access,
    AccessLogError,
    parse_aws_line,
    parse_rgw_line,
)
from agent.archive.audit_verification import read_rows, writers
from agent.archive.reconciling import Reconciled, Rows, reconcile
from agent.formats.audit import Row, host_of

A_DAY: Final = timedelta(days=1)


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


@dataclass(frozen=True, slots=True)
class Place:
    """What the store calls the storage's `url`, and the gate."""

    bucket: str
    prefix: str = ""
    gate: Collection[str] = ()
    "Names of users that the gate's credentials belong to."


@dataclass(slots=True)
class Checked:
    """What was found in files of the store's log."""

    result: Reconciled = field(default_factory=Reconciled)
    unreadable: int = 0
    "Lines that are none of such a log: what they were is not known."

    @property
    def alarm(self) -> bool:
        """Whether somebody has to look into it."""
        return self.result.alarm or bool(self.unreadable)


async def check_store_log(
    desk: Desk, files: Sequence[Path], form: Form, place: Place
) -> Checked:
    """Whether a row of the gate's stands behind every read of an envelope.

    Raises DeskError, AuditBrokenError, StorageError, OSError.
    """
    checked = Checked()
    days = {access.at.date() for access in _accesses(files, form, checked)}
    if not days:
        return checked
    rows = await _rows(desk, min(days) - A_DAY, max(days) + A_DAY)
    checked.result = reconcile(
        _accesses(files, form, Checked()),
        Rows(rows),
        bucket=place.bucket,
        prefix=place.prefix,
        gate=place.gate,
    )
    return checked


def _accesses(files: Sequence[Path], form: Form, checked: Checked) -> Iterator[Access]:
    parse = _PARSERS[form]
    for path in files:
        with path.open("rb") as file:
            while line := file.readline(MAX_LINE + 1):
                try:
                    yield from parse(line)
                except AccessLogError:
                    # One that cannot be read must not hide those after it.
                    checked.unreadable += 1


async def _rows(desk: Desk, first: date, last: date) -> list[Row]:
    """The gate's rows alone: a host's would explain what that host has stolen."""
    if desk.roster is None:
        raise DeskError(
            "without a roster nobody says whose signatures the logs need.",
            hint="Give [roster] in the configuration.",
        )
    log, trusted = desk.targets[0].locked, desk.roster.gate_keys()
    return [
        row
        for writer in await writers(log)
        if not host_of(writer)
        async for row in read_rows(log, writer, trusted, first, last)
    ]
