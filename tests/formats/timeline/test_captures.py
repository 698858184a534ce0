"""Other people's captures; whole calls are in tests/conformance/test_recordings.py."""

from tests.captures import read_capture
from tests.corpora import corpus
from tests.formats.streams import (
    CODECS,
    Leg,
)


def test_captured_digits_are_not_audio() -> None:
    datagrams = read_capture(corpus("rtp/rtpproxy-misc") / "dtmf.pcap")
    leg = Leg(CODECS, datagrams[0].time_ns)
    for datagram in datagrams:
        leg.take(datagram.time_ns, datagram.payload)
    result = leg.finish(datagrams[-1].time_ns)
    assert list(result.frames) == []
    assert result.figures.ssrcs == 2
    assert result.figures.packets + result.figures.duplicates == len(datagrams)


def test_captured_leg_with_a_report_among_its_audio() -> None:
    datagrams = read_capture(corpus("rtp/rtpproxy-misc") / "rtcp.o.pcap")
    leg = Leg(CODECS, datagrams[0].time_ns)
    for datagram in datagrams:
        leg.take(datagram.time_ns, datagram.payload)
    figures = leg.finish(datagrams[-1].time_ns).figures
    # rtpproxy takes the report for a third source's packet, and so sees no loss.
    assert (figures.packets, figures.lost, figures.invalid) == (229, 1, 1)
