"""A call's media as it outlives the main process: what the next one is told.

Journal keys are no part of it; they are kept apart, by recording. SRTP keys are: the
document never leaves memory.
"""

from typing import Final

import msgspec

from agent.media.control import Configure, Play

STATE_VERSION: Final = 1


class LegState(msgspec.Struct, frozen=True, kw_only=True):
    """One leg: its local address, and what it was told last."""

    leg: str
    host: str
    "IP address its sockets are bound to."
    port: int
    "Of RTP; RTCP has the one above."
    configured: Configure | None = None
    play: Play | None = None
    partner: str = ""
    "The leg it is bridged to, if any."
    closing: bool = False
    "Told to close, and not known to be closed."
    mute: bool = False
    "Whether it sends no RTP, only RTCP."
    deaf: bool = False
    "Opened deaf, and not told to listen."


class RecordingState(msgspec.Struct, frozen=True, kw_only=True):
    """One recording, by what a new journal file of it would begin with."""

    recording: str
    legs: tuple[str, ...]
    key_id: bytes
    begin: bytes
    started_ns: int
    "CLOCK_MONOTONIC, as all times here."
    tapped: tuple[bool, ...]
    since_ns: tuple[int, ...]
    "When that changed last, of each leg."
    epoch: int
    granted: bool
    end: bytes | None = None
    "The last note, once the recording was told to stop."
    joined: tuple[bytes, ...] = ()
    "Notes of the legs that joined later: the last so many of `legs`."
    recent: tuple[tuple[int, bytes], ...] = ()
    "Notes that may not have reached the disk, and when they were made."

    def __repr__(self) -> str:
        return f"RecordingState(recording={self.recording!r}, …)"


class MediaState(msgspec.Struct, frozen=True, kw_only=True):
    """Legs and recordings of one call."""

    call: str
    legs: tuple[LegState, ...]
    recordings: tuple[RecordingState, ...]
    tokens: int
    "Of playouts: greater ones were not given out yet."
    version: int = STATE_VERSION
