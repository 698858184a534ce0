"""RTP clocks that wrap, jump, stop and begin anew."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from agent.formats.timeline import (
    Gap,
    GapReason,
    LegFigures,
    LegResult,
)
from tests.formats.streams import (
    MS,
    START,
    Leg,
    finish,
    of_frames,
    placed,
    result_of,
    sender,
    steady,
    without,
)


def test_sequence_number_wraps() -> None:
    result = result_of(sender(range(10), first_sequence=65_533))
    assert placed(result) == steady(range(10))
    assert result.figures == LegFigures(packets=10, ssrcs=1)


def test_timestamp_wraps() -> None:
    result = result_of(sender(range(10), first_timestamp=2**32 - 800))
    assert placed(result) == steady(range(10))
    assert result.figures.rebased == 0


@pytest.mark.parametrize("jump", [10_000_000, 2**31, -9_000, 2**32 - 20_000])
def test_timestamp_jump_without_time_is_another_clock(jump: int) -> None:
    second = sender(
        range(5), start=100, first_sequence=105, first_timestamp=10_800 + jump
    )
    result = result_of(sender(range(5)) + second)
    assert placed(result) == steady(range(5)) + steady(range(5), first=800)
    assert result.gaps == []
    assert result.figures.rebased == 1


def test_clock_that_disagrees_by_less_than_a_second_is_believed() -> None:
    second = sender(range(5), start=1000, first_sequence=105, first_timestamp=12_400)
    result = result_of(sender(range(5)) + second, milliseconds=1100)
    assert placed(result)[5:] == steady(range(5), first=2400)
    assert result.figures.rebased == 0
    assert result.figures.late == 5


def test_clock_that_stops_while_nothing_is_sent() -> None:
    second = sender(range(5), start=5000, first_sequence=105, first_timestamp=10_800)
    result = result_of(sender(range(5)) + second, milliseconds=5100)
    assert placed(result) == steady(range(5)) + steady(range(5), first=40_000)
    assert result.figures.rebased == 1


@pytest.mark.parametrize("timestamp", [2**31 + 11_000, 5_000_000, 2_000_000_000])
def test_one_wild_timestamp_is_disbelieved(timestamp: int) -> None:
    sent = sender(range(10))
    wild = replace(sent[5].packet, timestamp=timestamp)
    sent[5] = sent[5]._replace(packet=wild)
    result = result_of(sent)
    assert placed(result) == steady([0, 1, 2, 3, 4, 6, 7, 8, 9])
    assert result.figures.invalid == 1
    assert result.figures.lost == 0


@pytest.mark.parametrize("step", [20_000, -20_000, 32_768, 3000, -101])
def test_one_wild_sequence_number_is_disbelieved(step: int) -> None:
    sent = sender(range(10))
    sent += sender([0], start=85, first_sequence=(104 + step) % 65_536)
    result = result_of(sent)
    assert placed(result) == steady(range(10))
    assert result.figures.invalid == 1
    assert result.figures.lost == 0


@pytest.mark.parametrize("step", [20_000, -20_000])
def test_restart_of_the_sequence_is_followed(step: int) -> None:
    second = sender(
        range(5), start=100, first_sequence=105 + 30_000 + step, first_timestamp=10_800
    )
    result = result_of(sender(range(5), first_sequence=30_100) + second)
    assert placed(result) == steady(range(5)) + steady(range(5), first=800)
    assert result.figures.lost == 0


def test_wild_packet_allocates_nothing() -> None:
    sent = sender(range(3)) + sender(
        range(3), start=60, first_sequence=103, first_timestamp=3_000_000_000
    )
    result = result_of(sent, milliseconds=120)
    assert result.total == 960
    assert sum(f.length for f in result.frames) == 960


@pytest.mark.parametrize("lost", [(2,), (3,), (2, 3), (1, 2, 3, 4), range(1, 8)])
def test_loss_where_the_sequence_wraps(lost: Sequence[int]) -> None:
    """Numbers 65534 to 8; 0 is the third."""
    sent = without(sender(range(10), first_sequence=65_534), *lost)
    result = result_of(sent)
    assert placed(result) == steady([n for n in range(10) if n not in lost])
    assert result.gaps == [Gap(160 * lost[0], 160 * len(lost), GapReason.LOST)]
    assert result.figures == LegFigures(packets=10 - len(lost), lost=len(lost), ssrcs=1)


def test_reordering_where_the_sequence_and_the_timestamp_wrap() -> None:
    sent = sender(range(10), first_sequence=65_532, first_timestamp=2**32 - 640)
    sent[3] = sent[3]._replace(at=95)
    result = result_of(sent)
    assert placed(result) == steady(range(10))
    assert result.figures == LegFigures(
        packets=10, ssrcs=1, reordered=1, **jitter_of(result)
    )


def test_timestamp_of_48_khz_wraps_within_the_hour() -> None:
    """Opus, an hour of it, and the wrap after half: nothing moves, nothing restarts."""
    leg = Leg({96: "opus"}, START)
    payload = bytes((19 << 3, 0xFF, 0xFE))
    count = 3600 * 50
    for n in range(count):
        timestamp = (2**32 - 1800 * 48_000 + n * 960) % 2**32
        header = b"\x80\x60" + (n % 65_536).to_bytes(2, "big")
        data = header + timestamp.to_bytes(4, "big") + bytes(4) + payload
        leg.take(START + n * 20 * MS, data)
    result = finish(leg, milliseconds=3_600_000)
    assert of_frames(result, "position").tolist() == list(range(0, count * 960, 960))
    assert result.gaps == []
    assert result.figures == LegFigures(packets=count, ssrcs=1)


def jitter_of(result: LegResult) -> dict[str, float]:
    figures = result.figures
    return {"jitter_ms": figures.jitter_ms, "jitter_max_ms": figures.jitter_max_ms}
