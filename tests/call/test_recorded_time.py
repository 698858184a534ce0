from agent.call.recorded_time import RecordedTime

SECOND = 1_000_000_000


def test_spans_are_added_up() -> None:
    time = RecordedTime()
    assert time.seconds(5 * SECOND) == 0
    time.begin(5 * SECOND)
    time.begin(6 * SECOND)  # a pause within a hold ends in the middle of nothing
    assert time.seconds(7 * SECOND) == 2
    time.end(8 * SECOND)
    time.end(9 * SECOND)
    assert time.seconds(20 * SECOND) == 3
    time.begin(20 * SECOND)
    assert time.seconds(21 * SECOND) == 4


def test_the_next_process_goes_on_with_it() -> None:
    time = RecordedTime()
    time.begin(SECOND)
    time.end(2 * SECOND)
    time.begin(3 * SECOND)
    assert RecordedTime(*time.state).seconds(5 * SECOND) == 3


def test_a_clock_of_another_boot_takes_nothing_away() -> None:
    assert RecordedTime(SECOND, 9 * SECOND).seconds(0) == 1
