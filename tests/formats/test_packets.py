from hypothesis import given, strategies as st

from agent.formats.packets import Packets, Said
from agent.formats.rtp.packet import RtpError, parse_rtp
from tests.formats.streams import sender

CODECS = {8: "PCMA", 0: "PCMU", 13: "CN", 96: "opus"}
RTP = st.builds(
    lambda first, payload_type, rest: bytes((first, payload_type)) + rest,
    st.sampled_from([0x80, 0x80, 0x90, 0xA0, 0x81, 0x00]),
    st.sampled_from([8, 0, 13, 96, 0x80 | 96, 55]),
    st.binary(min_size=10, max_size=80),
)


@given(st.lists(st.one_of(RTP, st.binary(max_size=40)), max_size=30))
def test_whatever_comes_is_read_or_refused(packets: list[bytes]) -> None:
    """As one packet at a time is, its payload at its place."""
    kept, data = Packets(CODECS), b""
    expected = []
    for number, packet in enumerate(packets):
        kept.add(number, packet, len(data))
        data += packet
        try:
            parsed = parse_rtp(packet)
        except RtpError:
            continue
        if parsed.payload_type in CODECS:
            expected.append((number, parsed))
    kept.settle()
    columns = {said: kept.table.column(said).tolist() for said in Said}
    assert columns[Said.ARRIVAL] == [number for number, _ in expected]
    assert columns[Said.SEQUENCE] == [p.sequence_number for _, p in expected]
    assert columns[Said.TIMESTAMP] == [p.timestamp for _, p in expected]
    assert columns[Said.SSRC] == [p.ssrc for _, p in expected]
    places = zip(columns[Said.PLACE], columns[Said.OCTETS], strict=True)
    found = [data[place : place + size] for place, size in places]
    assert found == [p.payload for _, p in expected]
    names = [kept.names[codec] for codec in columns[Said.CODEC]]
    assert names == [CODECS[p.payload_type] for _, p in expected]
    assert kept.refused == len(packets) - len(expected)


def test_only_audio_lasts_and_only_some_opus_is_wide() -> None:
    kept = Packets(CODECS)
    # RFC 6716 table 2: configurations 1 (SILK, 20 ms) and 31 (CELT, 20 ms).
    payloads = {8: bytes(160), 13: b"\x40", 96: bytes((1 << 3,)), 0: b""}
    sent = list(payloads.items())
    sent.append((96, bytes((31 << 3,))))
    for number, (kind, payload) in enumerate(sent):
        header = bytes((0x80, kind)) + number.to_bytes(2, "big") + bytes(8)
        kept.add(0, header + payload, 0)
    kept.settle()
    assert kept.table.column(Said.TICKS).tolist() == [160, 0, 960, 0, 960]
    wide = kept.table.column(Said.WIDE).tolist()
    assert (wide[2], wide[4]) == (0, 1)


def test_what_a_type_means_holds_from_the_next_packet_on() -> None:
    kept = Packets({8: "PCMA"})
    for number, meaning in enumerate(({8: "PCMU"}, {9: "G722"}, {8: "PCMA"})):
        [(_, packet)] = sender([number])
        kept.add(number, packet.to_bytes(), 0)
        kept.set_codecs(meaning)
    kept.settle()
    codecs = kept.table.column(Said.CODEC).tolist()
    assert [kept.names[codec] for codec in codecs] == ["PCMA", "PCMU"]
    assert kept.refused == 1
