from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from agent.formats.rtp.packet import (
    MAX_PACKET,
    RtpError,
    RtpPacket,
    is_rtcp,
    parse_rtp,
    payload_bounds,
)
from tests.captures import read_capture
from tests.corpora import corpus

PLAIN = RtpPacket(
    payload_type=8,
    marker=True,
    sequence_number=0xFFFE,
    timestamp=0x01020304,
    ssrc=0xDEADBEEF,
    payload=b"\xd5" * 160,
)
HEADER = bytes.fromhex("8088fffe01020304deadbeef")

words = st.integers(0, 0xFFFFFFFF)
packets = st.builds(
    RtpPacket,
    payload_type=st.integers(0, 127),
    marker=st.booleans(),
    sequence_number=st.integers(0, 0xFFFF),
    timestamp=words,
    ssrc=words,
    payload=st.binary(max_size=200),
    csrcs=st.lists(words, max_size=15).map(tuple),
)


def with_first(octet: int, rest: bytes) -> bytes:
    return bytes((octet,)) + HEADER[1:] + rest


def test_header_octets_are_those_of_section_5_1() -> None:
    assert PLAIN.to_bytes() == HEADER + b"\xd5" * 160
    assert parse_rtp(HEADER + b"\xd5" * 160) == PLAIN


def test_csrcs_are_read_and_not_payload() -> None:
    packet = replace(PLAIN, csrcs=(1, 0xFFFFFFFF))
    assert parse_rtp(packet.to_bytes()) == packet
    assert payload_bounds(packet.to_bytes()) == (20, 180)


def test_extension_is_skipped() -> None:
    data = with_first(0x90, bytes.fromhex("bede0002") + bytes(8) + b"audio")
    assert payload_bounds(data) == (24, 29)
    assert parse_rtp(data).payload == b"audio"


def test_padding_is_cut_off() -> None:
    data = with_first(0xA0, b"audio\0\0\x03")
    assert parse_rtp(data).payload == b"audio"


def test_csrcs_extension_and_padding_together() -> None:
    body = bytes(4) + bytes.fromhex("bede0001") + bytes(4) + b"a\0\x02"
    assert parse_rtp(with_first(0xB1, body)).payload == b"a"


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", "shorter than an RTP header"),
        (HEADER[:-1], "shorter than an RTP header"),
        (HEADER + bytes(MAX_PACKET - 11), "longer than 1500 octets"),
        (with_first(0x40, b"audio"), "not RTP version 2"),
        (with_first(0xC0, b"audio"), "not RTP version 2"),
        (with_first(0x8F, bytes(59)), "header and padding overlap"),
        (with_first(0x90, b"\xbe\xde\0"), "the header extension is cut off"),
        (with_first(0x90, b"\xbe\xde\0\x01abc"), "header and padding overlap"),
        (with_first(0x90, b"\xbe\xde\xff\xff" + bytes(99)), "overlap"),
        (with_first(0xA0, b"audio\0"), "the padding claims no octets"),
        (with_first(0xA0, b"audio\x07"), "header and padding overlap"),
    ],
)
def test_refused(data: bytes, fault: str) -> None:
    with pytest.raises(RtpError, match=fault):
        parse_rtp(data)


def test_longest_and_emptiest_packets_are_taken() -> None:
    assert payload_bounds(HEADER) == (12, 12)
    assert payload_bounds(HEADER + bytes(MAX_PACKET - 12)) == (12, MAX_PACKET)
    assert payload_bounds(with_first(0xA0, b"\x01")) == (12, 12)


@pytest.mark.parametrize(
    "wrong",
    [
        {"payload_type": 128},
        {"sequence_number": 1 << 16},
        {"timestamp": -1},
        {"ssrc": 1 << 32},
        {"csrcs": (1 << 32,)},
        {"csrcs": (0,) * 16},
        {"payload": bytes(MAX_PACKET)},
    ],
)
def test_what_does_not_fit_is_not_sent(wrong: dict[str, object]) -> None:
    with pytest.raises(RtpError):
        replace(PLAIN, **wrong).to_bytes()


def test_repr_shows_no_audio() -> None:
    packet = replace(PLAIN, payload=b"1234")
    assert "1234" not in repr(packet)
    assert "4 octets" in repr(packet)


@pytest.mark.parametrize(
    ("data", "verdict"),
    [
        (bytes((0x80, 200, 0, 6)), True),
        (bytes((0x81, 223)), True),
        (bytes((0x80, 192)), True),
        (bytes((0x80, 191)), False),
        (bytes((0x80, 224)), False),
        (HEADER, False),
        (bytes((0x40, 200, 0, 6)), False),
        (b"\x80", False),
        (b"", False),
    ],
)
def test_rtcp_is_told_by_its_packet_type(data: bytes, verdict: bool) -> None:
    assert is_rtcp(data) is verdict


@given(packets)
def test_round_trip(packet: RtpPacket) -> None:
    assert parse_rtp(packet.to_bytes()) == packet


@given(st.binary(max_size=80) | packets.map(RtpPacket.to_bytes), st.data())
def test_garbage_and_every_prefix_parse_or_raise_the_one_error(
    data: bytes, draw: st.DataObject
) -> None:
    data = data[: draw.draw(st.integers(0, len(data)))]
    try:
        start, end = payload_bounds(data)
    except RtpError:
        return
    assert 12 <= start <= end <= len(data)
    assert parse_rtp(data).payload == data[start:end]


@pytest.mark.parametrize(
    ("name", "fault"),
    [("rtp-seg-fault-1", "longer than"), ("rtp-seg-fault-2", "shorter than")],
)
def test_what_crashed_a_dissector_is_refused(name: str, fault: str) -> None:
    (datagram,) = read_capture(corpus(f"pcap/tcpdump/{name}.pcapng"))
    with pytest.raises(RtpError, match=fault):
        parse_rtp(datagram.payload)
