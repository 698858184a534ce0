"""RTCP of one leg: ended here and made here, never relayed (RFC 3550 section 6)."""

import random
from typing import Final

from agent.formats.rtp.rtcp import (
    Bye,
    ReceiverReport,
    ReportBlock,
    SenderReport,
    SourceDescription,
    compound,
    parse_compound,
)
from agent.media.reception import Reception, Stream
from agent.media.sender import Sender

INTERVAL: Final = 5.0
"Seconds between two reports on average: the minimum of RFC 3550 section 6.2."
_NS: Final = 1_000_000_000
_NTP_OF_1970: Final = 2_208_988_800


class ReportSession:
    """What one leg tells its peer about itself, and hears from it."""

    def __init__(
        self, sender: Sender, reception: Reception, rng: random.Random
    ) -> None:
        self._sender = sender
        self._reception = reception
        self._rng = rng
        # A new random name for each leg (RFC 7022 section 4.2): it says nothing
        # about the host, and joins no two calls.
        self._cname = f"{rng.getrandbits(96):024x}".encode()
        self._told = (sender.ssrc, 0)
        self._stream: Stream | None = None
        self._prior_expected = 0
        self._prior_lost = 0
        self._sender_report: tuple[int, int, int] | None = None
        self.remote_lost: int | None = None
        "Packets of ours the peer says it has lost, in all."
        self.remote_jitter_ms: float | None = None

    def delay_ns(self) -> int:
        """Until the next report: random, so that hosts do not fall into step."""
        return int(INTERVAL * self._rng.uniform(0.5, 1.5) * _NS)

    def report(self, now_ns: int, utc_ns: int) -> bytes:
        """A compound packet: sender or receiver report, and our CNAME."""
        return compound(self._parts(now_ns, utc_ns))

    def bye(self, now_ns: int, utc_ns: int) -> bytes:
        """The last compound packet of the leg (section 6.6)."""
        return compound([*self._parts(now_ns, utc_ns), Bye((self._sender.ssrc,))])

    def receive(self, data: bytes, now_ns: int) -> None:
        """Take what the peer reports. Raises RtcpError if it is not RTCP."""
        for packet in parse_compound(data):
            if isinstance(packet, SenderReport):
                middle = packet.ntp_time >> 16 & 0xFFFFFFFF
                self._sender_report = packet.ssrc, middle, now_ns
            if isinstance(packet, SenderReport | ReceiverReport):
                for block in packet.reports:
                    if block.ssrc == self._sender.ssrc:
                        self.remote_lost = block.cumulative_lost
                        jitter = block.jitter * 1000 / self._sender.clock_rate
                        self.remote_jitter_ms = jitter

    def _parts(
        self, now_ns: int, utc_ns: int
    ) -> list[SenderReport | ReceiverReport | SourceDescription | Bye]:
        sender = self._sender
        blocks = self._blocks(now_ns)
        first: SenderReport | ReceiverReport
        told, self._told = self._told, (sender.ssrc, sender.packets)
        if sender.packets and self._told != told:
            seconds, rest = divmod(utc_ns, _NS)
            ntp = (seconds + _NTP_OF_1970) << 32 | (rest << 32) // _NS
            first = SenderReport(
                sender.ssrc,
                ntp & 0xFFFFFFFFFFFFFFFF,
                sender.timestamp_at(now_ns),
                sender.packets,
                sender.octets,
                blocks,
            )
        else:
            first = ReceiverReport(sender.ssrc, blocks)
        return [first, SourceDescription.of(sender.ssrc, self._cname)]

    def _blocks(self, now_ns: int) -> tuple[ReportBlock, ...]:
        reception = self._reception
        stream = reception.stream
        if stream is None:
            return ()
        if stream is not self._stream:
            self._stream = stream
            self._prior_expected = self._prior_lost = 0
        expected, lost = reception.expected_of_source, reception.lost_of_source
        new, gone = expected - self._prior_expected, lost - self._prior_lost
        self._prior_expected, self._prior_lost = expected, lost
        fraction = min(255, (gone << 8) // new) if new > 0 and gone > 0 else 0
        last_sr = delay = 0
        if self._sender_report is not None and self._sender_report[0] == stream.ssrc:
            _, last_sr, at_ns = self._sender_report
            delay = min(((now_ns - at_ns) << 16) // _NS, 0xFFFFFFFF)
        return (
            ReportBlock(
                stream.ssrc,
                fraction,
                lost,
                reception.highest_sequence,
                min(int(reception.jitter), 0xFFFFFFFF),
                last_sr,
                delay,
            ),
        )
