"""A leg that only receives: one stream of a recording session."""

import pytest

from agent.common.clock import monotonic_ns
from agent.formats.rtp.packet import RtpPacket
from agent.formats.rtp.rtcp import ReceiverReport, parse_compound
from agent.media import reception
from agent.media.tap import JournalTap
from agent.model.media import Direction, Latch
from tests.media.legs import Bench
from tests.media.pairs import packet, packets
from tests.media.phones import audio_bytes
from tests.media.test_tap import TARGET, Disk


class Receiving:
    """One leg alone, tapped, and the client that sends to it."""

    def __init__(self, bench: Bench) -> None:
        self.leg, self.client = bench.a, bench.phones[0]
        self.leg.partner = bench.b.partner = None
        self.disk = Disk()
        self.tap = JournalTap(TARGET, self.disk, lambda _: None, now_ns=0)
        self.leg.tap = self.tap
        self.agree(Direction.RECVONLY)

    def agree(self, direction: Direction) -> None:
        audio = self.client.negotiated(direction=direction)
        self.leg.configure(audio, Latch.ADDRESS)

    def take(self, *sent: RtpPacket) -> list[bytes]:
        for one in sent:
            self.client.send(one.to_bytes())
            self.leg.on_rtp()
        return [one.to_bytes() for one in sent]

    def journalled(self) -> list[bytes]:
        self.tap.grant()
        self.tap.ripen()
        self.tap.seal(monotonic_ns())
        return packets(self.disk.journal(), 0)

    def reported(self) -> ReceiverReport:
        """What the client is told next."""
        self.leg.send_report(monotonic_ns())
        first = parse_compound(self.client.rtcp.recv(2000))[0]
        assert isinstance(first, ReceiverReport)
        return first


@pytest.fixture
def receiving(bench: Bench) -> Receiving:
    return Receiving(bench)


def spurt(ssrc: int, first: int, count: int) -> list[RtpPacket]:
    return [packet(8, n, ssrc, audio_bytes(n)) for n in range(first, first + count)]


def test_it_tells_what_it_receives_and_sends_nothing_else(receiving: Receiving) -> None:
    assert receiving.reported().reports == ()
    receiving.take(*spurt(0xA, 10, 5), *spurt(0xA, 20, 1))
    [block] = receiving.reported().reports
    assert (block.ssrc, block.cumulative_lost, block.highest_sequence) == (0xA, 5, 20)
    assert receiving.client.heard() == []
    assert not receiving.leg.may_send


def test_it_reports_while_its_stream_is_inactive(receiving: Receiving) -> None:
    receiving.take(*spurt(0xA, 10, 5))
    receiving.agree(Direction.INACTIVE)
    [block] = receiving.reported().reports
    assert block.ssrc == 0xA


def test_a_new_source_is_followed_to_the_packet(
    receiving: Receiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = receiving.take(*spurt(0xA, 10, 5))
    # At once, and while the one before could still be speaking.
    second = receiving.take(*spurt(0xB, 900, 4))
    monkeypatch.setattr(reception, "TAKEOVER_NS", 0)
    second += receiving.take(*spurt(0xB, 904, 2))
    assert receiving.journalled() == first + second
    assert receiving.leg.stats.ssrc_changes == 1
    [block] = receiving.reported().reports
    assert (block.ssrc, block.cumulative_lost) == (0xB, 0)


def test_a_mixers_sources_are_counted_and_its_packets_kept(
    receiving: Receiving,
) -> None:
    mixed = [
        RtpPacket(8, False, n, 160 * n, 0xA, audio_bytes(n), csrcs=(0xC0, 0x0F))
        for n in range(5)
    ]
    sent = receiving.take(*mixed, *spurt(0xA, 5, 1))
    assert receiving.journalled() == sent
    assert receiving.leg.stats.mixed == 5
    assert receiving.leg.stats.invalid == 0
