"""Other people's calls: the figures they publish."""

import pytest

from agent.formats.timeline import (
    LegTimeline,
)
from tests.captures import read_capture
from tests.corpora import corpus
from tests.formats.streams import (
    CODECS,
)

NAMES = {0: "PCMU", 3: "GSM", 8: "PCMA", 9: "G722", 18: "G729"}


@pytest.mark.parametrize(
    ("name", "packets", "duplicates", "lost", "jitter"),
    [
        ("call1_alaw.a", 405, 0, 0, 21.109),
        ("call1_alaw.o", 405, 0, 0, 20.023),
        ("call1_ulaw.a", 592, 1, 0, 23.605),
        ("call1_ulaw.o", 591, 0, 0, 25.140),
        ("call1_g722.a", 624, 0, 0, 105.521),
        ("call1_g722.o", 619, 0, 0, 24.278),
        ("call1_g729.a", 519, 0, 0, 17.822),
        ("call1_g729.o", 519, 0, 0, 16.064),
        ("call1_gsm.a", 966, 3, 1, 114.767),
        ("call1_gsm.o", 978, 1, 0, 52.277),
        ("call1_g722_srtp.a", 1168, 0, 0, 2.124),
        ("call1_g722_srtp.o", 1172, 0, 0, 7.586),
        ("corrupted_g722.o", 383, 0, 0, 2.293),
        # rtpproxy counts one more: a packet of another source, once.
        ("corrupted_g722.a", 393, 0, 0, 5.902),
    ],
)
def test_captured_calls_have_the_published_figures(
    name: str, packets: int, duplicates: int, lost: int, jitter: float
) -> None:
    """The values of rtpproxy's .output files; its jitter is in samples."""
    datagrams = read_capture(corpus("rtp/rtpproxy-extractaudio") / f"{name}.rtp")
    leg = LegTimeline(NAMES, datagrams[0].time_ns)
    for datagram in datagrams:
        leg.add(datagram.time_ns, datagram.payload)
    figures = leg.finish(datagrams[-1].time_ns).figures
    assert (figures.packets, figures.duplicates, figures.lost) == (
        packets,
        duplicates,
        lost,
    )
    assert (figures.ssrcs, figures.rebased) == (1, 0)
    assert figures.jitter_ms * 8 == pytest.approx(jitter, rel=0.02)


def test_captured_digits_are_not_audio() -> None:
    datagrams = read_capture(corpus("rtp/rtpproxy-misc") / "dtmf.pcap")
    leg = LegTimeline(CODECS, datagrams[0].time_ns)
    for datagram in datagrams:
        leg.add(datagram.time_ns, datagram.payload)
    result = leg.finish(datagrams[-1].time_ns)
    assert list(result.frames) == []
    assert result.figures.ssrcs == 2
    assert result.figures.packets + result.figures.duplicates == len(datagrams)


def test_captured_leg_with_a_report_among_its_audio() -> None:
    datagrams = read_capture(corpus("rtp/rtpproxy-misc") / "rtcp.o.pcap")
    leg = LegTimeline(CODECS, datagrams[0].time_ns)
    for datagram in datagrams:
        leg.add(datagram.time_ns, datagram.payload)
    figures = leg.finish(datagrams[-1].time_ns).figures
    # rtpproxy takes the report for a third source's packet, and so sees no loss.
    assert (figures.packets, figures.lost, figures.invalid) == (229, 1, 1)
