"""One stream connection, sans-IO: what it brings, and how long it may last.

RFC 5626 sections 3.5.1 and 4.4.1 (keep-alive), and what hostile peers make needed.
"""

from enum import StrEnum
from typing import Final

from agent.signalling.sip.framing import Complete, Deframer, Frame, Ping, Pong

MESSAGE_SECONDS: Final = 10.0
"From a message's first octet to its last; 64 kB at 64 kbit/s take eight."
FIRST_SECONDS: Final = 32.0
"Until the first message is whole, and how long a stranger may be idle: 64*T1."
PING_SECONDS: Final = 110.0
"RFC 5626 section 4.4.1: 95 to 120 seconds between keep-alives of ours."
PONG_SECONDS: Final = 10.0
"How long a peer that answers pings may take for it (section 4.4.1)."


class Verdict(StrEnum):
    """What is to become of a connection whose deadline has come."""

    PING = "ping"
    "Send a double CRLF; it goes on."
    SLOW = "message too slow"
    IDLE = "idle"
    DEAD = "keep-alive unanswered"


class Connection:
    """The state of one connection, by whichever side it was opened.

    `known`: the other end is a configured peer, whose pings keep it open; a stranger's
    do not. A connection of ours is never idle: it is kept up by pings of ours, which
    every SIP stack ignores or answers.
    """

    def __init__(
        self, *, outgoing: bool, known: bool, idle_seconds: float, now: float
    ) -> None:
        self._deframer = Deframer()
        self._outgoing = outgoing
        self._known = known
        self._idle_seconds = idle_seconds if known else FIRST_SECONDS
        self._opened = now
        self._begun: float | None = None
        "When the unfinished message began."
        self._active = now
        "When a message last came or went, or a peer's ping came."
        self._silent_since = now
        "When anything last came or went."
        self._pinged: float | None = None
        self._answers_pings = False
        self._heard = False

    @property
    def unread(self) -> bytes:
        """What has come of a message that is not whole."""
        return self._deframer.unread

    def restore(self, unread: bytes, now: float) -> None:
        """Go on where another process stood, who had that in hand."""
        self._heard = True
        self.receive(unread, now)

    def receive(self, data: bytes, now: float) -> list[Frame]:
        """Take what came on it."""
        frames = self._deframer.receive(data)
        self._silent_since = now
        if any(isinstance(frame, Complete) for frame in frames):
            self._begun = None
            self._heard = True
            self._active = now
        elif self._known and any(isinstance(frame, Ping) for frame in frames):
            self._active = now
        if self._pinged is not None and any(isinstance(f, Pong) for f in frames):
            self._answers_pings = True
        if frames:
            self._pinged = None  # whatever it says, it lives
        if not self._deframer.unfinished:
            self._begun = None
        elif self._begun is None:
            self._begun = now
        return frames

    def sent(self, now: float) -> None:
        """A message went out on it."""
        self._active = self._silent_since = now

    def get_timer(self) -> float:
        """When `handle_timer` wants to be called."""
        return min(at for at, _ in self._deadlines())

    def handle_timer(self, now: float) -> Verdict | None:
        """What is due, if anything is."""
        at, verdict = min(self._deadlines())
        if now < at:
            return None
        if verdict is Verdict.PING:
            self._pinged = self._silent_since = now
        return verdict

    def _deadlines(self) -> list[tuple[float, Verdict]]:
        found = []
        if self._begun is not None:
            found.append((self._begun + MESSAGE_SECONDS, Verdict.SLOW))
        if self._outgoing:
            found.append((self._silent_since + PING_SECONDS, Verdict.PING))
        elif self._heard:
            found.append((self._active + self._idle_seconds, Verdict.IDLE))
        else:
            found.append((self._opened + FIRST_SECONDS, Verdict.IDLE))
        if self._pinged is not None and self._answers_pings:
            found.append((self._pinged + PONG_SECONDS, Verdict.DEAD))
        return found
