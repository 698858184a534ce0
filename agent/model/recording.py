"""Words for a recording: who, what was announced, how it ended.

These are msgspec structs because they travel: into the journal as notes, and from
there into the manifest. They hold personal data, so none of them prints it.
"""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Final

import msgspec

WITHHELD: Final = "withheld"
"Stands for a caller's number that the caller withheld."
UNDECIDED: Final = "undecided"
"Stands for a caller's number where nobody could tell caller and officer apart."

MAX_LEGS: Final = 16
"Of one recording: the speakers of a dealer board's turret are the most there are."
MAX_METADATA: Final = 1 << 20
"Octets of metadata kept with one segment: a document is at most as large, most 4 kB."
MAX_DOCUMENTS: Final = 500
"Of metadata, kept with one segment: one for each change of who is heard."
LEFT_OUT: Final = "left-out"
"Says of a document, or of what stands for one, that this and more was not kept."
METADATA_PART: Final = 40_000
"Octets in one note: in Base64 they fit a journal's."


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


class Channel(StrEnum):
    """On which side of the recording a leg is heard."""

    CUSTOMER = "customer"
    "Left."
    OFFICER = "officer"
    "Right."
    BOTH = "both"
    "Both sides: a mixed stream, or a party that nobody could place."

    @property
    def sides(self) -> tuple[int, ...]:
        """Which of an audio file's channels: 0 left, 1 right."""
        return _SIDES[self]


_SIDES: Final = {Channel.CUSTOMER: (0,), Channel.OFFICER: (1,), Channel.BOTH: (0, 1)}


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


class NoticeStatement(msgspec.Struct, frozen=True, kw_only=True):
    """Why a party that we did not hear it told counts as told of the recording."""

    basis: str
    "`statement` (of the configuration), `metadata` or `header` (of the client's)."
    given: bool
    detail: str
    "The statement as configured, or the name of the element or header."


class RecordedSession(msgspec.Struct, frozen=True, kw_only=True):
    """What a recording client told of the call that it sends us: RFC 7865."""

    source: str
    "The configured name of the recording client."
    session_ids: tuple[str, ...]
    "Of the communication sessions, as the client names them."
    group_id: str
    "Of their group, likewise; empty where there is none."
    basis: str
    "How officer and caller were told apart."
    mixed: bool
    "Whether several parties are heard on one stream."
    participants: tuple[Officer, ...]
    "All of them, as the client names them."
    tolerated: tuple[str, ...]
    "What was not as the standards demand it, a word each."
    notice: NoticeStatement

    def __repr__(self) -> str:
        return f"RecordedSession(source={self.source!r}, …)"


class SegmentBegin(
    msgspec.Struct, frozen=True, kw_only=True, tag="begin", omit_defaults=True
):
    """First note in a segment's journal: all that is known at the answer."""

    recording_id: str
    group: str
    segment: int
    direction: str
    caller: str
    "Number of the outside party in E.164, or as dialled; `withheld` or `undecided`."
    service: str
    "The called service number (inbound) or called number (outbound), or `undecided`."
    officers: tuple[Officer, ...]
    notices: tuple[NoticeEvidence, ...]
    started_at: int
    "Nanoseconds since the Unix epoch: the answer."
    started_monotonic_ns: int
    "The same moment on CLOCK_MONOTONIC: position 0 of the timeline."
    codecs: dict[str, dict[str, str]]
    "Leg index to payload type to encoding name."
    agent: str
    "Software name and version."
    host: str
    channels: tuple[Channel, ...] = (Channel.CUSTOMER, Channel.OFFICER)
    "By leg index, of the legs there are at the beginning."
    session: RecordedSession | None = None
    "Where a recording client sends us the call."

    def __repr__(self) -> str:
        return f"SegmentBegin(recording_id={self.recording_id!r}, …)"


class SegmentMark(msgspec.Struct, frozen=True, kw_only=True, tag="mark"):
    """Something that happened on the timeline: hold, pause, codec change."""

    at_monotonic_ns: int
    kind: str
    """`hold`, `resume` (from hold), `pause-begin`, `pause-end`, `gap-begin`, `gap-end`,
    `codecs`, `changed`, `stream` (a leg that joins now)."""
    leg: int | None = None
    "None: all of them."
    codecs: dict[str, dict[str, str]] | None = None
    "Of all legs, by their index; of a `stream`, of that leg alone."
    reason: str = ""
    by: str = ""
    "Who had it paused or resumed: a word of ours, never a name."
    channel: Channel | msgspec.UnsetType = msgspec.UNSET
    "Of a `stream`."


class SegmentMetadata(msgspec.Struct, frozen=True, kw_only=True, tag="metadata"):
    """One document of a recording client's metadata, or a part of one, as it came."""

    at_monotonic_ns: int
    part: int
    "From 0; a document that one note cannot hold stands in several, in order."
    parts: int
    xml: bytes
    flaws: tuple[str, ...] = ()
    "What is wrong with the document, a word each."

    def __repr__(self) -> str:
        return f"SegmentMetadata(part={self.part}, parts={self.parts}, …)"


def metadata_notes(
    xml: bytes, flaws: Sequence[str], at_ns: int
) -> Iterator[SegmentMetadata]:
    """The notes that hold one document of metadata."""
    parts = [
        xml[start : start + METADATA_PART]
        for start in range(0, max(len(xml), 1), METADATA_PART)
    ]
    for number, part in enumerate(parts):
        yield SegmentMetadata(
            at_monotonic_ns=at_ns,
            part=number,
            parts=len(parts),
            xml=part,
            flaws=tuple(flaws),
        )


class SegmentEnd(msgspec.Struct, frozen=True, kw_only=True, tag="end"):
    """Last note: how the segment ended."""

    ended_at: int
    "Nanoseconds since the Unix epoch."
    ended_monotonic_ns: int
    cause: str
    "One of agent.model.call.EndCause."
    outcome: str
    "`recorded` or `partial`."


Note = SegmentBegin | SegmentMark | SegmentMetadata | SegmentEnd
"Everything a journal may note beside packets; JSON with a `type` tag."
