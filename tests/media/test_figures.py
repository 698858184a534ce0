from agent.media.events import LegStats
from agent.media.figures import Figures, Totals

START = 1000


def stats(opened_ns: int = START, **figures: float) -> LegStats:
    return LegStats(opened_ns=opened_ns, **figures)  # type: ignore[arg-type]


def test_what_is_told_again_counts_once() -> None:
    figures = Figures(START)
    figures.measured("a", stats(received=100, lost=3, sent=90, invalid=1))
    figures.measured("a", stats(received=150, lost=2, sent=140, foreign=1, invalid=1))
    figures.closed("a", stats(received=160, lost=4, sent=150, foreign=1, invalid=1))
    assert figures.totals.received == 160
    assert figures.totals.sent == 150
    assert figures.totals.refused == 2
    # Lost is what is not there yet: a late packet takes one back, a counter cannot.
    assert figures.totals.lost == 5
    assert len(figures) == 0
    assert figures.of("a") is None


def test_a_leg_of_another_worker_counts_from_nothing() -> None:
    figures = Figures(START)
    figures.measured("a", stats(START, received=500))
    figures.measured("a", stats(START + 1, received=10))
    told = figures.of("a")
    assert told is not None
    assert told.received == 10
    figures.closed("a", stats(START, received=510))
    assert len(figures) == 1
    figures.lost(["a", "nobody"])
    figures.measured("a", stats(START + 2, received=20))
    figures.closed("a", stats(START + 2, received=25))
    assert figures.totals.received == 510 + 10 + 25
    assert len(figures) == 0


def test_of_a_leg_of_an_earlier_process_only_what_comes_is_counted() -> None:
    figures = Figures(START)
    figures.measured("old", stats(START - 1, received=5000, sent=5000))
    assert figures.totals == Totals()
    figures.closed("old", stats(START - 1, received=5050, sent=5040))
    assert (figures.totals.received, figures.totals.sent) == (50, 40)


def test_a_peer_reports_no_more_loss_than_was_sent() -> None:
    figures = Figures(START)
    figures.measured("a", stats(sent=10, remote_lost=-5))
    assert figures.totals.remote_lost == 0
    figures.measured("a", stats(sent=20, remote_lost=0x7FFFFF))
    assert figures.totals.remote_lost == 20


def test_jitter_and_delay_are_counted_as_often_as_they_are_told() -> None:
    figures = Figures(START)
    figures.measured("a", stats())
    figures.measured("a", stats(received=9, jitter_ms=3.0, delay_ms=2.5))
    figures.measured("a", stats(received=99, jitter_ms=30.0))
    assert figures.jitter_ms.cumulative[-1] == 2
    assert figures.delay_ms.cumulative[-1] == 1
    assert figures.jitter_ms.total == 33.0
