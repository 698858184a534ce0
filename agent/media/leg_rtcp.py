"""RTCP of one leg, on a port of its own or on RTP's (RFC 5761)."""

import socket
from typing import Final

from agent.common.clock import monotonic_ns, utc_ns
from agent.formats.rtp.rtcp import RtcpError
from agent.media.reception import Source, place_of
from agent.media.reports import ReportSession
from agent.media.security import LegSecurity, Transmit
from agent.model.media import Latch, NegotiatedAudio

_READ: Final = 1501


class LegRtcp:
    """The socket of a leg's RTCP, and where its peer wants it."""

    def __init__(
        self, channel: socket.socket, reports: ReportSession, security: LegSecurity
    ) -> None:
        self.channel = channel
        self.reports = reports
        self.invalid = 0
        self.foreign = 0
        self.send_errors = 0
        self._security = security
        self._peer: Source | None = None
        self._muxed = False
        self._follows = True
        "Whether the peer's port may turn out to be another one."

    def configure(self, audio: NegotiatedAudio, latch: Latch) -> None:
        """Obey a (re)negotiation. Raises ValueError if the address is none."""
        self._peer = place_of(audio.remote_rtcp)
        self._muxed = audio.rtcp_mux
        self._follows = latch is not Latch.OFF

    def on_readable(self, believed: Source | None) -> None:
        """Take one packet, if it comes from the host that RTP is `believed` from."""
        try:
            data, address = self.channel.recvfrom(_READ)
        except OSError:
            return
        expected = believed or self._peer
        if expected is None or address[0] != expected[0]:
            self.foreign += 1
            return
        if self.take(data, monotonic_ns()) and self._follows:
            # Symmetric RTCP (RFC 4961): the peer's NAT may have moved its port.
            self._peer = address[0], address[1]

    def take(self, data: bytes, now_ns: int) -> bool:
        """Take what the peer reports; False if it is no RTCP, or not authentic."""
        if self._security.active:
            data = self._security.unprotect_rtcp(data, now_ns)
            if not data:
                return False
        try:
            self.reports.receive(data, now_ns)
        except RtcpError:
            self.invalid += 1
            return False
        return True

    def send(
        self, now_ns: int, transmit: Transmit | None, *, bye: bool = False
    ) -> None:
        """Send a report, or the last one; by RTP's `transmit` if they share a port."""
        peer = self._peer
        if peer is None:
            return
        make = self.reports.bye if bye else self.reports.report
        report = make(now_ns, utc_ns())
        if self._security.active:
            report = self._security.protect_rtcp(report)
        try:
            if report and not self._muxed:
                self.channel.sendto(report, peer)
            elif report and transmit is not None:
                transmit(report)
        except OSError:
            self.send_errors += 1

    def close(self) -> None:
        """Let the socket go."""
        self.channel.close()
