"""SRTP in one direction under one master key: RFC 3711 and RFC 7714, by libsrtp.

What was sent, or believed, under a key once is not sent or believed again as long as
its context lives.
"""

from typing import Final

from pylibsrtp import Error, Policy, Session

from agent.common.errors import AgentError
from agent.model.media import SrtpSuite

WINDOW: Final = 256
"Packets behind the newest that may still arrive; RFC 3711 section 3.3.2 wants 64."
MAX_SOURCES: Final = 16
"SSRCs whose replay lists are kept: a peer that uses more is broken or hostile."
MAX_ROLLOVERS: Final = 64
"Rollover counts tried for a stream joined late: 23 hours of 20 ms packets."
SEARCH_NS: Final = 1_000_000_000
"Between two such searches, so that garbage costs little."
FLOOR_NS: Final = 10_000_000_000
"How long it matters what a dead process received: twice what WINDOW spans."
_STEP: Final = 0x7000
"What a receiver follows in one step without doubt: less than half of the range."
_HEADER: Final = 12

_PROFILES: Final = {
    SrtpSuite.AES_CM_128_HMAC_SHA1_80: Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    SrtpSuite.AES_CM_128_HMAC_SHA1_32: Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
    SrtpSuite.AEAD_AES_128_GCM: Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    SrtpSuite.AEAD_AES_256_GCM: Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
}


_Sources = dict[bytes, None]
"SSRCs as on the wire, the first one first."


class SrtpError(AgentError):
    """A packet that cannot be protected, or is not what it claims to be."""


class ReplayedError(SrtpError):
    """The packet, or one that shared its index, was here before; or it is too late."""


class SendContext:
    """Protects what one sender sends."""

    def __init__(self, suite: SrtpSuite, key: bytes) -> None:
        """`key` is the master key followed by the master salt."""
        self._session = _session(suite, key, Policy.SSRC_ANY_OUTBOUND)

    def protect(self, packet: bytes) -> bytes:
        """One RTP packet, encrypted and authenticated.

        Raises ReplayedError where its sequence number was used before: two packets
        under one key stream would betray each other. Raises SrtpError if it is no
        RTP packet, or too long.
        """
        try:
            return self._session.protect(packet)
        except (Error, ValueError) as error:
            raise _refused(error) from error

    def protect_rtcp(self, packet: bytes) -> bytes:
        """One compound RTCP packet, encrypted and authenticated. Raises SrtpError."""
        try:
            return self._session.protect_rtcp(packet)
        except (Error, ValueError) as error:
            raise _refused(error) from error


class ReceiveContext:
    """Verifies and decrypts what one peer sends, from whatever sources it has."""

    def __init__(self, suite: SrtpSuite, key: bytes) -> None:
        """`key` is the master key followed by the master salt."""
        self._suite = suite
        self._key = key
        self._session = _session(suite, key, Policy.SSRC_ANY_INBOUND)
        self._sources: _Sources = {}
        # Apart, so that a search replaces nothing that counts RTCP.
        self._control = _session(suite, key, Policy.SSRC_ANY_INBOUND)
        self._control_sources: _Sources = {}
        self._search_ns = 0
        self._floors: dict[bytes, tuple[int, int]] = {}
        "By source, sequence number and timestamp that another process has received."
        self._floors_until_ns = 0

    def join_behind(self, packet: bytes, now_ns: int) -> None:
        """Believe nothing that the source of this RTP packet sent before it, nor it.

        For a context that begins in the middle of a stream, whose replay list died with
        another process. After FLOOR_NS its own list knows enough.
        """
        self._floors[packet[8:12]] = _place(packet)
        self._floors_until_ns = now_ns + FLOOR_NS

    def unprotect(self, packet: bytes, now_ns: int) -> bytes:
        """The RTP packet in an authentic SRTP packet.

        Until the first authentic one, higher rollover counts are tried too: a peer
        may keep counting under a new key, and another process may have received
        before us. Raises SrtpError, ReplayedError.
        """
        if self._floors:
            self._refuse_received(packet, now_ns)
        try:
            plain = self._session.unprotect(packet)
        except (Error, ValueError) as error:
            if self._sources or now_ns < self._search_ns or len(packet) < _HEADER:
                raise _refused(error) from error
            self._search_ns = now_ns + SEARCH_NS
            plain = self._search(packet)
        if (ssrc := packet[8:12]) not in self._sources:
            _admit(self._session, self._sources, ssrc)
        return plain

    def _refuse_received(self, packet: bytes, now_ns: int) -> None:
        if now_ns >= self._floors_until_ns:
            self._floors.clear()
        elif (floor := self._floors.get(packet[8:12])) is not None:
            sequence, timestamp = _place(packet)
            ahead = (sequence - floor[0]) & 0xFFFF
            # One of an earlier rollover count may seem to be ahead, but is older.
            later = (timestamp - floor[1]) & 0xFFFFFFFF
            if not 0 < ahead < 0x8000 or later >= 1 << 31:
                raise ReplayedError("The packet was received before a process died.")

    def unprotect_rtcp(self, packet: bytes) -> bytes:
        """The RTCP packet in an authentic SRTCP packet. Raises SrtpError."""
        try:
            plain = self._control.unprotect_rtcp(packet)
        except (Error, ValueError) as error:
            raise _refused(error) from error
        if (ssrc := packet[4:8]) not in self._control_sources:
            _admit(self._control, self._control_sources, ssrc)
        return plain

    def _search(self, packet: bytes) -> bytes:
        """Join a stream whose rollover count is not known. Raises SrtpError.

        libsrtp has no way to set the count here, but it follows a stream: packets of
        our own, which nobody else ever sees, lead it from count to count.
        """
        guide = _session(self._suite, self._key, Policy.SSRC_ANY_OUTBOUND)
        joined = _session(self._suite, self._key, Policy.SSRC_ANY_INBOUND)
        for index in range(0, MAX_ROLLOVERS << 16, _STEP):
            sequence = (index & 0xFFFF).to_bytes(2, "big")
            lead = b"\x80\0" + sequence + bytes(4) + packet[8:12]
            joined.unprotect(guide.protect(lead))
            try:
                plain = joined.unprotect(packet)
            except (Error, ValueError):
                continue
            self._session = joined
            return plain
        raise SrtpError("The packet is not authentic under any rollover count.")


def _place(packet: bytes) -> tuple[int, int]:
    """Sequence number and timestamp."""
    return int.from_bytes(packet[2:4], "big"), int.from_bytes(packet[4:8], "big")


def _admit(session: Session, sources: _Sources, ssrc: bytes) -> None:
    """Remember a source that has proved to know the key."""
    sources[ssrc] = None
    if len(sources) > MAX_SOURCES:
        oldest = next(iter(sources))
        del sources[oldest]
        session.remove_stream(int.from_bytes(oldest, "big"))


def _session(suite: SrtpSuite, key: bytes, ssrc_type: int) -> Session:
    policy = Policy(key=key, ssrc_type=ssrc_type, srtp_profile=_PROFILES[suite])
    policy.window_size = WINDOW
    return Session(policy)


def _refused(error: Exception) -> SrtpError:
    text = str(error)
    if text.startswith("replay"):
        return ReplayedError("The packet was seen before, or is too late.")
    return SrtpError(f"The packet is not authentic, or malformed: {text}.")
