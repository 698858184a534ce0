from agent.common.clock import monotonic_ns
from agent.formats.rtp.rtcp import Bye, ReceiverReport, ReportBlock, parse_compound
from agent.model.media import Latch
from tests.media.legs import Bench
from tests.media.phones import Phone


def rtcp(bench: Bench, phone: Phone, data: bytes) -> None:
    phone.rtcp.sendto(data, bench.a.rtcp.channel.getsockname())
    bench.a.on_rtcp()


def test_the_peers_reports_are_taken(bench: Bench) -> None:
    bench.configure()
    block = ReportBlock(bench.a.sender.ssrc, 0, 3, 0, 16)
    rtcp(bench, bench.phones[0], ReceiverReport(1, (block,)).to_bytes())
    assert (bench.a.stats.remote_lost, bench.a.stats.remote_jitter_ms) == (3, 2.0)
    rtcp(bench, bench.phones[0], b"garbage")
    assert bench.a.stats.invalid == 1


def test_reports_follow_the_peers_port_but_no_stranger(bench: Bench) -> None:
    bench.configure()
    with Phone() as moved:
        rtcp(bench, moved, ReceiverReport(1).to_bytes())
        bench.a.send_report(monotonic_ns())
        assert parse_compound(moved.rtcp.recv(2000))
        bench.a.configure(bench.phones[0].negotiated(), Latch.OFF)
        rtcp(bench, moved, ReceiverReport(1).to_bytes())
        bench.a.send_report(monotonic_ns(), bye=True)
        last = parse_compound(bench.phones[0].rtcp.recv(2000))
        assert isinstance(last[-1], Bye)


def test_before_the_negotiation_rtcp_is_foreign(bench: Bench) -> None:
    rtcp(bench, bench.phones[0], ReceiverReport(1).to_bytes())
    assert bench.a.stats.foreign == 1


def test_reports_share_rtps_port_where_that_was_agreed(bench: Bench) -> None:
    bench.configure(rtcp_mux=True)
    phone = bench.phones[0]
    block = ReportBlock(bench.a.sender.ssrc, 0, 5, 0, 16)
    phone.send(ReceiverReport(1, (block,)).to_bytes())
    bench.a.on_rtp()
    assert bench.a.stats.remote_lost == 5
    bench.a.send_report(monotonic_ns())
    assert parse_compound(phone.rtp.recv(2000))
