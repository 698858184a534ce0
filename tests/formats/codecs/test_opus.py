from itertools import islice

import pytest
from hypothesis import given, strategies as st

from agent.formats.codecs import opus
from agent.formats.codecs.opus import (
    FRAME_TICKS,
    concealment,
    frame_count,
    is_well_formed,
    is_wide,
    packet_ticks,
)
from agent.formats.codecs.opus_audio import decode

CELT_20 = 19 << 3
"Narrow-band CELT, 20 ms."


def packet(code: int, *rest: int, configuration: int = 19) -> bytes:
    return bytes((configuration << 3 | code, *rest))


def test_table_2_of_the_rfc() -> None:
    milliseconds = [ticks / 48 for ticks in FRAME_TICKS]
    assert milliseconds[:12] == [10, 20, 40, 60] * 3
    assert milliseconds[12:16] == [10, 20] * 2
    assert milliseconds[16:] == [2.5, 5, 10, 20] * 4


@pytest.mark.parametrize(
    ("data", "ticks"),
    [
        (b"", 0),
        (packet(0), 960),
        (packet(1), 1920),
        (packet(2, 0), 1920),
        (packet(3), 0),
        (packet(3, 0), 0),
        (packet(3, 1), 960),
        (packet(3, 6), 5760),
        (packet(3, 7), 0),
        (packet(3, 48, configuration=16), 5760),
        (packet(3, 49, configuration=16), 0),
        (packet(0, configuration=16), 120),
        (packet(0, configuration=3), 2880),
    ],
)
def test_durations(data: bytes, ticks: int) -> None:
    assert packet_ticks(data) == ticks


@pytest.mark.parametrize(
    ("configuration", "wide"),
    [(0, False), (11, False), (12, True), (15, True), (16, False), (23, False),
     (24, True), (31, True)],
)  # fmt: skip
def test_what_may_be_above_8_khz(configuration: int, *, wide: bool) -> None:
    assert is_wide(configuration << 3 | 3) is wide


def test_nothing_has_no_frames() -> None:
    assert frame_count(b"") == 0


def test_concealment_lasts_as_long() -> None:
    for data in (packet(0, 1), packet(1, 1, 1), packet(3, 5, 1)):
        lost = concealment(data)
        assert len(lost) == frame_count(data)
        assert sum(map(packet_ticks, lost)) == packet_ticks(data)
        assert all(map(is_well_formed, lost))


def vbr(*sizes: int) -> tuple[int, ...]:
    return (0x80 | len(sizes), *sizes[:-1], *bytes(sum(sizes)))


@pytest.mark.parametrize(
    ("data", "verdict"),
    [
        (b"", False),
        (packet(0), True),
        (packet(0, *bytes(1275)), True),
        (packet(0, *bytes(1276)), False),
        (packet(1, 1, 1), True),
        (packet(1, 1), False),
        (packet(1, *bytes(2552)), False),
        (packet(2), False),
        (packet(2, 0), True),
        (packet(2, 1), False),
        (packet(2, 1, 7, 8, 9), True),
        (packet(2, 252), False),
        (packet(2, 252, 0, *bytes(252)), True),
        (packet(2, 253, 1, *bytes(256)), False),
        (packet(2, 0, *bytes(1276)), False),
        (packet(3), False),
        (packet(3, 2, 1, 1), True),
        (packet(3, 2, 1), False),
        (packet(3, 1, *bytes(1276)), False),
        (packet(3, *vbr(1, 2, 3)), True),
        (packet(3, 0x83, 1), False),
        (packet(3, 0x83, 1, 252), False),
        (packet(3, 0x82, 2, 0), False),
        (packet(3, 0x81, *bytes(1276)), False),
        (packet(3, 0x41), False),
        (packet(3, 0x41, 2, 9, 0, 0), True),
        (packet(3, 0x41, 3, 0, 0), False),
        (packet(3, 0x41, 255), False),
        (packet(3, 0x41, 255, 0, *bytes(254)), True),
        (packet(3, 0x41, 255, 1, *bytes(254)), False),
    ],
)
def test_what_a_decoder_must_take(data: bytes, *, verdict: bool) -> None:
    assert is_well_formed(data) is verdict


@given(st.binary(max_size=40))
def test_what_is_well_formed_is_decoded_whole(data: bytes) -> None:
    """libopus as the judge: none of these may end the stream."""
    if not is_well_formed(data):
        return
    ticks = packet_ticks(data)
    stream = [(data, True)] * 2
    assert [len(samples) for samples in islice(decode(stream, 48_000), 2)] == [
        ticks
    ] * 2


def test_the_numbers_are_those_of_the_rfcs() -> None:
    assert (opus.CLOCK_RATE, opus.MAX_TICKS, opus.MAX_FRAME) == (48_000, 5760, 1275)
