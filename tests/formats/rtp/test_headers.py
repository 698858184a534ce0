from array import array

from hypothesis import given, strategies as st

from agent.formats.rtp.headers import parse_headers
from agent.formats.rtp.packet import MAX_PACKET, RtpError, parse_rtp, payload_bounds


def test_nothing() -> None:
    assert len(parse_headers(bytearray(), array("H")).valid) == 0


@given(
    st.lists(
        st.tuples(
            st.sampled_from([0x80, 0x80, 0x81, 0x90, 0xA0, 0xB2, 0x40]),
            st.binary(min_size=11, max_size=60),
        ).map(lambda pair: bytes((pair[0],)) + pair[1]),
        max_size=8,
    )
)
def test_each_packet_is_read_as_if_alone(packets: list[bytes]) -> None:
    headers = parse_headers(bytearray(b"".join(packets)), array("H", map(len, packets)))
    start = 0
    for at, data in enumerate(packets):
        try:
            packet = parse_rtp(data)
        except RtpError:
            assert not headers.valid[at]
        else:
            assert headers.valid[at]
            assert headers.payload_type[at] == packet.payload_type
            assert headers.sequence[at] == packet.sequence_number
            assert headers.timestamp[at] == packet.timestamp
            assert headers.ssrc[at] == packet.ssrc
            low, high = payload_bounds(data)
            assert headers.payload[at] == start + low
            assert headers.length[at] == high - low
        start += len(data)


def test_a_plain_packet_may_be_too_long_as_well() -> None:
    sizes = array("H", (MAX_PACKET, MAX_PACKET + 1))
    packets = bytearray(b"\x80" + bytes(MAX_PACKET - 1) + b"\x80" + bytes(MAX_PACKET))
    assert parse_headers(packets, sizes).valid.tolist() == [True, False]
