import pytest
from hypothesis import given, strategies as st

from agent.formats.rtp.packet import is_rtcp
from agent.formats.rtp.rtcp import (
    MAX_COMPOUND,
    Bye,
    ReceiverReport,
    ReportBlock,
    Rtcp,
    RtcpError,
    SdesChunk,
    SenderReport,
    SourceDescription,
    UnknownRtcp,
    compound,
    parse_compound,
)
from tests.captures import read_capture
from tests.corpora import corpus

BLOCK = ReportBlock(
    ssrc=7,
    fraction_lost=64,
    cumulative_lost=-2,
    highest_sequence=0x0001_0203,
    jitter=21,
    last_sr=0xB16A6B32,
    delay_since_last_sr=252_406,
)
SR = SenderReport(1, 0xDECEDB9B_E26C2375, 191_072, 1190, 23_800, (BLOCK,))
RR = ReceiverReport(1, (BLOCK,))
SDES = SourceDescription.of(1, b"agent")
BYE = Bye((1, 2), b"over")

words = st.integers(0, 0xFFFFFFFF)
blocks = st.builds(
    ReportBlock,
    words,
    st.integers(0, 255),
    st.integers(-0x800000, 0x7FFFFF),
    words,
    words,
    words,
    words,
)
block_lists = st.lists(blocks, max_size=31).map(tuple)
chunks = st.builds(
    SdesChunk,
    words,
    st.lists(st.tuples(st.integers(1, 255), st.binary(max_size=20)), max_size=4).map(
        tuple
    ),
)
packets = st.one_of(
    st.builds(
        SenderReport, words, st.integers(0, 2**64 - 1), words, words, words, block_lists
    ),
    st.builds(ReceiverReport, words, block_lists),
    st.builds(SourceDescription, st.lists(chunks, max_size=3).map(tuple)),
    st.builds(Bye, st.lists(words, max_size=31).map(tuple), st.binary(max_size=40)),
)


def test_compound_of_sections_6_4_to_6_6_round_trips() -> None:
    data = compound([SR, SDES, BYE])
    assert parse_compound(data) == [SR, SDES, BYE]
    assert is_rtcp(data)
    assert len(data) % 4 == 0


def test_receiver_report_octets() -> None:
    assert RR.to_bytes() == bytes.fromhex(
        "81c90007 00000001 00000007 40fffffe 00010203 00000015 b16a6b32 0003d9f6"
    )


@pytest.mark.parametrize("name", [b"", b"a", b"ab", b"abc", b"abcd", b"abcde"])
def test_sdes_chunk_ends_in_a_null_and_on_a_word(name: bytes) -> None:
    sdes = SourceDescription.of(1, name)
    data = sdes.to_bytes()
    assert len(data) % 4 == 0
    assert data.endswith(b"\0")
    assert parse_compound(data) == [sdes]


def test_loss_is_clamped_to_24_bits() -> None:
    block = ReportBlock(1, 0, 1 << 30, 0, 0)
    (report,) = parse_compound(ReceiverReport(1, (block,)).to_bytes())
    assert isinstance(report, ReceiverReport)
    assert report.reports[0].cumulative_lost == 0x7FFFFF


def test_counts_wrap_and_do_not_fail() -> None:
    (report,) = parse_compound(SenderReport(1, 0, 0, 2**32 + 5, 2**33 + 6).to_bytes())
    assert report == SenderReport(1, 0, 0, 5, 6)


def test_unknown_types_are_kept_apart() -> None:
    app = bytes.fromhex("83cc0002 00000001 54455354")
    assert parse_compound(RR.to_bytes() + app) == [
        RR,
        UnknownRtcp(204, 3, app[4:]),
    ]


def test_profile_extension_of_a_report_is_left_out() -> None:
    data = bytes.fromhex("80c90002 00000001 cafecafe")
    assert parse_compound(data) == [ReceiverReport(1)]


def test_padding_of_the_last_packet_is_cut_off() -> None:
    data = RR.to_bytes() + bytes.fromhex("a0cb0001 00000004")
    assert parse_compound(data) == [RR, Bye(())]


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        ("", "shorter than"),
        ("80c900", "shorter than"),
        ("40c90001 00000001", "version 2"),
        ("80c90002 00000001", "packet is cut off"),
        ("80c90001 00000001 80c9", "header is cut off"),
        ("80c80001 00000001", "sender report is cut off"),
        ("80c90000", "receiver report is cut off"),
        ("81c90001 00000001", "report block is cut off"),
        ("81ca0000", "SDES chunk is cut off"),
        ("81ca0001 00000001", "SDES chunk has no end"),
        ("81ca0002 00000001 01030000", "SDES item is cut off"),
        ("81ca0002 00000001 01010001", "SDES item is cut off"),
        ("82cb0001 00000001", "BYE is cut off"),
        ("81cb0002 00000001 04000000", "reason is cut off"),
        ("a0c90001 00000004 80c90001 00000001", "padding"),
        ("a0cb0000", "padding"),
        ("a0cb0001 00000000", "padding"),
        ("a0cb0001 00000005", "padding"),
    ],
)
def test_refused(data: str, fault: str) -> None:
    with pytest.raises(RtcpError, match=fault):
        parse_compound(bytes.fromhex(data))


def test_longer_than_a_frame_is_refused() -> None:
    with pytest.raises(RtcpError, match="longer than"):
        parse_compound(RR.to_bytes() * 47)
    assert len(RR.to_bytes() * 46) <= MAX_COMPOUND
    assert len(parse_compound(RR.to_bytes() * 46)) == 46


@pytest.mark.parametrize(
    "packet",
    [
        ReceiverReport(-1),
        ReceiverReport(1, (ReportBlock(1, 0, 0, 1 << 32, 0),)),
        ReceiverReport(1, (BLOCK,) * 32),
        SourceDescription.of(1, b"x" * 256),
        SourceDescription((SdesChunk(1, ((0, b"end"),)),)),
        Bye((1,), b"x" * 256),
        UnknownRtcp(204, 0, b""),
    ],
)
def test_what_does_not_fit_is_not_sent(packet: Rtcp) -> None:
    with pytest.raises(RtcpError):
        compound([packet])


def test_repr_shows_no_cname() -> None:
    assert "agent" not in repr(SDES)


@given(st.lists(packets, min_size=1, max_size=2))
def test_round_trip(sent: list[Rtcp]) -> None:
    data = compound(sent)
    if len(data) <= MAX_COMPOUND:
        assert parse_compound(data) == sent


@given(
    st.binary(max_size=100)
    | st.tuples(
        st.integers(0x80, 0xBF), st.integers(200, 204), st.binary(max_size=60)
    ).map(lambda t: bytes((t[0], t[1], 0, len(t[2]) // 4)) + t[2]),
    st.data(),
)
def test_garbage_and_every_prefix_parse_or_raise_the_one_error(
    data: bytes, draw: st.DataObject
) -> None:
    try:
        parse_compound(data[: draw.draw(st.integers(0, len(data)))])
    except RtcpError:
        return


def test_a_captured_sender_report() -> None:
    data = (corpus("rtp/rtpproxy-misc") / "rtcp1.raw").read_bytes()
    report, sdes = parse_compound(data)
    assert isinstance(report, SenderReport)
    assert (report.packet_count, report.octet_count) == (1190, 23_800)
    (block,) = report.reports
    assert (block.cumulative_lost, block.highest_sequence, block.jitter) == (
        2,
        31_520,
        2,
    )
    assert isinstance(sdes, SourceDescription)
    assert compound([report, sdes]) == data


def test_rtcp_among_captured_rtp() -> None:
    found = [
        datagram.payload
        for name in ("rtcp.a.pcap", "rtcp.o.pcap")
        for datagram in read_capture(corpus("rtp/rtpproxy-misc") / name)
        if is_rtcp(datagram.payload)
    ]
    assert len(found) == 1
    report, sdes = parse_compound(found[0])
    assert isinstance(report, SenderReport)
    assert report.ssrc == 0xF3CB2001
    assert isinstance(sdes, SourceDescription)
