import random

import pytest

from agent.formats.rtp.rtcp import (
    Bye,
    ReceiverReport,
    ReportBlock,
    RtcpError,
    SenderReport,
    SourceDescription,
    compound,
    parse_compound,
)
from agent.media.reception import Reception
from agent.media.reports import INTERVAL, ReportSession
from agent.media.sender import Sender

MS = 1_000_000
SECOND = 1_000_000_000
PEER = 0xABCD
UTC = 1_700_000_000 * SECOND + SECOND // 2


class Leg:
    clock_rate = 8000

    def __init__(self) -> None:
        rng = random.Random(3)
        self.sender = Sender(rng)
        self.reception = Reception()
        self.session = ReportSession(self.sender, self.reception, rng)

    def hear(self, sequences: range, ssrc: int = PEER) -> None:
        for n in sequences:
            now_ns = 20 * MS * n
            if not self.reception.advance(ssrc, n, 160 * n, now_ns):
                self.reception.examine(b"", ssrc, n, now_ns)

    def report(self, now_ns: int = 0) -> SenderReport | ReceiverReport:
        first, description = parse_compound(self.session.report(now_ns, UTC))
        assert isinstance(description, SourceDescription)
        assert isinstance(first, SenderReport | ReceiverReport)
        return first


@pytest.fixture
def leg() -> Leg:
    return Leg()


def test_who_sends_nothing_reports_as_a_receiver(leg: Leg) -> None:
    report = leg.report()
    assert report == ReceiverReport(leg.sender.ssrc)


def test_a_sender_report_ties_the_clocks(leg: Leg) -> None:
    leg.sender.frame(leg, 8, bytes(160), 5 * SECOND)
    report = leg.report(5 * SECOND + 10 * MS)
    assert isinstance(report, SenderReport)
    assert report.ntp_time >> 32 == 1_700_000_000 + 2_208_988_800
    assert report.ntp_time & 0xFFFFFFFF == 1 << 31
    assert report.rtp_timestamp == (leg.sender.timestamp + 80) & 0xFFFFFFFF
    assert (report.packet_count, report.octet_count) == (1, 160)
    assert isinstance(leg.report(), ReceiverReport)


def test_another_source_of_ours_has_a_report_of_its_own(leg: Leg) -> None:
    for n in range(3):
        leg.sender.frame(leg, 8, bytes(160), n * 20 * MS)
    assert isinstance(leg.report(), SenderReport)
    leg.sender.renew(random.Random(4))
    assert leg.report() == ReceiverReport(leg.sender.ssrc)
    leg.sender.frame(leg, 8, bytes(160), 80 * MS)
    report = leg.report()
    assert isinstance(report, SenderReport)
    assert (report.ssrc, report.packet_count) == (leg.sender.ssrc, 1)
    assert isinstance(leg.report(), ReceiverReport)


def test_loss_is_reported_of_the_interval_and_in_all(leg: Leg) -> None:
    leg.hear(range(10))
    assert leg.report().reports[0].fraction_lost == 0
    leg.hear(range(15, 20))
    (block,) = leg.report().reports
    assert (block.ssrc, block.highest_sequence) == (PEER, 19)
    assert (block.fraction_lost, block.cumulative_lost) == (128, 5)
    (block,) = leg.report().reports
    assert (block.fraction_lost, block.cumulative_lost) == (0, 5)


def test_a_new_source_begins_new_figures(leg: Leg) -> None:
    leg.hear(range(10))
    leg.report()
    leg.hear(range(100, 110), ssrc=7)
    (block,) = leg.report().reports
    assert (block.ssrc, block.fraction_lost, block.cumulative_lost) == (7, 0, 0)


def test_the_last_sender_report_is_given_back(leg: Leg) -> None:
    leg.hear(range(3))
    theirs = SenderReport(PEER, 0x1111_2222_3333_4444, 0, 1, 1)
    leg.session.receive(theirs.to_bytes(), 0)
    (block,) = leg.report(now_ns=SECOND // 4).reports
    assert block.last_sr == 0x2222_3333
    assert block.delay_since_last_sr == 65536 // 4


def test_a_sender_report_of_another_source_is_not(leg: Leg) -> None:
    leg.hear(range(3))
    leg.session.receive(SenderReport(1, 1 << 32, 0, 1, 1).to_bytes(), 0)
    assert leg.report().reports[0].last_sr == 0


def test_what_the_peer_lost_is_remembered(leg: Leg) -> None:
    blocks = (
        ReportBlock(leg.sender.ssrc, 0, 12, 0, 80),
        ReportBlock(99, 0, 5, 0, 8),
    )
    data = compound([ReceiverReport(PEER, blocks), Bye((PEER,))])
    leg.session.receive(data, 0)
    assert (leg.session.remote_lost, leg.session.remote_jitter_ms) == (12, 10.0)


def test_garbage_is_refused(leg: Leg) -> None:
    with pytest.raises(RtcpError):
        leg.session.receive(b"\x80", 0)


def test_the_last_report_says_goodbye(leg: Leg) -> None:
    packets = parse_compound(leg.session.bye(0, UTC))
    assert packets[-1] == Bye((leg.sender.ssrc,))


def test_names_are_random_and_intervals_too(leg: Leg) -> None:
    other = ReportSession(leg.sender, leg.reception, random.Random(4))
    descriptions = {
        parse_compound(session.report(0, UTC))[1].to_bytes()
        for session in (leg.session, leg.session, other)
        if isinstance(session, ReportSession)
    }
    assert len(descriptions) == 2
    delays = [leg.session.delay_ns() for _ in range(50)]
    assert min(delays) >= INTERVAL * SECOND / 2
    assert max(delays) <= INTERVAL * SECOND * 3 / 2
    assert len(set(delays)) > 40
