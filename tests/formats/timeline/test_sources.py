"""One source after another, beside another, or in its name."""

from agent.formats.timeline import (
    MAX_SOURCES,
)
from tests.formats.streams import (
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
