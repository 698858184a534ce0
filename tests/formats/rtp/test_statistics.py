from collections.abc import Iterable

import pytest
from hypothesis import given, strategies as st

from agent.formats.rtp.rtcp import ReceiverReport, parse_compound
from agent.formats.rtp.statistics import ReceptionStatistics


def receive(
    statistics: ReceptionStatistics, sequences: Iterable[int], *, delay: float = 0.0
) -> list[bool]:
    """Packets of 20 ms, each `delay` after its own time."""
    return [
        statistics.update(
            s % 65_536, s * 160 % 2**32, arrival_s=s * 0.02 + delay, clock_rate=8000
        )
        for s in sequences
    ]


def test_two_packets_in_order_end_probation() -> None:
    statistics = ReceptionStatistics()
    assert receive(statistics, [100, 101, 102]) == [False, True, True]
    assert statistics.valid
    assert statistics.received == 2
    assert statistics.expected == 2


def test_out_of_order_packets_do_not() -> None:
    statistics = ReceptionStatistics()
    assert not any(receive(statistics, [100, 102, 104, 100, 0]))
    assert not statistics.valid
    assert (statistics.received, statistics.expected, statistics.lost) == (0, 0, 0)
    assert statistics.highest_sequence == 0


def test_first_number_zero_is_not_in_order_with_nothing() -> None:
    statistics = ReceptionStatistics()
    assert receive(statistics, [0, 5]) == [False, False]


def test_loss_is_expected_less_received() -> None:
    statistics = ReceptionStatistics()
    receive(statistics, [0, 1, 2, 5, 6])
    assert (statistics.expected, statistics.received, statistics.lost) == (6, 4, 2)


def test_duplicates_make_the_loss_negative() -> None:
    statistics = ReceptionStatistics()
    receive(statistics, [0, 1, 2, 2, 2])
    assert statistics.lost == -2


def test_wrap_counts_a_cycle() -> None:
    statistics = ReceptionStatistics()
    receive(statistics, range(65_530, 65_545))
    assert statistics.highest_sequence == 65_544
    assert statistics.lost == 0


def test_reordering_is_no_loss() -> None:
    statistics = ReceptionStatistics()
    receive(statistics, [0, 1, 3, 2, 4])
    assert statistics.lost == 0


def test_a_wild_number_alone_is_not_counted() -> None:
    statistics = ReceptionStatistics()
    assert receive(statistics, [0, 1, 2, 20_000, 3]) == [False, True, True, False, True]
    assert statistics.lost == 0
    assert statistics.resyncs == 0


def test_two_in_a_row_after_a_jump_begin_anew() -> None:
    statistics = ReceptionStatistics()
    receive(statistics, [0, 1, 2])
    assert receive(statistics, [20_000, 20_001, 20_002]) == [False, True, True]
    assert (statistics.expected, statistics.received) == (2, 2)
    assert statistics.resyncs == 1


def test_largest_gap_that_is_loss() -> None:
    statistics = ReceptionStatistics()
    receive(statistics, [0, 1])
    assert receive(statistics, [1 + 2999]) == [True]
    assert receive(statistics, [3000 + 3000]) == [False]


def test_late_by_fewer_than_a_hundred_is_counted() -> None:
    statistics = ReceptionStatistics()
    receive(statistics, [999, 1000])
    assert receive(statistics, [901, 900]) == [True, False]


def test_jitter_of_a_steady_stream_is_none() -> None:
    statistics = ReceptionStatistics()
    receive(statistics, range(100), delay=3.0)
    assert statistics.jitter == pytest.approx(0, abs=1e-6)


def test_jitter_of_appendix_a_8() -> None:
    statistics = ReceptionStatistics()
    receive(statistics, [0, 1])
    receive(statistics, [2], delay=0.010)
    assert statistics.jitter == pytest.approx(80 / 16)
    receive(statistics, [3], delay=0.010)
    assert statistics.jitter == pytest.approx(80 / 16 * 15 / 16)


def test_timestamp_wrap_is_no_jitter() -> None:
    statistics = ReceptionStatistics()
    first = 2**32 // 160 - 5
    receive(statistics, range(first, first + 20))
    assert statistics.jitter == pytest.approx(0, abs=1e-3)


def test_report_block_speaks_of_the_interval() -> None:
    statistics = ReceptionStatistics()
    receive(statistics, [0, 1, 2, 3, 4])
    assert statistics.report_block(7).fraction_lost == 0
    receive(statistics, [6, 8])
    block = statistics.report_block(7, last_sr=1, delay_since_last_sr=2)
    assert block.fraction_lost == 128
    assert (block.ssrc, block.cumulative_lost, block.highest_sequence) == (7, 2, 8)
    assert (block.last_sr, block.delay_since_last_sr) == (1, 2)
    assert statistics.report_block(7).fraction_lost == 0


def test_block_before_validation_is_empty() -> None:
    block = ReceptionStatistics().report_block(7)
    assert (block.fraction_lost, block.cumulative_lost, block.highest_sequence) == (
        0,
        0,
        0,
    )


@given(
    st.lists(
        st.tuples(
            st.integers(0, 65_535),
            st.integers(0, 2**32 - 1),
            st.floats(0, 1e7, allow_nan=False),
        ),
        max_size=60,
    )
)
def test_any_block_can_be_sent(packets: list[tuple[int, int, float]]) -> None:
    statistics = ReceptionStatistics()
    for sequence, timestamp, arrival in packets:
        statistics.update(sequence, timestamp, arrival, 8000)
        report = ReceiverReport(1, (statistics.report_block(2),))
        assert parse_compound(report.to_bytes()) == [report]
