"""What the media workers tell: the events of the pool's `on_event`.

They travel from the worker to the main process as they are, hence msgspec structs.
Legs and recordings are named by the ids call control gave them.
"""

import msgspec


class LegStats(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of one leg, from its opening to its end."""

    opened_ns: int = 0
    "CLOCK_MONOTONIC: tells two legs of one name apart, of two workers."
    received: int = 0
    "RTP packets believed."
    lost: int = 0
    "Expected and not received (RFC 3550 appendix A.3)."
    late: int = 0
    "Received out of order, or twice."
    invalid: int = 0
    "Dropped: too short, too long, not RTP, or of a payload type never agreed."
    mixed: int = 0
    "RTP packets that name contributing sources: a mixer's (RFC 3550 section 5.1)."
    foreign: int = 0
    "Dropped: from an address that was not negotiated."
    unheard: int = 0
    "Dropped: from a source that was not (or not yet) believed."
    unauthenticated: int = 0
    "Dropped: SRTP or SRTCP whose tag does not fit."
    replayed: int = 0
    "Dropped: SRTP or SRTCP that was here before, or comes too late to tell."
    ssrc_changes: int = 0
    rivals: int = 0
    "Sources that sent valid RTP beside the one believed; never relayed."
    jitter_ms: float = 0.0
    "Interarrival jitter (RFC 3550 section 6.4.1)."
    sent: int = 0
    "RTP packets sent."
    octets: int = 0
    "Payload bytes sent."
    send_errors: int = 0
    "Packets the kernel would not take."
    remote_lost: int | None = None
    "Cumulative loss the peer reported last, if it reports at all."
    remote_jitter_ms: float | None = None
    delay_ms: float | None = None
    """How long the packet that was looked at last had waited, from its arrival in the
    kernel until it was taken to be relayed; None of a leg that is not recorded."""


class PlayEnded(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A playout is over: its last frame was sent, or it was broken off."""

    leg: str
    token: int
    completed: bool
    "Whether every frame was sent."
    frames: int
    "RTP packets the kernel took."
    sent_ms: int
    "Milliseconds of audio in them."
    started_ns: int
    "CLOCK_MONOTONIC of the first frame; 0 if none was sent."
    ended_ns: int
    "CLOCK_MONOTONIC of the last frame; 0 if none was sent."


class RecordingOpened(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A journal exists on disk."""

    recording: str
    path: str


class RecordingFailed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A recording cannot go on. Told once; the call itself is not touched."""

    recording: str
    reason: str
    "`ENOSPC` and its like, `overload`, `not-granted`, `no-leg`, `no-worker`, …"
    errno: int | None = None


class RecordingClosed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A journal is whole and durable."""

    recording: str
    path: str
    packets: int
    blocks: int
    bytes: int


class MemoryRefused(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What a recording has not written yet would die with its worker.

    The pool delivers the first one only: what is to be done is the same for all.
    """

    recording: str
    reason: str
    "Why the kernel keeps no such memory, and what to do."


class MediaQuiet(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A leg that should be heard has not been for `seconds`."""

    leg: str
    seconds: float


class MediaHeard(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A quiet leg is heard again."""

    leg: str


class LegAlarm(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """One side of a recorded conversation is missing while the call is up."""

    leg: str
    kind: str
    "`one-way`: nothing comes from it, and the other speaks; `silent`: only silence."
    seconds: float
    "For how long it has been so."


class LegHeard(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """An alarm is over: the leg is heard again, or is recorded no more."""

    leg: str
    kind: str
    seconds: float
    "For how long it was so."


class SourceChanged(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A leg's RTP has a new source, or a rival of its source has appeared."""

    leg: str
    ssrc_changes: int
    "Changes and rivals together, so far."
    payload_types: tuple[int, ...] = ()
    "Of a run of packets in a codec that the present negotiation does not have."


class MediaRejected(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What reaches a leg is not under its SRTP key; told once for each key.

    The peer means another key, or somebody sends to its port.
    """

    leg: str
    packets: int
    "Dropped so far."


class Latched(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A leg's RTP is believed from one address and port from now on."""

    leg: str


class LegMeasured(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A leg's figures up to now; told with each of its RTCP reports.

    The pool keeps them and delivers none.
    """

    leg: str
    stats: LegStats


class LegClosed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A leg is gone."""

    leg: str
    stats: LegStats


class KeysSpent(msgspec.Struct, frozen=True, kw_only=True):
    """A leg's SRTP key may not send on: nobody knows how far it was used.

    The peer hears nothing until `configure` brings another.
    """

    leg: str


class WorkerLost(msgspec.Struct, frozen=True, kw_only=True):
    """A worker process died; another takes its legs over."""

    worker: int
    legs: tuple[str, ...]
    recordings: tuple[str, ...]


class WorkerReady(msgspec.Struct, frozen=True, kw_only=True):
    """A worker took the place of one that was lost."""

    worker: int


WatchEvent = MediaQuiet | MediaHeard | MediaRejected | LegAlarm | LegHeard
"What is told of legs that are, or are not, heard."

WorkerEvent = (
    PlayEnded
    | RecordingOpened
    | RecordingFailed
    | RecordingClosed
    | MemoryRefused
    | MediaQuiet
    | MediaHeard
    | MediaRejected
    | LegAlarm
    | LegHeard
    | SourceChanged
    | Latched
    | LegMeasured
    | LegClosed
)
"What a worker tells of itself."

MediaEvent = WorkerEvent | KeysSpent | WorkerLost | WorkerReady
"All the pool delivers."
