"""One leg in the worker: its two sockets, and the path of a packet through it."""

import random
import socket
import struct
from collections.abc import Callable
from typing import Final

from agent.common.clock import monotonic_ns, utc_ahead_ns, utc_ns
from agent.formats.rtp.packet import RtpError, payload_bounds
from agent.media import sockets
from agent.media.events import LegStats
from agent.media.handling import Handling, handlings
from agent.media.leg_rtcp import LegRtcp
from agent.media.playout import Playout
from agent.media.reception import Arrival, Reception, Source, place_of
from agent.media.reports import ReportSession
from agent.media.security import LegSecurity, Transmit
from agent.media.sender import Sender
from agent.media.sounding import sounds
from agent.media.strange_codecs import StrangeCodecs
from agent.media.tap import JournalTap
from agent.model.media import Latch, NegotiatedAudio

MAX_PACKET: Final = 1500
_MIN_PACKET: Final = 12
_READ: Final = MAX_PACKET + 1
_PLAIN: Final = 0x80
"First byte of a packet without padding, extension and CSRCs."
_VERSION_MASK: Final = 0xC0
_CSRC_COUNT: Final = 0x0F
_MARKER: Final = 0x80
_RTCP_TYPES: Final = range(192, 224)
"Second byte of RTCP where it shares RTP's port (RFC 5761 section 4)."
_unpack: Final = struct.Struct("!BBHII").unpack_from


class MediaLeg:
    """Receives, relays to its partner, taps; sends what others have for it."""

    # With thirty attributes CPython's dictionaries stop sharing their keys, which
    # costs each packet a tenth of a microsecond.
    __slots__ = (
        "_connected",
        "_foreign",
        "_handling",
        "_invalid",
        "_mixed",
        "_muxed",
        "_on_latched",
        "_on_source",
        "_recv",
        "_rng",
        "_screened",
        "_secured",
        "_send_errors",
        "_strange",
        "_told_changes",
        "_transmit",
        "audio",
        "configured_ns",
        "delay_ns",
        "name",
        "opened_ns",
        "partner",
        "playout",
        "quiet",
        "reception",
        "rtcp",
        "rtp",
        "security",
        "send",
        "sender",
        "sounded_ns",
        "tap",
        "tap_index",
        "tap_since_ns",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        rtp: socket.socket,
        rtcp: socket.socket,
        rng: random.Random,
        *,
        on_latched: Callable[["MediaLeg"], None],
        on_source: Callable[["MediaLeg"], None],
    ) -> None:
        self.name = name
        self.rtp = rtp
        sockets.tell_arrivals(rtp)
        self.reception = Reception()
        self.sender = Sender(rng)
        self.security = LegSecurity()
        reports = ReportSession(self.sender, self.reception, rng)
        self.rtcp = LegRtcp(rtcp, reports, self.security)
        self.audio: NegotiatedAudio | None = None
        self.partner: MediaLeg | None = None
        self.playout: Playout | None = None
        self.tap: JournalTap | None = None
        self.tap_index = 0
        self.tap_since_ns = 0
        self.opened_ns = monotonic_ns()
        self.quiet = False
        self.sounded_ns = 0
        self.delay_ns: int | None = None
        "Of the packet that was looked at last."
        self.configured_ns = 0
        self._on_latched = on_latched
        self._on_source = on_source
        self._rng = rng
        self._recv: Callable[[int], bytes] = rtp.recv
        self.send: Transmit | None = None
        "Takes packets for the peer; None while they cannot be sent."
        self._transmit: Transmit | None = None
        "The same behind encryption, if there is any."
        self._muxed = self._secured = False
        self._screened = False
        self._connected = False
        self._handling: dict[int, Handling] = {}
        self._invalid = 0
        self._mixed = 0
        self._foreign = 0
        self._send_errors = 0
        self._told_changes = 0
        self._strange = StrangeCodecs()

    # -- what was negotiated --------------------------------------------------

    def adopt_latch(self) -> None:
        """Find the latch of an earlier process in the socket it left connected.

        What has come since then waits in the socket until the leg is listened to.
        """
        peer = sockets.peer_of(self.rtp)
        if peer is not None:
            self.reception.resume(peer)
            self._connected = True
            self._direct(self.rtp.send)

    def configure(self, audio: NegotiatedAudio, latch: Latch) -> None:
        """Obey a (re)negotiation. Raises ValueError if an address is none."""
        inherited = self.reception.latched if self.audio is None else None
        now_ns = monotonic_ns()
        anew = self.reception.expect(audio.remote, latch, now_ns)
        self.audio = audio
        self._strange.clear()
        self.configured_ns = now_ns
        self.rtcp.configure(audio, latch)
        # Before a socket is connected: what was queued there is taken at once.
        self._secure(audio, now_ns)
        self.rewire()
        if inherited and self.reception.may_come_from(inherited, now_ns):
            self.reception.resume(inherited)
        elif anew:
            self._open_latch(audio, latch)

    def _secure(self, audio: NegotiatedAudio, now_ns: int) -> None:
        if self.security.adopt(audio.srtp, now_ns):
            self.sender.renew(self._rng)
        # Asked once, and not for each packet.
        self._muxed, self._secured = audio.rtcp_mux, self.security.active
        self._screened = self._muxed or self._secured
        self._recv = self._recv_screened if self._screened else self.rtp.recv
        self._direct(self._transmit)

    def _direct(self, transmit: Transmit | None) -> None:
        """Send through `transmit` from now on."""
        self._transmit = self.send = transmit
        if transmit is not None and self.security.active:
            self.send = self.security.protecting(transmit)

    def _open_latch(self, audio: NegotiatedAudio, latch: Latch) -> None:
        if self._connected:
            sockets.disconnect(self.rtp)
            self._connected = False
        peer = place_of(audio.remote)
        if peer is None:
            self._direct(None)
        elif latch is Latch.OFF:
            self._attach(peer)
        else:
            self._direct(lambda packet: self.rtp.sendto(packet, peer))

    def _attach(self, peer: Source) -> None:
        try:
            queued = sockets.connect(self.rtp, peer, _READ)
        except OSError:
            # No route to it now; the next negotiation tries again.
            self._send_errors += 1
            return
        self._connected = True
        self._direct(self.rtp.send)
        # What the kernel tells is of the other clock.
        ahead = utc_ahead_ns() if queued else 0
        for data, utc in queued:
            # Each as of when it came: it may have waited for somebody who listens.
            now_ns = monotonic_ns() if utc is None else utc - ahead
            if packet := self._screen(data, now_ns):
                self._take(packet, None, now_ns)

    def rewire(self) -> None:
        """Recompute what becomes of each payload type: anything may have changed."""
        own = self.audio
        if own is None:
            self._handling = {}
            return
        self._handling = handlings(own, self._hearing(own))

    def rewire_both(self) -> None:
        """And what becomes of its partner's."""
        self.rewire()
        if self.partner is not None:
            self.partner.rewire()

    def _hearing(self, own: NegotiatedAudio) -> NegotiatedAudio | None:
        """What the partner agreed, if it is to hear this leg now."""
        partner = self.partner
        if (
            partner is None
            or partner.audio is None
            or partner.playout is not None
            or not partner.audio.direction.sends
            or not own.direction.receives
        ):
            return None
        return partner.audio

    # -- receiving: the hot path ----------------------------------------------

    def on_rtp(self) -> None:
        """Take one datagram: relay it at once, then tap it."""
        try:
            if self._connected:
                packet = self._recv(_READ)
                source = None
            else:
                packet, address = self.rtp.recvfrom(_READ)
                source = address[0], address[1]
        except OSError:
            # Nothing there after all, or an ICMP error: reading has cleared it.
            return
        self._take(packet, source, monotonic_ns())

    def take_before(self, at_ns: int) -> None:
        """Take what waits in the socket and arrived before `at_ns`."""
        # What the kernel tells is of the other clock.
        ahead = utc_ahead_ns()
        for packet, source, utc in sockets.queued(self.rtp, _READ, at_ns + ahead):
            arrival_ns = utc - ahead
            if not self._connected:
                self._take(packet, source, arrival_ns)
            elif authentic := self._screen(packet, arrival_ns):
                self._take(authentic, None, arrival_ns)

    def _take(self, packet: bytes, source: Source | None, now_ns: int) -> None:
        if source is not None:
            if not self.reception.may_come_from(source, now_ns):
                self._foreign += 1
                return
            if self._screened and not (packet := self._screen(packet, now_ns)):
                return
        if not _MIN_PACKET <= len(packet) <= MAX_PACKET:
            self._invalid += 1
            return
        first, second, sequence, timestamp, ssrc = _unpack(packet)
        handling = self._handling.get(second)
        if handling is None or first & _VERSION_MASK != _PLAIN:
            self._invalid += 1
            if handling is None:
                self._take_strange(second & ~_MARKER)
            return
        if first == _PLAIN:
            payload = packet[_MIN_PACKET:]
        else:
            try:
                start, end = payload_bounds(packet)
            except RtpError:
                self._invalid += 1
                return
            payload = packet[start:end]
            self._mixed += bool(first & _CSRC_COUNT)
        reception = self.reception
        if source is None and reception.advance(ssrc, sequence, timestamp, now_ns):
            out, table, is_audio, clock_rate = handling
            if clock_rate and clock_rate != reception.clock_rate:
                reception.change_clock(clock_rate)
            if out >= 0:
                self._relay(
                    out,
                    sequence,
                    timestamp,
                    payload if table is None else payload.translate(table),
                    now_ns,
                )
            if (tap := self.tap) is not None:
                if is_audio:
                    tap.add(self.tap_index, now_ns, packet)
                else:
                    tap.add_event(self.tap_index, now_ns, packet)
            return
        believed = reception.examine(packet, ssrc, sequence, now_ns, source)
        if reception.changes + reception.rivals != self._told_changes:
            self._told_changes = reception.changes + reception.rivals
            self._on_source(self)
        for arrival in believed:
            self._release(arrival)
        if believed and source is not None:
            self._on_latched(self)
            self._attach(source)

    def _take_strange(self, payload_type: int) -> None:
        if self.reception.stream is not None and self._strange.note(payload_type):
            self._on_source(self)

    @property
    def strange_payload_types(self) -> tuple[int, ...]:
        """Those heard in a run since the last negotiation, without being part of it."""
        return self._strange.heard

    def _recv_screened(self, size: int) -> bytes:
        """Receive from the believed peer what passes `_screen`. Raises OSError."""
        packet = self._screen(self.rtp.recv(size), monotonic_ns())
        if not packet:
            raise BlockingIOError
        return packet

    def listen(self) -> None:
        """Look at the next packet: for sound, and how long it has waited.

        One look a second costs no packet.
        """
        if self._connected:
            self._recv = self._recv_listening

    def _recv_listening(self, size: int) -> bytes:
        self._recv = self._recv_screened if self._screened else self.rtp.recv
        arrival_ns = sockets.next_arrival(self.rtp)
        if arrival_ns is not None:
            self.delay_ns = max(0, utc_ns() - arrival_ns)
        packet = self._recv(size)
        if self.audio is not None and sounds(packet, self.audio):
            self.sounded_ns = monotonic_ns()
        return packet

    def _screen(self, packet: bytes, now_ns: int) -> bytes:
        """The RTP packet in what came on RTP's port; nothing if there is none.

        What is not authentic has no effect beyond being counted.
        """
        if self._muxed and len(packet) > 1 and packet[1] in _RTCP_TYPES:
            self.rtcp.take(packet, now_ns)
            return b""
        if not self._secured:
            return packet
        return self.security.unprotect(packet, now_ns)

    def _release(self, arrival: Arrival) -> None:
        """Relay and tap a packet that had to be looked at twice."""
        arrival_ns, packet = arrival
        _, second, sequence, timestamp, _ = _unpack(packet)
        handling = self._handling.get(second)
        if handling is None:
            # Negotiated away while it was held.
            return
        out, table, is_audio, clock_rate = handling
        if clock_rate and clock_rate != self.reception.clock_rate:
            self.reception.change_clock(clock_rate)
        start, end = payload_bounds(packet)
        payload = packet[start:end]
        if out >= 0:
            if table is not None:
                payload = payload.translate(table)
            self._relay(out, sequence, timestamp, payload, monotonic_ns())
        # What was held may be older than the tap: from before a pause's end.
        if (tap := self.tap) is not None and arrival_ns >= self.tap_since_ns:
            if is_audio:
                tap.add(self.tap_index, arrival_ns, packet)
            else:
                tap.add_event(self.tap_index, arrival_ns, packet)

    def _relay(
        self, second: int, sequence: int, timestamp: int, payload: bytes, now_ns: int
    ) -> None:
        partner = self.partner
        if partner is None or (send := partner.send) is None:
            return
        packet = partner.sender.relay(
            self.reception.stream, second, sequence, timestamp, payload, now_ns
        )
        if packet:
            try:
                send(packet)
            except OSError:
                partner.send_again(packet)

    # -- sending --------------------------------------------------------------

    def send_again(self, packet: bytes) -> bool:
        """Send what failed at first; False if it fails again.

        The error of a send may be the ICMP answer to the packet before; it is
        cleared by telling it, and then this packet was not sent.
        """
        send = self.send
        if send is None:
            return False
        try:
            send(packet)
        except OSError:
            self._send_errors += 1
            return False
        return True

    @property
    def may_send(self) -> bool:
        """Whether the peer wants to hear us, and where is known."""
        audio = self.audio
        return audio is not None and audio.direction.sends and self.send is not None

    # -- RTCP -----------------------------------------------------------------

    def on_rtcp(self) -> None:
        """Take one RTCP packet, if it comes from the peer."""
        self.rtcp.on_readable(self.reception.latched)

    def send_report(self, now_ns: int, *, bye: bool = False) -> None:
        """Send a report, or the last one."""
        self.rtcp.send(now_ns, self._transmit, bye=bye)

    # -- the end --------------------------------------------------------------

    def close(self) -> None:
        """Let the sockets go; the main process drains their ports."""
        self.rtp.close()
        self.rtcp.close()

    @property
    def stats(self) -> LegStats:
        """Figures up to now."""
        reception, sender, rtcp = self.reception, self.sender, self.rtcp
        return LegStats(
            opened_ns=self.opened_ns,
            received=reception.received,
            lost=reception.lost,
            late=reception.late,
            invalid=self._invalid + rtcp.invalid,
            mixed=self._mixed,
            foreign=self._foreign + rtcp.foreign,
            unheard=reception.unheard,
            unauthenticated=self.security.unauthenticated,
            replayed=self.security.replayed,
            ssrc_changes=reception.changes,
            rivals=reception.rivals,
            jitter_ms=round(reception.jitter_ms, 3),
            sent=sender.packets_before + sender.packets,
            octets=sender.octets_before + sender.octets,
            send_errors=self._send_errors + rtcp.send_errors,
            remote_lost=rtcp.reports.remote_lost,
            remote_jitter_ms=rtcp.reports.remote_jitter_ms,
            delay_ms=None if self.delay_ns is None else self.delay_ns / 1e6,
        )
