"""Events: what the agent tells of its calls, recordings and itself, as it happens.

These are msgspec structs because they travel: through the outbox to the broker, as
JSON whose `kind` says which one it is; agent/events/TOPICS.md has them all. Whoever
makes one states what happened; the outbox adds id, time, host and sequence.
"""

from typing import NamedTuple, TypeAlias

import msgspec


class _Event(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", repr_omit_defaults=True
):
    event_id: str = ""
    """A UUID; who has seen it has seen this event: it may come twice. It is random, but
    for a day's summary, which has always the same."""
    utc_ns: int = 0
    "When it happened: nanoseconds since the Unix epoch."
    host: str = ""
    "Name of the host, as in `agent.name`."


class _CallEvent(_Event, frozen=True, kw_only=True):
    call_id: str
    "The agent's own id of the call."
    sequence: int = 0
    """Counts a call's events from 1 on, without a gap. 0: the ledger could not take the
    call's row, and nobody knows."""


class _RecordingEvent(_CallEvent, frozen=True, kw_only=True):
    recording_id: str
    "One segment of the call."


# -- calls --------------------------------------------------------------------------


class CallOffered(_CallEvent, frozen=True, kw_only=True, tag="offered"):
    """A call has come, and stands in the ledger. It is not answered yet."""

    route: str
    "The route's configured name."
    direction: str
    "`inbound` or `outbound`; `undecided` where a recording client does not tell."
    caller: str = ""
    "Number of who rings, as far as `mqtt.numbers` shows it …"
    called: str = ""
    "… and of who is rung."

    def __repr__(self) -> str:
        return f"CallOffered(call_id={self.call_id!r}, …)"


class NoticePlayed(_CallEvent, frozen=True, kw_only=True, tag="notice-played"):
    """One notice has been sent to its end."""

    language: str
    "From the file's name: `fi.wav` is `fi`."
    sha256: str
    "Digest of the notice file as configured, in lower-case hexadecimal."
    sent_ms: int
    "How much of it was sent."


class CallAnswered(_CallEvent, frozen=True, kw_only=True, tag="answered"):
    """An officer and another party talk, for the first time in this call."""

    officer: str = ""
    "The officer's number, as far as `mqtt.numbers` shows it."

    def __repr__(self) -> str:
        return f"CallAnswered(call_id={self.call_id!r}, …)"


class CallEnded(_CallEvent, frozen=True, kw_only=True, tag="ended"):
    """The call is over, and this is its one outcome."""

    outcome: str
    "One of agent.model.call.Outcome."
    cause: str
    "One of agent.model.call.EndCause; empty where nobody ended it."
    sip_status: int | None
    "Why nobody could be reached."
    missing_ms: int
    "Talk that is in no recording, as far as it is known by now."
    ended_utc_ns: int
    "By the clock of the host, and no earlier than the call began."


class CallCorrected(_CallEvent, frozen=True, kw_only=True, tag="corrected"):
    """What `ended` said proved to be less: the outcome and the gap as they are now."""

    outcome: str
    "One of agent.model.call.Outcome."
    missing_ms: int
    "Talk that is in no recording."


# -- recordings ---------------------------------------------------------------------


class RecordingOpened(_RecordingEvent, frozen=True, kw_only=True, tag="opened"):
    """A segment is being recorded, and its envelope is durable."""

    group: str
    "The same for all segments of a call."
    started_utc_ns: int
    "Position 0 of the recording."


class RecordingPaused(_CallEvent, frozen=True, kw_only=True, tag="paused"):
    """Nothing of the call is recorded for a while, by somebody's order."""

    by: str
    "Who ordered it: a word of ours, or an id of the roster; never a name."
    reason: str
    "In one word, as it was given."
    seconds: float
    "It ends by itself then."


class RecordingResumed(_CallEvent, frozen=True, kw_only=True, tag="resumed"):
    """A pause is over."""

    by: str
    "Who ordered it, if somebody did."
    reason: str
    "In one word."


class RecordingStopped(_CallEvent, frozen=True, kw_only=True, tag="stopped"):
    """Nothing more of the call is recorded, by somebody's order."""

    by: str
    "Who ordered it: an id of the roster."
    reason: str
    "In one word, as it was given."


class RecordingClosed(_RecordingEvent, frozen=True, kw_only=True, tag="closed"):
    """Nothing more is captured; the journal waits to be sealed."""


class RecordingSealed(_RecordingEvent, frozen=True, kw_only=True, tag="sealed"):
    """The finished recording lies in the spool, encrypted and signed."""

    verdict: str = ""
    "On its quality, one of agent.model.recording.Verdict; empty if it is not known."
    salvaged: bool = False
    "Whether it was sealed from what a killed run had left."


class RecordingStored(_RecordingEvent, frozen=True, kw_only=True, tag="stored"):
    """Every configured storage has it, and its digest has been compared."""


class RecordingPurged(_RecordingEvent, frozen=True, kw_only=True, tag="purged"):
    """The host's own copy is gone."""


class RecordingDropped(_RecordingEvent, frozen=True, kw_only=True, tag="dropped"):
    """It was opened, and nothing of it was written, or of what was, nothing kept."""


# -- the host -----------------------------------------------------------------------


class AlarmEvent(_Event, frozen=True, kw_only=True, tag="alarm"):
    """Something needs a human, or does no longer."""

    event: str
    "Name of the catalogue's entry, the same as in log and metrics."
    active: bool
    "Whether it is on; of several storages or peers, for one of them at least."
    message_id: str = ""
    "With which `journalctl -x` explains it."
    summary: str = ""
    "What is wrong, in one sentence of the catalogue."
    since_utc_ns: int = 0
    "When it was raised."
    count: int = 0
    "How often it was raised since."
    fields: dict[str, str] = {}
    "What it is about: ids and configured names."


class DailySummary(_Event, frozen=True, kw_only=True, tag="daily-summary"):
    """One day of this host, after its end."""

    day: str
    "ISO date."
    outcomes: dict[str, int]
    "Calls that began on that day, by outcome."
    answered: int
    "Of these, those in which an officer talked …"
    exempt: int
    "… and of these again those that must not be recorded."
    capture_rate: float | None
    "`recorded` of the answered that are not exempt, 0 to 1; None without any."
    missing_ms: int
    "Talk of these calls that is in no recording."
    stored: int
    "Recordings of these calls that storage has …"
    waiting: int
    "… and those that it has not yet."
    without_outcome: int
    "Calls of that day that have no outcome yet."


CallEvent: TypeAlias = (
    CallOffered
    | NoticePlayed
    | CallAnswered
    | CallEnded
    | CallCorrected
    | RecordingOpened
    | RecordingPaused
    | RecordingResumed
    | RecordingStopped
    | RecordingClosed
    | RecordingSealed
    | RecordingStored
    | RecordingPurged
    | RecordingDropped
)
Event: TypeAlias = CallEvent | AlarmEvent | DailySummary


class OutboxRow(NamedTuple):
    """One event that waits to be sent."""

    position: int
    "Counts up for ever, in the order of what happened."
    line: str
    "Events of one line are sent one after the other: a call's id, or a topic."
    body: bytes
    "JSON of an Event."


class Backlog(NamedTuple):
    """How much waits."""

    rows: int
    oldest_utc_ns: int | None
