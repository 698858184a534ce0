"""The fields of log lines: what each is, and in what.

In the journal they have the same names in capitals, beside MESSAGE, MESSAGE_ID,
PRIORITY and SYSLOG_IDENTIFIER. Who writes another one into a line adds it here;
`log_field_table` is the README's.
"""

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["text", "number", "truth", "list"]


@dataclass(frozen=True, slots=True)
class Field:
    """One field."""

    name: str
    kind: Kind
    meaning: str
    unit: str = ""
    tells_apart: bool = False
    "Whether lines of one event that differ in it are about different things."


def _id(name: str, meaning: str) -> Field:
    return Field(name, "text", meaning, tells_apart=True)


FIELDS: Final = (
    # -- of every line
    Field("event", "text", "what has happened; the catalogue explains what is grave"),
    Field("level", "text", "`debug`, `info`, `warning`, `error`, `critical`"),
    Field("time", "text", "when it was logged", "RFC 3339, UTC"),
    # -- which
    _id("call_id", "the call"),
    _id("recording_id", "the recording: one segment of a call"),
    _id("group", "what the segments of one call have in common"),
    _id("leg", "the party of a call: `a` rang, `b1` and on were called"),
    _id("route", "the route of the configuration"),
    _id("peer", "the peer of the configuration"),
    _id("storage", "the storage, by its name or where it is"),
    _id("place", "the storage of which something is left to erase"),
    _id("host", "this host, by its name in the configuration"),
    _id("socket", "the socket of a media worker's unit"),
    Field("worker", "number", "the media worker", tells_apart=True),
    _id("part", "the part of the service"),
    _id("task", "what was done in the background"),
    _id("logger", "the library's logger"),
    _id("request", "the request to the gate"),
    _id("chain", "the chain of seals"),
    _id("day", "the day, of the recordings or of the key"),
    _id("month", "the month of the index"),
    _id("file", "the file, by its name"),
    _id("object", "the object in storage"),
    _id("folder", "the folder in storage"),
    _id("path", "the file, or the route of a request without what is personal in it"),
    _id("who", "the person, by their id in the roster"),
    _id("what", "what was counted, or what was found"),
    _id("fault", "what is wrong with the index"),
    _id("kind", "the kind of an event for the broker, or of a command"),
    _id("command", "the command, by its id"),
    _id("alarm", "the event whose alarm it is"),
    _id("act", "the act that the audit log was to have"),
    # -- how and why
    Field("reason", "text", "why, as a sentence or a word"),
    Field("flaws", "list", "what is wrong with a client's metadata, in a word each"),
    Field("tolerated", "list", "what of a client is not as RFC 7866 says"),
    Field("basis", "text", "what told officer and caller apart beside a call"),
    Field("error", "text", "the kind of a mistake in the program"),
    Field("where", "text", "files and lines that lead to it"),
    Field("said", "text", "what a library says, without its values"),
    Field("outcome", "text", "what became of a call"),
    Field("cause", "text", "who or what ended it"),
    Field("result", "text", "`ok` or `refused`: what a command came to"),
    Field("verdict", "text", "how good a recording is"),
    Field("action", "text", "what was done with what an earlier run left"),
    Field("sip_status", "number", "the SIP response", "RFC 3261 status"),
    Field("status", "number", "the HTTP response", "RFC 9110 status"),
    Field("direction", "text", "`inbound`, `outbound` or `undecided`"),
    Field("recorded", "truth", "whether the call is recorded all the same"),
    Field("exempt", "truth", "whether the call is not to be recorded"),
    Field("media", "text", "`direct`: from phone to phone, past us"),
    Field("attended", "truth", "whether the officer spoke to the new one first"),
    Field("ringing", "truth", "whether the call that is taken over still rang"),
    Field("notice", "text", "the language of the notice"),
    Field("codec", "text", "the codec, by its name in SDP"),
    Field("changed", "text", "`codec` or `source` of a leg's media"),
    Field("preference", "text", "what a party says of being recorded (RFC 7866)"),
    Field(
        "by",
        "text",
        "who asked: a user of this host, a person by id, or the officer's phone",
    ),
    Field("officer", "truth", "whether who is there now is an officer"),
    Field("towards", "text", "the leg to which it went"),
    Field("type", "text", "the type of a DNS record"),
    Field("method", "text", "the method of a SIP or HTTP request"),
    Field("outgoing", "truth", "whether we opened the connection"),
    Field("version", "text", "the agent's version"),
    # -- who is at the other end; numbers as `log.numbers` allows
    Field("caller", "text", "the caller's number, masked"),
    Field("called", "text", "the called number, masked"),
    Field("number", "text", "an officer's number, masked"),
    Field(
        "source",
        "text",
        "whose packet it was, or whose connection",
        "address:port, or digest of a key",
    ),
    Field("remote", "text", "the other end of a connection", "address:port"),
    Field("address", "text", "where it is served"),
    Field("port", "number", "where it is served"),
    Field("uid", "number", "the user of this host who asked"),
    # -- how much
    Field("duration_ms", "number", "length of the recording", "ms"),
    Field("missing_ms", "number", "what of it is missing", "ms"),
    Field("sent_ms", "number", "how much of the notice was sent", "ms"),
    Field("ms", "number", "how long the answer took", "ms"),
    Field("seconds", "number", "for how long", "s"),
    Field("retry_in", "number", "when it is tried again", "s"),
    Field("days", "number", "how many days", "d"),
    Field("size", "number", "size of the sealed recording", "bytes"),
    Field("octets", "number", "size of what is spoken of", "bytes"),
    Field("free_mb", "number", "what is free on the spool's disk", "MiB"),
    Field("used_percent", "number", "how full the spool's disk is", "%"),
    Field("high_water_percent", "number", "how full it may be", "%"),
    Field("lost", "number", "RTP packets lost"),
    Field("packets", "number", "RTP packets"),
    Field("count", "number", "how many, or how often"),
    Field("limit", "number", "how many are too many"),
    Field("calls", "number", "calls that go on, or are up"),
    Field("kept", "number", "calls that were to go on"),
    Field("legs", "number", "legs that the worker had"),
    Field("recordings", "number", "recordings that the worker wrote"),
    Field("workers", "number", "media workers"),
    Field(
        "waiting",
        "number",
        "recordings that wait to be finished, or events for the broker",
    ),
    Field("pending", "number", "recordings that wait for that storage"),
    Field("asked", "number", "targets that a redirection names"),
    Field("followed", "number", "those of them that are called"),
    Field("people", "number", "people on the roster"),
    Field("serial", "number", "number of the roster or the list of day keys"),
    Field("last", "number", "number of the last row of the audit log"),
    Field("keys", "list", "names of day keys, or keys of the configuration"),
    # -- of a whole day
    Field("begun", "number", "calls that began on the day"),
    Field("outcomes", "list", "how many came to which outcome"),
    Field("answered", "number", "calls that an officer answered"),
    Field("capture_rate", "number", "what of those is recorded as a whole", "0 to 1"),
    Field("without_outcome", "number", "calls that have no outcome yet"),
    Field("stored", "number", "recordings that storage has"),
    Field("to_store", "number", "recordings that it has not yet"),
    Field("findings", "list", "what is stuck"),
    Field("mistakes", "list", "what is wrong in the configuration, and where"),
    # -- of lines about lines
    _id("repeats", "the event that was held back because it said the same again"),
)
BY_NAME: Final = {field.name: field for field in FIELDS}
TELL_APART: Final = frozenset(field.name for field in FIELDS if field.tells_apart)


def log_field_table() -> str:
    """All of them as a Markdown table."""
    lines = ["| field | type | unit | meaning |", "|---|---|---|---|"]
    lines += [
        f"| `{field.name}` | {field.kind} | {field.unit} | {field.meaning} |"
        for field in FIELDS
    ]
    return "\n".join(lines) + "\n"
