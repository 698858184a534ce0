import numpy as np
import pytest

from agent.formats.placement import place
from tests.formats.placements import RATE, placement, talk


def test_what_keeps_no_time_begins_anew_when_it_is_a_second_off() -> None:
    packets = talk(5)
    for spurt in range(1, 8):
        packets += talk(
            5,
            sequence=5 * spurt,
            timestamp=8000 * spurt,
            arrival=8000 * spurt + 1500 * spurt,
        )
    result = placement(packets)
    assert result.figures.rebased == 1
    assert result.positions[-1] - packets[-1][2] == -1500


@pytest.mark.parametrize(
    ("ahead", "anchors"), [(1900, 0), (2100, 1), (9000, 1), (100_000, 1)]
)
def test_nothing_arrives_before_its_time(ahead: int, anchors: int) -> None:
    second = talk(5, sequence=5, timestamp=16_000 + ahead, arrival=16_000)
    assert placement(talk(5) + second).figures.rebased == anchors


@pytest.mark.parametrize(("behind", "anchors"), [(7900, 0), (8100, 1)])
def test_lateness_is_believed_for_a_second(behind: int, anchors: int) -> None:
    second = talk(5, sequence=5, timestamp=16_000, arrival=16_000 + behind)
    assert placement(talk(5) + second).figures.rebased == anchors


def test_many_small_leaps_ahead_are_not_one_offset() -> None:
    packets = talk(5)
    for spurt in range(1, 11):
        packets += talk(
            5,
            sequence=5 * spurt,
            timestamp=8000 * spurt + 1800 * spurt,
            arrival=8000 * spurt,
        )
    result = placement(packets)
    assert result.figures.rebased > 0
    arrivals = np.array([arrival for _, _, arrival in packets])[result.order]
    assert np.abs(result.positions - arrivals).max() <= RATE


def test_first_packet_with_another_clock() -> None:
    result = placement([(0, 3_000_000_000, 0.0), *talk(5, sequence=1, arrival=160)])
    assert result.positions.tolist() == [160, 320, 480, 640, 800]
    assert result.figures.stray == 1


def test_lone_packet_followed_by_its_like_begins_another_clock() -> None:
    alone = [(5, 900_000, 800.0)]
    # A pause cuts the block after it.
    more = talk(3, sequence=6, timestamp=900_160 + 4000, arrival=960 + 4000)
    result = placement(talk(5) + alone + more)
    assert result.figures.rebased == 1
    assert result.positions[5:].tolist() == [800, 4960, 5120, 5280]


def test_last_packet_alone_with_another_clock() -> None:
    result = placement([*talk(5), (5, 900_000, 800.0)])
    assert (len(result.positions), result.figures.stray, result.figures.rebased) == (
        5,
        1,
        0,
    )


@pytest.mark.parametrize("lost", [0, 4])
@pytest.mark.parametrize("count", [1, 2, 7])
def test_the_last_packets_that_a_stall_held_back_are_where_they_were_spoken(
    count: int, lost: int
) -> None:
    packets = talk(100 + lost + count)
    spoken = [*packets[:100], *packets[-count:]]
    # All of them at once, ten seconds after the last one was due.
    late = [(number, time, 100_000.0 + n) for n, (number, time, _) in enumerate(spoken)]
    result = placement([*spoken[:100], *late[100:]])
    assert result.positions.tolist() == [time for _, time, _ in spoken]
    found = result.figures
    assert (found.stray, found.rebased, found.late) == (0, 0, count)


def test_a_sender_that_stopped_its_clock_goes_on_at_its_own_pace() -> None:
    packets = [*talk(100), *talk(7, sequence=100, timestamp=16_000, arrival=100_000)]
    result = placement(packets)
    assert result.positions[100:].tolist() == [100_000 + 160 * n for n in range(7)]
    assert (result.figures.stray, result.figures.rebased) == (0, 1)


def test_what_follows_one_that_is_disbelieved_is_not_held_back() -> None:
    wild = (100, 900_000, 16_000.0)
    alone = (101, 900_160, 100_000.0)
    result = placement([*talk(100), wild, alone])
    assert (len(result.positions), result.figures.stray) == (100, 2)


def test_every_packet_another_clock_is_quick() -> None:
    rng = np.random.default_rng(1)
    count = 20_000
    result = place(
        np.arange(count) % (1 << 16),
        rng.integers(0, 2**32, count),
        np.arange(count) * 160.0,
        length=np.full(count, 160),
        scale=np.ones(count, np.int64),
        clock_rate=RATE,
    )
    assert len(result.positions) + result.figures.stray == count


def test_another_clock_is_another_count_of_timestamps() -> None:
    """G.711 at 8000, Opus at 48000, G.711 again: one source, one sequence."""
    first = [(n, 5000 + 160 * n, 960.0 * n) for n in range(10)]
    second = [(n, 70_000 + 960 * n, 960.0 * n) for n in range(10, 20)]
    third = [(n, 5000 + 160 * n, 960.0 * n) for n in range(20, 30)]
    result = placement(
        first + second + third, samples=960, scale=[6] * 10 + [1] * 10 + [6] * 10
    )
    assert result.positions.tolist() == [960 * n for n in range(30)]
    assert (result.figures.stray, result.figures.rebased, result.missing.tolist()) == (
        0,
        2,
        [0] * 30,
    )
