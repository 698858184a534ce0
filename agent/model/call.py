"""Words for a call's life and end."""

from enum import StrEnum


class CallDirection(StrEnum):
    """Who rang whom."""

    INBOUND = "inbound"
    "A customer rang the agency."
    OUTBOUND = "outbound"
    "An officer rang a customer."


class Outcome(StrEnum):
    """What became of a call: exactly one, in the ledger."""

    RECORDED = "recorded"
    PARTIAL = "partial"
    "Recorded with a stated gap, or salvaged."
    BLOCKED = "blocked"
    "Refused by policy, because it could not be recorded."
    UNRECORDED = "unrecorded"
    "Let through by policy without a recording; alarmed."
    EXEMPT = "exempt"
    "To or from a number that must never be recorded."
    ABANDONED = "abandoned"
    "The caller left before an officer answered."
    UNANSWERED = "unanswered"
    REJECTED = "rejected"
    FAILED = "failed"
    "With the SIP reason."


class EndCause(StrEnum):
    """Why a call, or a recording, ended."""

    CALLER_HANGUP = "caller-hangup"
    OFFICER_HANGUP = "officer-hangup"
    CUSTOMER_HANGUP = "customer-hangup"
    TRANSFERRED = "transferred"
    "An officer handed the other party on, or took another officer's place."
    MEDIA_TIMEOUT = "media-timeout"
    SIGNALLING_TIMEOUT = "signalling-timeout"
    SEGMENT_LIMIT = "segment-limit"
    AGENT_STOPPED = "agent-stopped"
    AGENT_DIED = "agent-died"
    RECORDING_FAILED = "recording-failed"
    RECORDING_STOPPED = "recording-stopped"
    "Somebody who may had the recording ended; the call went on."
    SESSION_ENDED = "session-ended"
    "The call that a recording client had recorded is over; who hung up is not known."
    ERROR = "error"
