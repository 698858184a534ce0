"""One RTP sender per leg: notice, ringback and conversation are one stream.

One SSRC, sequence numbers without a gap of our own making, timestamps that follow
the clock, and the marker bit where the audio comes from somewhere else.
"""

import random
import struct
from typing import Final, Protocol

from agent.formats.codecs.opus import CLOCK_RATE as OPUS_RATE, packet_ticks

_HEADER: Final = struct.Struct("!BBHII")
_pack: Final = _HEADER.pack
_VERSION: Final = 0x80
_MARKER: Final = 0x80
_NS: Final = 1_000_000_000
_COMMON_RATE: Final = 8000
_FLOOR_PACKETS: Final = 200
"How long after a switch a late packet could still be from before it."


class Origin(Protocol):
    """Whatever stands for the present origin of the audio; a new one is a switch."""

    @property
    def clock_rate(self) -> int:
        """Of its RTP timestamps; it never changes."""
        ...


class Sender:
    """The sending half of one leg: what comes from one origin after the other."""

    def __init__(self, rng: random.Random) -> None:
        self.ssrc = rng.getrandbits(32)
        # In the lower half: an SRTP receiver that joins late cannot guess the
        # rollover counter if the first packets straddle the wrap (RFC 3711
        # section 3.3.1).
        self.sequence = rng.getrandbits(15)
        self.timestamp = rng.getrandbits(32)
        self.sent_ns = 0
        "Monotonic nanoseconds of the last packet; 0 before the first."
        self.clock_rate = _COMMON_RATE
        self.packets = 0
        self.octets = 0
        "Both of the present SSRC, as sender reports count."
        self.packets_before = 0
        self.octets_before = 0
        self._rng = rng
        self._last = b""
        "Payload of the last packet."
        self._stream: Origin | None = None
        self._sequence_offset = 0
        self._timestamp_offset = 0
        self._floor = 0
        self._floor_until = 0

    def renew(self, rng: random.Random) -> None:
        """Become another source, which nothing that was sent before belongs to.

        A new SRTP key begins one: where a rollover count stands is then no question.
        """
        self.ssrc = rng.getrandbits(32)
        self.sequence = rng.getrandbits(15)
        self.packets_before += self.packets
        self.octets_before += self.octets
        self.packets = self.octets = 0
        self._floor_until = 0
        self._stream = None

    def relay(  # noqa: PLR0917 - keywords cost time in the hot path
        self,
        stream: Origin | None,
        second: int,
        sequence: int,
        timestamp: int,
        payload: bytes,
        now_ns: int,
    ) -> bytes:
        """A packet of another leg's source, as this leg's peer gets it.

        `second` is the second header byte: marker and this leg's payload type. Gaps
        and reordering of the source are passed on as they are. Returns nothing for
        a packet that was overtaken by a switch.
        """
        if stream is not self._stream:
            self._switch(stream, now_ns)
            second |= _MARKER
            self._sequence_offset = self.sequence + 1 - sequence
            self._timestamp_offset = self.timestamp - timestamp
            self._floor = self.sequence
            self._floor_until = self.packets + _FLOOR_PACKETS
        out = (sequence + self._sequence_offset) & 0xFFFF
        ticks = (timestamp + self._timestamp_offset) & 0xFFFFFFFF
        if (out - self.sequence) & 0xFFFF < 0x8000:
            self.sequence = out
            self.timestamp = ticks
            self._last = payload
            self.sent_ns = now_ns
        elif self.packets < self._floor_until and (self._floor - out) & 0xFFFF < 0x8000:
            return b""
        self.packets += 1
        self.octets += len(payload)
        return _pack(_VERSION, second, out, ticks, self.ssrc) + payload

    def frame(
        self,
        stream: Origin,
        payload_type: int,
        payload: bytes,
        now_ns: int,
        *,
        skip: int = 0,
    ) -> bytes:
        """The next packet of a playout; `skip` ticks were not sent before it."""
        if stream is not self._stream:
            self._switch(stream, now_ns)
            payload_type |= _MARKER
        else:
            self.timestamp = (self.timestamp + self.ticks + skip) & 0xFFFFFFFF
            if skip:
                payload_type |= _MARKER
        self.sequence = (self.sequence + 1) & 0xFFFF
        self._last = payload
        self.sent_ns = now_ns
        self.packets += 1
        self.octets += len(payload)
        return (
            _pack(_VERSION, payload_type, self.sequence, self.timestamp, self.ssrc)
            + payload
        )

    def timestamp_at(self, now_ns: int) -> int:
        """The RTP timestamp that belongs to this moment, for sender reports."""
        elapsed = (now_ns - self.sent_ns) * self.clock_rate // _NS
        return (self.timestamp + elapsed) & 0xFFFFFFFF

    @property
    def ticks(self) -> int:
        """Duration of the last packet."""
        if self.clock_rate == OPUS_RATE:
            return packet_ticks(self._last)
        return len(self._last)

    @property
    def duration_ns(self) -> int:
        """Duration of the last packet."""
        return self.ticks * _NS // self.clock_rate

    def _switch(self, stream: Origin | None, now_ns: int) -> None:
        rate = stream.clock_rate if stream is not None else self.clock_rate
        if rate != self.clock_rate:
            # A source never changes its clock (RFC 7160 section 4.1).
            if self.packets:
                self.renew(self._rng)
            self.clock_rate = rate
            self._last = b""
        elif self.sent_ns:
            elapsed = (now_ns - self.sent_ns) * rate // _NS
            # Back to back to the ear: a wake-up a millisecond late is no silence.
            ticks = self.ticks
            if elapsed < 2 * ticks:
                elapsed = ticks
            self.timestamp = (self.timestamp + elapsed) & 0xFFFFFFFF
        self._stream = stream
