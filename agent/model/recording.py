"""Words for a recording: who, what was announced, how it ended.

These are msgspec structs because they travel: into the journal as notes, and from
there into the manifest. They hold personal data, so none of them prints it.
"""

from enum import StrEnum
from typing import Final

import msgspec

WITHHELD: Final = "withheld"
"Stands for a caller's number that the caller withheld."


class RecordingFormat(StrEnum):
    """As what recordings are kept."""

    WIRE = "wire"
    "As it was on the wire where one law was: WAV; FLAC for everything else."
    FLAC = "flac"
    OPUS = "opus"
    "Smallest, and the only one that loses anything."


MIN_OPUS_BITRATE: Final = 6000
MAX_OPUS_BITRATE: Final = 256_000
"Bits a second of each channel that libsndfile takes."
OPUS_BITRATE: Final = 24_000
"Bits a second of each channel: what is said stays as clear as it was on the wire."


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """As what recordings are kept, and how well."""

    format: RecordingFormat = RecordingFormat.WIRE
    opus_bitrate: int = OPUS_BITRATE
    "Bits a second of each channel; it varies with what is heard."


class Verdict(StrEnum):
    """On the quality of a recording, or of one leg; formats.quality has the rules."""

    GOOD = "good"
    DEGRADED = "degraded"
    "Something is hard to understand, or missing."
    ONE_WAY = "one-way"
    "One of two legs was not to be heard. Of a recording only."
    SILENT = "silent"
    "Nothing was to be heard."


class RecordState(StrEnum):
    """What a party is told of its call's recording: RFC 7866 section 6.1.2."""

    ON = "on"
    OFF = "off"
    PAUSED = "paused"


class RecordingState(StrEnum):
    """A recording's life; each state is reached once, in this order."""

    OPEN = "open"
    CLOSED = "closed"
    SEALED = "sealed"
    STORED = "stored"
    PURGED = "purged"


class Officer(msgspec.Struct, frozen=True, kw_only=True, repr_omit_defaults=True):
    """An officer who took part in a segment."""

    number: str
    name: str

    def __repr__(self) -> str:
        return "Officer(…)"


class NoticeEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """Proof that one notice file was sent to the customer before recording."""

    sha256: str
    "Digest of the notice file as configured, lower-case hexadecimal."
    language: str
    "From the file's name: `fi.wav` is `fi`."
    duration_ms: int
    sent_ms: int
    packets: int
    started_at: int
    "Nanoseconds since the Unix epoch."
    ended_at: int


class SegmentBegin(msgspec.Struct, frozen=True, kw_only=True, tag="begin"):
    """First note in a segment's journal: all that is known at the answer."""

    recording_id: str
    group: str
    segment: int
    direction: str
    caller: str
    "Number of the outside party in E.164, or as dialled, or `withheld`."
    service: str
    "The called service number (inbound) or the called number (outbound)."
    officers: tuple[Officer, ...]
    notices: tuple[NoticeEvidence, ...]
    started_at: int
    "Nanoseconds since the Unix epoch: the answer."
    started_monotonic_ns: int
    "The same moment on CLOCK_MONOTONIC: position 0 of the timeline."
    codecs: dict[str, dict[str, str]]
    "Leg index (`0` customer, `1` officer) to payload type to encoding name."
    agent: str
    "Software name and version."
    host: str

    def __repr__(self) -> str:
        return f"SegmentBegin(recording_id={self.recording_id!r}, …)"


class SegmentMark(msgspec.Struct, frozen=True, kw_only=True, tag="mark"):
    """Something that happened on the timeline: hold, pause, codec change."""

    at_monotonic_ns: int
    kind: str
    """`hold`, `resume` (from hold), `pause-begin`, `pause-end`, `gap-begin`, `gap-end`,
    `codecs`, `changed`."""
    leg: int | None = None
    codecs: dict[str, dict[str, str]] | None = None
    reason: str = ""
    by: str = ""
    "Who had it paused or resumed: a word of ours, never a name."


class SegmentEnd(msgspec.Struct, frozen=True, kw_only=True, tag="end"):
    """Last note: how the segment ended."""

    ended_at: int
    "Nanoseconds since the Unix epoch."
    ended_monotonic_ns: int
    cause: str
    "One of agent.model.call.EndCause."
    outcome: str
    "`recorded` or `partial`."


Note = SegmentBegin | SegmentMark | SegmentEnd
"Everything a journal may note beside packets; JSON with a `type` tag."
