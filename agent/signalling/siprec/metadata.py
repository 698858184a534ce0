"""Who is heard in a recording session: the model of RFC 7865 section 6.

A communication session (CS) is a call beside which we record; a recording session may
carry several, one after the other or at once, and a group ties together those that
belong to one conversation. Participants take part in sessions, and send into and
receive streams; a stream is known in SDP by its label. Associations begin and end.

Values are as the document has them, freed of white space at their ends; the raw
document is evidence, this is a reading of it. Times are nanoseconds of UTC since 1970.
Where a text was not given it is empty. Of participants nothing shows in a `repr`.
"""

from collections.abc import Iterable, Iterator
from enum import StrEnum

import msgspec

from agent.common.errors import AgentError


class MetadataError(AgentError):
    """What came as metadata is no XML, or more of it than we take.

    The text never quotes the document: it holds numbers and names.
    """

    hint = "The call is recorded without what its metadata said."


class Flaw(StrEnum):
    """What is wrong with metadata; none of it costs more than the part it is in."""

    NOT_METADATA = "not-metadata"
    "The outermost element is another one."
    NAMESPACE = "namespace"
    "Neither that of RFC 7865 nor one of its drafts."
    EMPTY = "empty"
    "Nobody, no session and no stream in a complete document: nothing goes on."
    NOT_UNDERSTOOD = "not-understood"
    "The same, but with something else in it: what goes on, it does not tell us."
    ENCODING = "encoding"
    "Octets that are not of the encoding declared, or one that we do not know."
    AMPERSAND = "ampersand"
    "A bare `&`, which XML does not allow."
    DATA_MODE = "data-mode"
    "Neither complete nor partial; taken as complete."
    NO_ID = "no-id"
    "An element without the id that names it; passed over."
    ID_FORM = "id-form"
    "An id that is no UUID (RFC 7865 section 6.10)."
    DUPLICATE_ID = "duplicate-id"
    "One id on two elements (RFC 7865 section 6.10)."
    NO_LABEL = "no-label"
    "A stream that no m-line can be found by."
    DUPLICATE_LABEL = "duplicate-label"
    "Two streams of one document with one label."
    NO_AOR = "no-aor"
    "A participant without an address."
    AOR_WITHOUT_SCHEME = "aor-without-scheme"
    TIME = "time"
    "A time that could not be read; taken as not given."
    TIME_WITHOUT_ZONE = "time-without-zone"
    "Taken as UTC."
    TIME_IMPLAUSIBLE = "time-implausible"
    "Before SIPREC was: a clock that nobody set. Kept as it is."
    UNKNOWN_GROUP = "unknown-group"
    UNKNOWN_SESSION = "unknown-session"
    UNKNOWN_PARTICIPANT = "unknown-participant"
    UNKNOWN_STREAM = "unknown-stream"
    "These four: an id refers to what no document named."
    NOT_ASSOCIATED = "not-associated"
    "A participant of no session; taken to be in the one of their streams, or the only."
    PARTIAL_FIRST = "partial-first"
    "A partial document before any complete one."
    TOO_MANY = "too-many"
    "More is known than we keep; the rest is passed over."


class _Personal(msgspec.Struct, frozen=True, array_like=True):
    """What shows nothing of its values."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"


class NameId(_Personal, frozen=True):
    """What a participant is known by; RFC 7865 section 6.5.1."""

    aor: str
    "A sip, sips or tel URI; in the field also a bare number or user@host."
    name: str = ""


class Extension(_Personal, frozen=True):
    """An element that the model has no place for, with all that is in it."""

    namespace: str
    name: str
    "Without prefix."
    attributes: dict[str, str] = {}
    "By name without prefix; without declarations of namespaces."
    text: str = ""
    "Its own, freed of white space at both ends."
    children: tuple["Extension", ...] = ()


class Group(_Personal, frozen=True):
    """Sessions that belong together, as those of a call and its transfer; 6.2."""

    id: str
    associated: int | None = None
    disassociated: int | None = None
    extensions: tuple[Extension, ...] = ()


class CommunicationSession(_Personal, frozen=True):
    """A call beside which is recorded; RFC 7865 section 6.3."""

    id: str
    group: str = ""
    sip_session_ids: tuple[str, ...] = ()
    "RFC 7989, without white space: `uuid;remote=uuid`; in the field also a Call-ID."
    started: int | None = None
    stopped: int | None = None
    reason: str = ""
    "Why it stopped: what a Reason header said."
    extensions: tuple[Extension, ...] = ()


class Participant(_Personal, frozen=True):
    """Somebody who is heard or hears; RFC 7865 section 6.5."""

    id: str
    name_ids: tuple[NameId, ...] = ()
    extensions: tuple[Extension, ...] = ()


class Stream(_Personal, frozen=True):
    """What one m-line of the recording session carries; RFC 7865 section 6.7."""

    id: str
    session: str = ""
    label: str = ""
    "The `a=label` of its m-line; an opaque text, valid beside the SDP it came with."
    extensions: tuple[Extension, ...] = ()


class SessionRecording(_Personal, frozen=True):
    """That a session is recorded in this recording session; section 6.4."""

    session: str
    associated: int | None = None
    disassociated: int | None = None


class ParticipantSession(_Personal, frozen=True):
    """That somebody takes part in a session; RFC 7865 section 6.6."""

    participant: str
    session: str
    "Empty where the document does not say in which."
    associated: int | None = None
    disassociated: int | None = None
    params: tuple[str, ...] = ()
    "Parameters of their Contact, as `isfocus`."


class ParticipantStreams(_Personal, frozen=True):
    """Which streams carry somebody, and which they hear; RFC 7865 section 6.8.

    Without any: they are associated with none (6.8.1), as on hold.
    """

    participant: str
    sends: frozenset[str] = frozenset()
    receives: frozenset[str] = frozenset()
    "Ids of streams, both."
    associated: int | None = None
    disassociated: int | None = None


class RecordingMetadata(_Personal, frozen=True, kw_only=True):
    """One document: a snapshot, or what has changed; RFC 7865 sections 5 and 6.1."""

    complete: bool = True
    groups: tuple[Group, ...] = ()
    sessions: tuple[CommunicationSession, ...] = ()
    participants: tuple[Participant, ...] = ()
    streams: tuple[Stream, ...] = ()
    participant_sessions: tuple[ParticipantSession, ...] = ()
    participant_streams: tuple[ParticipantStreams, ...] = ()
    session_recordings: tuple[SessionRecording, ...] = ()
    extensions: tuple[Extension, ...] = ()
    "Those beside the elements of the model, not within them."
    flaws: tuple[Flaw, ...] = ()
    "Each once, in the order in which they were met."

    @property
    def started(self) -> int | None:
        """When the first of its sessions began, where any says."""
        times = [one.started for one in self.sessions if one.started is not None]
        return min(times, default=None)


def walk(extensions: Iterable[Extension]) -> Iterator[Extension]:
    """Each element of these, and each within it, in the document's order.

    Their depth is bounded by that of the document.
    """
    for extension in extensions:
        yield extension
        yield from walk(extension.children)
