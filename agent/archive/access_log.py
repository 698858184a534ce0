"""Lines of an object store's own access log: who read which object, and when.

Two forms are read: the operations log of Ceph's RADOS gateway (JSON, a line each), and
the server access log of Amazon S3. A line is anybody's bytes: keys and user agents in
it are what somebody sent.
"""

import itertools
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from typing import Annotated, Final
from urllib.parse import unquote

import msgspec

from agent.common.errors import AgentError

MAX_LINE: Final = 1 << 16
"Bytes: a key of 1 kB, three times quoted, and a user agent of 8 kB."

_MONTH_NAMES: Final = "JanFebMarAprMayJunJulAugSepOctNovDec"
_MONTHS: Final = {_MONTH_NAMES[3 * n : 3 * n + 3]: n + 1 for n in range(12)}
"Not by strptime, which reads them in the language of the machine."
_AWS_TIME: Final = re.compile(
    r"(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)", re.ASCII
)
_AWS_FIELD: Final = re.compile(r'\[([^\]]{0,40})\]|"((?:[^"\\]|\\.)*)"|(\S+)', re.ASCII)
_RGW_TIME: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z?", re.ASCII
)


class AccessLogError(AgentError):
    """The line is none of an access log; nothing of it is repeated."""

    hint = "Check that the file is the store's access log, whole, and of the form said."


class Kind(StrEnum):
    """What an operation can give away."""

    READ = "read"
    "Bytes of the object, to who asked."
    COPY = "copy"
    "Bytes of some object, to another name: the log does not always say which."
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Access:
    """One request that the store answered."""

    at: datetime
    "UTC."
    user: str
    "As the store knows who asked; empty: nobody said."
    bucket: str
    key: str
    kind: Kind
    status: int

    @property
    def succeeded(self) -> bool:
        """Whether the store did what was asked."""
        return 200 <= self.status < 300


class _RgwLine(msgspec.Struct):
    time: str
    operation: str
    http_status: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{3}\Z")]
    bucket: str = ""
    object: str = ""
    user: str = ""
    uri: str = ""
    "The request's first line."


_JSON: Final = json.JSONDecoder()
_RGW_KINDS: Final = {
    "get_obj": Kind.READ,
    "get_obj_torrent": Kind.READ,
    "select_obj": Kind.READ,
    "copy_obj": Kind.COPY,
    "copy_part": Kind.COPY,
}
_AWS_KINDS: Final = {
    "REST.GET.OBJECT": Kind.READ,
    "REST.GET.OBJECT_TORRENT": Kind.READ,
    "REST.SELECT.OBJECT": Kind.READ,
    "REST.POST.SELECT": Kind.READ,
    "WEBSITE.GET.OBJECT": Kind.READ,
    "SOAP.GET.OBJECT": Kind.READ,
    "REST.COPY.OBJECT_GET": Kind.READ,
    "REST.COPY.PART_GET": Kind.READ,
    "REST.COPY.OBJECT": Kind.COPY,
    "REST.COPY.PART": Kind.COPY,
    "BATCH.COPY.OBJECT": Kind.COPY,
}


def parse_rgw_line(line: bytes) -> list[Access]:
    """Read one line of a RADOS gateway's operations log. Raises AccessLogError.

    It may hold several entries, or none: the gateway's threads write at the same time,
    and each its line feed after its entry.
    """
    _check_length(line)
    accesses = []
    try:
        text, place = line.strip().decode(), 0
        while place < len(text):
            entry, place = _JSON.raw_decode(text, place)
            place = _after_separators(text, place)
            accesses.append(_rgw_access(msgspec.convert(entry, _RgwLine)))
    except (ValueError, RecursionError):
        raise AccessLogError("A line is none of a gateway's operations log.") from None
    return accesses


def _after_separators(text: str, place: int) -> int:
    while place < len(text) and text[place] in ", \t\r\n":
        place += 1
    return place


def _rgw_access(entry: _RgwLine) -> Access:
    found = _RGW_TIME.fullmatch(entry.time)
    if found is None:
        raise AccessLogError("A line has a time that is none.")
    # Nanoseconds, where a build writes them, are cut to what a datetime holds.
    text = f"{found[1]}T{found[2]}.{(found[3] or '0')[:6].ljust(6, '0')}+00:00"
    kind = _RGW_KINDS.get(entry.operation, Kind.OTHER)
    if entry.uri.startswith("HEAD "):
        kind = Kind.OTHER  # the gateway calls it a get, too
    return Access(
        at=_moment(lambda: datetime.fromisoformat(text)),
        user=entry.user,
        bucket=entry.bucket,
        key=entry.object,
        kind=kind,
        status=int(entry.http_status),
    )


def parse_aws_line(line: bytes) -> list[Access]:
    """Read one line of Amazon S3's server access log: one entry, or an empty line.

    Raises AccessLogError.
    """
    _check_length(line)
    try:
        text = line.decode()
    except UnicodeDecodeError:
        raise AccessLogError("A line of the access log is not UTF-8.") from None
    if not line.strip():
        return []
    fields = [
        next((part for part in found.groups() if part is not None), "")
        for found in itertools.islice(_AWS_FIELD.finditer(text), 10)
    ]
    # Owner, bucket, time, address, requester, request, operation, key, URI, status.
    if len(fields) < 10 or not re.fullmatch(r"[0-9]{3}|-", fields[9]):
        raise AccessLogError("A line is none of a server access log.")
    access = Access(
        at=_aws_moment(fields[2]),
        user=_said(fields[4]),
        bucket=_said(fields[1]),
        key=unquote(unquote(_said(fields[7]))),  # the log quotes what came quoted
        kind=_AWS_KINDS.get(fields[6], Kind.OTHER),
        status=0 if fields[9] == "-" else int(fields[9]),
    )
    return [access]


def _aws_moment(text: str) -> datetime:
    found = _AWS_TIME.fullmatch(text)
    if found is None or found[2] not in _MONTHS:
        raise AccessLogError("A line has a time that is none.")
    day, year, hour, minute, second = (int(found[n]) for n in (1, 3, 4, 5, 6))
    ahead = timedelta(hours=int(found[8]), minutes=int(found[9]))
    zone = ahead if found[7] == "+" else -ahead
    return _moment(
        lambda: datetime(
            year, _MONTHS[found[2]], day, hour, minute, second, tzinfo=timezone(zone)
        ).astimezone(UTC)
    )


def _moment(make: Callable[[], datetime]) -> datetime:
    try:
        return make()
    except (ValueError, OverflowError):
        raise AccessLogError("A line has a time that no calendar has.") from None


def _said(field: str) -> str:
    return "" if field == "-" else field


def _check_length(line: bytes) -> None:
    if len(line) > MAX_LINE:
        raise AccessLogError("A line is longer than any of an access log.")
