"""What a recording is: who, when, what was announced, what is missing.

Canonical JSON: keys sorted, no space, UTF-8. FORMAT.md, section 8. The fields are
an allow-list: no other personal data ever joins a recording.
"""

from typing import Final, TypedDict

import msgspec

from agent.common.errors import AgentError
from agent.common.moments import moment_of, time_text
from agent.formats.layout import HELSINKI
from agent.model.recording import (
    UNDECIDED,
    WITHHELD,
    NoticeEvidence,
    NoticeStatement,
    Officer,
)

VERSION: Final = 1
MAX_MANIFEST: Final = 1 << 22
"Bytes; four times what a manifest takes that lists as many gaps as one may."


class ManifestError(AgentError):
    """The bytes are not a manifest; the message repeats none of its values."""


class ManifestVersionError(ManifestError):
    """The manifest is of a version this software does not know."""

    hint = "Open it with a newer version of this software."


class Moment(TypedDict):
    """One moment twice, ISO 8601 with milliseconds."""

    utc: str
    helsinki: str


def moment(utc_ns: int) -> Moment:
    """A moment from nanoseconds since the Unix epoch."""
    local = moment_of(utc_ns).astimezone(HELSINKI)
    helsinki = local.isoformat(timespec="milliseconds")
    return {"utc": time_text(utc_ns), "helsinki": helsinki}


class ManifestOfficer(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """An officer who took part, and from when to when."""

    number: str
    name: str
    from_: Moment = msgspec.field(name="from")
    to: Moment

    def __repr__(self) -> str:
        return "ManifestOfficer(…)"


class AudioFacts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The audio file beside this manifest, before it was encrypted."""

    format: str
    "`wav-alaw`, `wav-ulaw`, `flac` or `ogg-opus`."
    codecs: tuple[str, ...]
    "Encoding names heard on the wire."
    sample_rate: int
    channels: int
    "2: the customer left, the officer right."
    duration_ms: int
    sha256: str
    "Of the whole plaintext file, lower-case hexadecimal."
    size: int
    "Bytes of the plaintext file."


class Gap(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A stretch of silence that the agent put where it had no audio.

    Or several that are near each other, where a leg has too many to list.
    """

    leg: int
    "Index into `legs`."
    start_ms: int
    "From the beginning of the audio."
    duration_ms: int
    silent_ms: int
    "Less than `duration_ms` if there is audio between several."
    count: int
    "How many they are."
    reason: str


class Pause(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A stretch that somebody had kept out of the recording."""

    start_ms: int
    "From the beginning of the audio."
    duration_ms: int
    by: str
    "Who asked for it: a word like `uid:0`, never a name."
    reason: str
    "Why, in one word; empty if that was not said."
    ended_by: str
    "Who had the recording go on; `agent` where it was by itself, empty at the end."
    ended_because: str
    "`command`, `limit`, or `segment-end`."


class LegFigures(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How well one side was received."""

    role: str
    "One of agent.model.recording.Channel."
    packets: int
    lost: int
    duplicates: int
    reordered: int
    jitter_ms: float
    ssrcs: int
    "RTP sources heard; more than one where a phone began anew."
    clock_restarts: int
    "How often a phone took up another RTP clock: what follows is placed by arrival."
    drift_ppm: float
    """By how much the phone's clock ran faster than the agent's, in parts per million;
    0 where that was not certain, or added up to less than 5 ms."""
    samples_inserted: int
    "Single samples, at the file's rate, that make up for a slow clock."
    samples_removed: int
    "And those left out because it was fast."
    loss_percent: float
    longest_gap_ms: int
    "The longest that was lost, or not listened to by the agent, at a stretch."
    listened_ms: int
    "In which audio was expected: what was held, or not listened to, is left out."
    silence: float
    "Share of that time in which nothing was to be heard."
    clipping: float
    "Share of the received samples that are at full scale."
    mos: float | None
    "By the E-model (ITU-T G.107), of what was received; None if that was nothing."
    verdict: str
    "`good`, `degraded` or `silent`."


class MetadataDocument(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """One document of a recording client's metadata (RFC 7865)."""

    at_ms: int
    "When it came, from the beginning of the audio; 0 if before."
    xml: bytes
    "As it came, in Base64."
    flaws: tuple[str, ...]
    "What is wrong with it, a word each; `left-out`: this and more was not kept."

    def __repr__(self) -> str:
        return f"MetadataDocument(at_ms={self.at_ms}, …)"


class ManifestSession(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """Who sent us the call, and what was told of it: agent.model.recording has more."""

    source: str
    session_ids: tuple[str, ...]
    group_id: str
    basis: str
    mixed: bool
    participants: tuple[Officer, ...]
    tolerated: tuple[str, ...]
    notice: NoticeStatement
    metadata: tuple[MetadataDocument, ...]

    def __repr__(self) -> str:
        return f"ManifestSession(source={self.source!r}, …)"


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that is kept about a segment beside its audio."""

    version: int = VERSION
    id: str
    group: str
    "Ties the segments of one call together."
    segment: int
    direction: str
    caller: str
    "The outside party's number, `withheld` or `undecided`."
    service: str
    "The called service number (inbound) or called number (outbound), or `undecided`."
    officers: tuple[ManifestOfficer, ...]
    started: Moment
    ended: Moment
    "`started`, and what has passed since on a clock that nobody sets."
    clock_stepped_ms: int | msgspec.UnsetType = msgspec.UNSET
    "By how much the host's clock was set meanwhile, forward if positive; unset if not."
    notices: tuple[NoticeEvidence, ...]
    audio: AudioFacts
    gaps: tuple[Gap, ...]
    pauses: tuple[Pause, ...] = ()
    "Those that somebody asked for; in `gaps` their silence has the reason `pause`."
    legs: tuple[LegFigures, ...]
    "By their index: the customer's, then the officer's, where there are these two."
    verdict: str
    "`good`, `degraded`, `one-way` or `silent`: on what was received."
    end_cause: str
    "One of agent.model.call.EndCause."
    outcome: str
    "`recorded` or `partial`."
    agent: str
    "Software name and version."
    host: str
    session: ManifestSession | msgspec.UnsetType = msgspec.UNSET
    "Where a recording client sent us the call; unset where we stood in it."

    def __repr__(self) -> str:
        return f"Manifest(id={self.id!r}, …)"

    @property
    def callers(self) -> tuple[str, ...]:
        """The numbers under which it is found as a caller's.

        Where nobody could tell who the caller was, those of all participants.
        """
        if self.caller == WITHHELD:
            return ()
        if self.caller == UNDECIDED and self.session:
            return tuple(one.number for one in self.session.participants)
        return (self.caller,)

    def to_bytes(self) -> bytes:
        """Canonical JSON: equal manifests are equal bytes."""
        return _ENCODER.encode(self)


class _Versioned(msgspec.Struct):
    version: int


_ENCODER: Final = msgspec.json.Encoder(order="sorted")
_DECODER: Final = msgspec.json.Decoder(Manifest)
_VERSION_DECODER: Final = msgspec.json.Decoder(_Versioned)


def parse_manifest(data: bytes) -> Manifest:
    """Parse canonical JSON, and nothing but canonical JSON.

    Raises:
        ManifestVersionError: it is of another version.
        ManifestError: it is malformed, not canonical, or says more than it may.
    """
    if len(data) > MAX_MANIFEST:
        raise ManifestError("This manifest is longer than any that is believed.")
    try:
        version = _VERSION_DECODER.decode(data).version
        if version != VERSION:
            raise ManifestVersionError(f"This manifest is of version {version}.")
        manifest = _DECODER.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        # The cause names unknown keys, and a key may be anyone's name.
        raise ManifestError("This is not a manifest.") from None
    if manifest.to_bytes() != data:
        raise ManifestError("This manifest is not in its canonical form.")
    return manifest
