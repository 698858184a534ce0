import random
from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from agent.formats.rtp.packet import RtpPacket, parse_rtp
from agent.media.sender import Sender

MS = 1_000_000
START = 10**12
AUDIO = b"\xd5" * 160


class Stream:
    """An origin of audio."""

    def __init__(self, clock_rate: int = 8000) -> None:
        self.clock_rate = clock_rate


@pytest.fixture
def sender() -> Sender:
    return Sender(random.Random(7))


def relay(
    sender: Sender,
    stream: Stream,
    sequence: int,
    timestamp: int,
    now_ms: int,
    *,
    second: int = 8,
    payload: bytes = AUDIO,
) -> RtpPacket | None:
    data = sender.relay(
        stream, second, sequence, timestamp, payload, START + now_ms * MS
    )
    return parse_rtp(data) if data else None


def frame(sender: Sender, stream: Stream, now_ms: int, *, skip: int = 0) -> RtpPacket:
    return parse_rtp(sender.frame(stream, 8, AUDIO, START + now_ms * MS, skip=skip))


def steps(packets: list[RtpPacket]) -> list[tuple[int, int]]:
    return [
        (
            (b.sequence_number - a.sequence_number) & 0xFFFF,
            (b.timestamp - a.timestamp) & 0xFFFFFFFF,
        )
        for a, b in pairwise(packets)
    ]


def test_notice_ringback_and_conversation_are_one_stream(sender: Sender) -> None:
    notice, ringback, officer = Stream(), Stream(), Stream()
    packets = [frame(sender, notice, 20 * n) for n in range(3)]
    packets += [frame(sender, ringback, 60 + 20 * n) for n in range(2)]
    for n in range(3):
        packet = relay(
            sender, officer, 65534 + n & 0xFFFF, 4294967136 + 160 * n, 101 + 20 * n
        )
        assert packet is not None
        packets.append(packet)
    assert {packet.ssrc for packet in packets} == {sender.ssrc}
    assert steps(packets) == [(1, 160)] * 7
    assert [p.marker for p in packets] == [
        True, False, False, True, False, True, False, False
    ]  # fmt: skip


def test_a_pause_before_a_switch_is_in_the_timestamps(sender: Sender) -> None:
    first = frame(sender, Stream(), 0)
    second = relay(sender, Stream(), 7, 7, 1000)
    assert second is not None
    assert steps([first, second]) == [(1, 8000)]


def test_a_wake_up_a_little_late_is_no_pause(sender: Sender) -> None:
    first = frame(sender, Stream(), 0)
    second = frame(sender, Stream(), 39)
    assert steps([first, second]) == [(1, 160)]


def test_skipped_time_is_marked(sender: Sender) -> None:
    stream = Stream()
    first, second = frame(sender, stream, 0), frame(sender, stream, 500, skip=3840)
    assert steps([first, second]) == [(1, 4000)]
    assert second.marker


def test_gaps_and_reordering_of_the_source_pass_through(sender: Sender) -> None:
    stream = Stream()
    packets = [
        relay(sender, stream, sequence, 160 * sequence, 20 * n)
        for n, sequence in enumerate((100, 101, 104, 103, 105))
    ]
    assert all(packets)
    base = packets[0]
    assert base is not None
    assert [
        (packet.sequence_number - base.sequence_number) & 0xFFFF
        for packet in packets
        if packet
    ] == [0, 1, 4, 3, 5]
    assert packets[3] is not None
    assert (packets[3].timestamp - base.timestamp) & 0xFFFFFFFF == 480


def test_what_a_switch_overtook_is_not_sent(sender: Sender) -> None:
    frame(sender, Stream(), 0)
    stream = Stream()
    assert relay(sender, stream, 50, 8000, 20)
    assert relay(sender, stream, 49, 7840, 21) is None
    assert relay(sender, stream, 51, 8160, 40)
    assert sender.packets == 3


def test_long_after_a_switch_a_late_packet_is_just_late(sender: Sender) -> None:
    stream = Stream()
    for n in range(40_000):
        relay(sender, stream, n & 0xFFFF, 160 * n, 20 * n)
    assert relay(sender, stream, 39_990, 160 * 39_990, 800_000)


def test_a_payload_type_and_a_marker_of_the_source_are_kept(sender: Sender) -> None:
    stream = Stream()
    relay(sender, stream, 1, 160, 0)
    event = relay(sender, stream, 2, 320, 20, second=0x80 | 101, payload=b"\1\2\3\4")
    assert event is not None
    assert (event.payload_type, event.marker, event.payload) == (101, True, b"\1\2\3\4")


def test_counts_are_those_of_a_sender_report(sender: Sender) -> None:
    stream = Stream()
    first = frame(sender, stream, 0)
    frame(sender, stream, 20)
    assert (sender.packets, sender.octets) == (2, 320)
    at = sender.timestamp_at(START + 30 * MS)
    assert (at - first.timestamp) & 0xFFFFFFFF == 240


def test_another_source_goes_on_in_time_but_counts_anew(sender: Sender) -> None:
    notice, officer = Stream(), Stream()
    before = frame(sender, notice, 0)
    sender.renew(random.Random(8))
    after = frame(sender, notice, 20)
    assert after.ssrc == sender.ssrc != before.ssrc
    assert after.sequence_number < 0x8001
    assert after.marker
    assert (after.timestamp - before.timestamp) & 0xFFFFFFFF == 160
    assert (sender.packets, sender.packets_before) == (1, 1)
    assert (sender.octets, sender.octets_before) == (160, 160)
    assert relay(sender, officer, 9, 1440, 40) is not None
    sender.renew(random.Random(9))
    relayed = relay(sender, officer, 10, 1600, 60)
    assert relayed is not None
    assert relayed.marker
    assert sender.packets_before == 3


def test_the_first_sequence_number_is_in_the_lower_half() -> None:
    assert all(Sender(random.Random(n)).sequence < 0x8000 for n in range(100))


@given(
    st.lists(
        st.tuples(st.booleans(), st.integers(0, 3), st.integers(0, 200)), max_size=60
    )
)
def test_sequence_numbers_never_repeat_over_any_switches(
    actions: list[tuple[bool, int, int]],
) -> None:
    sender = Sender(random.Random(1))
    streams, playouts = [[Stream() for _ in range(4)] for _ in range(2)]
    sequences = [10, 20_000, 40_000, 65_530]
    seen: list[int] = []
    now_ms = 0
    for is_frame, index, wait in actions:
        now_ms += wait
        if is_frame:
            seen.append(frame(sender, playouts[index], now_ms).sequence_number)
            continue
        sequences[index] = sequences[index] + 1 & 0xFFFF
        packet = relay(
            sender, streams[index], sequences[index], 160 * sequences[index], now_ms
        )
        assert packet is not None
        seen.append(packet.sequence_number)
    distances = [(b - a) & 0xFFFF for a, b in pairwise(seen)]
    assert distances == [1] * len(distances)


OPUS_20_MS = bytes((19 << 3, 1, 2, 3))


def opus_frame(sender: Sender, stream: Stream, now_ms: int, skip: int = 0) -> RtpPacket:
    return parse_rtp(
        sender.frame(stream, 107, OPUS_20_MS, START + now_ms * MS, skip=skip)
    )


def test_opus_counts_by_its_packets_durations(sender: Sender) -> None:
    stream = Stream(48_000)
    packets = [opus_frame(sender, stream, 20 * n) for n in range(3)]
    packets.append(opus_frame(sender, stream, 160, skip=4800))
    assert steps(packets) == [(1, 960), (1, 960), (1, 5760)]
    assert sender.duration_ns == 20 * MS
    assert sender.timestamp_at(START + 170 * MS) == packets[-1].timestamp + 480


def test_a_switch_between_opus_streams_is_back_to_back(sender: Sender) -> None:
    notice, officer = Stream(48_000), Stream(48_000)
    first = opus_frame(sender, notice, 0)
    second = relay(sender, officer, 7, 7, 25, second=107, payload=OPUS_20_MS)
    third = relay(sender, Stream(48_000), 9, 9, 1025, second=107, payload=OPUS_20_MS)
    assert second is not None
    assert third is not None
    assert steps([first, second, third]) == [(1, 960), (1, 48_000)]


def test_another_clock_is_another_source(sender: Sender) -> None:
    """RFC 7160 section 4.1."""
    before = [frame(sender, Stream(), 20 * n) for n in range(3)]
    opus = opus_frame(sender, Stream(48_000), 60)
    assert {packet.ssrc for packet in before} != {opus.ssrc}
    assert opus.marker
    assert (sender.packets, sender.packets_before) == (1, 3)
    back = relay(sender, Stream(), 5, 5, 80)
    assert back is not None
    assert back.ssrc not in {opus.ssrc, before[0].ssrc}
    assert (sender.octets, sender.octets_before) == (160, 484)


def test_the_first_packet_decides_the_clock_of_a_source(sender: Sender) -> None:
    ssrc = sender.ssrc
    assert opus_frame(sender, Stream(48_000), 0).ssrc == ssrc
