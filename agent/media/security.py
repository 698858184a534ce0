"""SRTP of one leg: the contexts under its keys of now, and of a moment ago."""

from collections.abc import Callable
from typing import Final

from agent.formats.rtp.srtp import (
    ReceiveContext,
    ReplayedError,
    SendContext,
    SrtpError,
)
from agent.model.media import SrtpKeys, SrtpSuite

OVERLAP_NS: Final = 5_000_000_000
"For how long the peer's former key is believed beside its new one."
MAX_KEYS: Final = 4
"Of the peer, whose replay lists are kept in case it comes back to one."

ALARMING: Final = 50
"Packets that are not authentic, after which somebody should know: a second's."

_NEVER: Final = 1 << 62

Transmit = Callable[[bytes], int]
"What a socket's send does; raises OSError as it does."


class LegSecurity:
    """Protects and verifies one leg's packets, as soon as it has keys."""

    def __init__(self) -> None:
        self.active = False
        "Whether the leg's media is SRTP; what is not authentic is then dropped."
        self.unauthenticated = 0
        self.replayed = 0
        self._alarm_at = ALARMING
        self._keys: SrtpKeys | None = None
        self._send: SendContext | None = None
        self._receive: ReceiveContext | None = None
        self._former: ReceiveContext | None = None
        self._former_until_ns = 0
        self._known: dict[tuple[SrtpSuite, bytes], ReceiveContext] = {}

    def adopt(self, keys: SrtpKeys | None, now_ns: int) -> bool:
        """Use these keys from now on, or none; tells whether our own is a new one."""
        before, self._keys = self._keys, keys
        self.active = keys is not None
        if keys is None:
            self._send = self._receive = self._former = None
            return False
        self._expect(keys, now_ns)
        if before is not None and _own(before) == _own(keys):
            return False
        self._send = SendContext(keys.suite, keys.send) if keys.send else None
        return self._send is not None

    def _expect(self, keys: SrtpKeys, now_ns: int) -> None:
        key = keys.suite, keys.receive
        context = self._known.pop(key, None) or ReceiveContext(*key)
        self._known[key] = context
        if len(self._known) > MAX_KEYS:
            del self._known[next(iter(self._known))]
        if context is not self._receive:
            self._former, self._receive = self._receive, context
            self._former_until_ns = now_ns + OVERLAP_NS
            self._alarm_at = self.unauthenticated + ALARMING

    def join_behind(self, packet: bytes, now_ns: int) -> None:
        """Believe nothing up to this packet, the last that a dead worker received."""
        if self._receive is not None:
            self._receive.join_behind(packet, now_ns)

    def unprotect(self, packet: bytes, now_ns: int) -> bytes:
        """The RTP packet in an SRTP packet; nothing if it is to be dropped."""
        if (context := self._receive) is None:
            return b""
        try:
            return context.unprotect(packet, now_ns)
        except SrtpError as error:
            return self._try_former(
                error, lambda former: former.unprotect(packet, now_ns), now_ns
            )

    def unprotect_rtcp(self, packet: bytes, now_ns: int) -> bytes:
        """The RTCP packet in an SRTCP packet; nothing if it is to be dropped."""
        if (context := self._receive) is None:
            return b""
        try:
            return context.unprotect_rtcp(packet)
        except SrtpError as error:
            return self._try_former(
                error, lambda former: former.unprotect_rtcp(packet), now_ns
            )

    def _try_former(
        self,
        reason: SrtpError,
        unprotect: Callable[[ReceiveContext], bytes],
        now_ns: int,
    ) -> bytes:
        if now_ns >= self._former_until_ns:
            self._former = None
        if self._former is not None:
            try:
                return unprotect(self._former)
            except SrtpError as error:
                # Of a packet under either key, a replay says more.
                reason = error if isinstance(error, ReplayedError) else reason
        if isinstance(reason, ReplayedError):
            self.replayed += 1
        else:
            self.unauthenticated += 1
        return b""

    def look(self) -> bool:
        """Whether somebody should know what is rejected; once under each key."""
        if self.unauthenticated < self._alarm_at:
            return False
        self._alarm_at = _NEVER
        return True

    def protecting(self, transmit: Transmit) -> Transmit | None:
        """`transmit` behind our key; None while we have none to send under."""
        context = self._send
        if context is None:
            return None

        def send(packet: bytes) -> int:
            try:
                sealed = context.protect(packet)
            except SrtpError as error:
                raise OSError(str(error)) from error
            try:
                return transmit(sealed)
            except OSError:
                # It may be the ICMP answer to the packet before. What is tried again
                # must be the same bytes: nothing is protected twice.
                return transmit(sealed)

        return send

    def protect_rtcp(self, packet: bytes) -> bytes:
        """An SRTCP packet; nothing while we have no key to send under."""
        return b"" if self._send is None else self._send.protect_rtcp(packet)


def _own(keys: SrtpKeys) -> tuple[SrtpSuite, bytes]:
    return keys.suite, keys.send
