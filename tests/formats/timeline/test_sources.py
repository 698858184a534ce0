"""One source after another, beside another, or in its name."""

import pytest

from agent.formats.timeline import MAX_SOURCES, Gap, GapReason
from tests.formats.streams import (
    of_frames,
    placed,
    result_of,
    sender,
    steady,
    without,
)


def test_new_source_follows_the_old() -> None:
    second = sender(range(5), start=100, ssrc=0xB, first_timestamp=77)
    result = result_of(sender(range(5)) + second)
    assert placed(result) == steady(range(5)) + steady(range(5), first=800)
    assert (result.figures.ssrcs, result.figures.ssrc_changes) == (2, 1)


def test_source_of_one_packet_is_not_believed() -> None:
    result = result_of(sender(range(9)) + sender([0], start=65, ssrc=0xB))
    assert placed(result) == steady(range(9))
    assert (result.figures.ssrcs, result.figures.invalid) == (1, 1)


def test_source_beside_another_takes_nothing_from_it() -> None:
    spoofed = sender(range(200, 203), start=-4000 + 45, ssrc=0xB)
    result = result_of(without(sender(range(10)), 4) + spoofed)
    assert placed(result) == [
        *steady(range(4)),
        (640, 40, 201),
        (680, 120, 202),
        *steady(range(5, 10)),
    ]
    assert result.figures.ssrc_changes == 2
    assert result.figures.outside == 1


def test_only_so_many_sources() -> None:
    sent = sender(range(10))
    for ssrc in range(0x100, 0x100 + 2 * MAX_SOURCES):
        sent += sender(range(2), start=40, ssrc=ssrc)
    result = result_of(sent)
    assert placed(result) == steady(range(10))
    assert result.figures.ssrcs == MAX_SOURCES
    assert result.figures.invalid == 2 * (MAX_SOURCES + 1)


OTHER = {"first_sequence": 50_000, "first_timestamp": 3_000_000_000}


def test_two_senders_of_one_ssrc_do_not_drown_each_other() -> None:
    """The first stays whole; the other is heard where the first is silent."""
    first = without(sender(range(600)), *range(300, 500))
    second = sender(range(150, 800), start=5, **OTHER)
    result = result_of(first + second, milliseconds=16_005)
    assert placed(result) == [
        *steady(range(300)),
        (48_000, 40, 299 % 256),
        *steady(range(300, 499), first=40),
        (79_880, 120, 499 % 256),
        *steady(range(500, 600)),
        (96_000, 40, 599 % 256),
        *steady(range(600, 800), first=40),
    ]
    assert result.figures.ssrcs == 1
    assert result.figures.rebased == result.figures.invalid == 0
    assert result.figures.lost == 0


@pytest.mark.parametrize("ppm", [(400, -400), (0, 300)])
def test_two_senders_of_one_ssrc_have_a_clock_each(ppm: tuple[int, int]) -> None:
    """The first leaves after two minutes; the other was there all the time."""
    first = sender(range(6000))
    second = sender(range(50, 12_000), start=7, **OTHER)
    sent = [
        s._replace(at=s.at * (1 + rate * 1e-6))
        for stream, rate in zip((first, second), ppm, strict=True)
        for s in stream
    ]
    result = result_of(sent, milliseconds=240_000)
    places = of_frames(result, "position").tolist()
    assert places[:6000] == [round(n * 160 * (1 + ppm[0] * 1e-6)) for n in range(6000)]
    late = places[6010:]
    expected = [round((n * 160 + 56) * (1 + ppm[1] * 1e-6)) for n in range(12_000)]
    expected = [place for place in expected if place >= late[0] - 1]
    assert late == pytest.approx(expected[: len(late)], abs=1)
    assert result.gaps[:-1] == []


def test_a_burst_in_anothers_name_takes_nothing_from_it() -> None:
    burst = sender(range(150, 170), start=3, **OTHER)
    result = result_of(sender(range(400)) + burst, milliseconds=8000)
    assert placed(result) == steady(range(400))
    assert result.gaps == []
    assert result.figures.outside == 20


@pytest.mark.parametrize("count", [2, 3])
def test_a_source_that_dies_after_a_few_packets(count: int) -> None:
    sent = sender(range(count)) + sender(range(20, 30), ssrc=0xB, first_timestamp=5)
    result = result_of(sent, milliseconds=600)
    assert placed(result) == steady([*range(count), *range(20, 30)])
    assert result.gaps == [
        Gap(count * 160, 3200 - count * 160, GapReason.SILENCE),
    ]
    assert (result.figures.ssrcs, result.figures.ssrc_changes) == (2, 1)
