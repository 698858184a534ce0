"""How one line of the log looks: as JSON, as fields of the journal, as a sentence."""

import functools
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Final

import msgspec

from agent.common.catalogue import CATALOGUE

MAX_VALUE: Final = 8192
"Characters of one value: what is longer is somebody else's text."
MAX_LINE: Final = 64 * 1024
"Bytes; only then are values looked at one by one."
PRIORITIES: Final = {"critical": 2, "error": 3, "warning": 4, "info": 6, "debug": 7}
"Of syslog(3)."
_ENCODER: Final = msgspec.json.Encoder(enc_hook=repr)
"A value it does not know is shown as programmers see it; no line is lost to it."


class Told(msgspec.Struct, frozen=True):
    """One line of the log."""

    event: str
    level: str
    fields: Mapping[str, object]
    "What else it says; never a whole number, a name or a key."
    utc_ns: int


def json_line(told: Told) -> bytes:
    """The line as a JSON object, and its end."""
    line = {"event": told.event, **told.fields}
    line["level"] = told.level
    line["time"] = _time(told.utc_ns)
    try:
        data = _ENCODER.encode(line)
    except UnicodeEncodeError:
        data = b""
    if not data or len(data) > MAX_LINE:
        data = _ENCODER.encode({name: _text(value) for name, value in line.items()})
    return data + b"\n"


def journal_fields(told: Told, identifier: str) -> Iterator[tuple[str, str]]:
    """The line's fields, as systemd.journal-fields(7) names them."""
    yield "MESSAGE", sentence(told)
    yield "PRIORITY", str(PRIORITIES[told.level])
    yield "SYSLOG_IDENTIFIER", identifier
    entry = CATALOGUE.get(told.event)
    if entry is not None:
        yield "MESSAGE_ID", entry.message_id
    yield "EVENT", told.event
    yield "LEVEL", told.level
    yield "TIME", _time(told.utc_ns)
    for name, value in told.fields.items():
        if value is not None:
            yield name.upper(), _text(value)


def sentence(told: Told) -> str:
    """What has happened, for people: the catalogue's sentence or the event's words."""
    entry = CATALOGUE.get(told.event)
    if entry is not None:
        said = entry.summary
    else:
        said = f"{told.event.replace('_', ' ').capitalize()}."
    details = ", ".join(
        f"{name}={_text(value)}"
        for name, value in told.fields.items()
        if value is not None and value != ""
    )
    return f"{said} ({details})" if details else said


def _text(value: object) -> str:
    """A value as text: what is no string as in JSON, or as programmers see it."""
    if isinstance(value, str):
        text = value
    elif isinstance(value, int | float | list | tuple | dict):
        text = _ENCODER.encode(value).decode()
    else:
        text = repr(value)
    if len(text) > MAX_VALUE:
        text = text[:MAX_VALUE] + "…"
    if text.isascii():
        return text  # most are, and it is asked of every one
    return text.encode("utf-8", "replace").decode()


def _time(utc_ns: int) -> str:
    seconds, rest = divmod(utc_ns, 1_000_000_000)
    return f"{_to_the_second(seconds)}.{rest // 1000:06}Z"


@functools.lru_cache(maxsize=4)
def _to_the_second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%dT%H:%M:%S")
