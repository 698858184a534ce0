from agent.formats.manifest import Pause
from agent.model.recording import SegmentMark
from agent.recording.pauses import MAX_PAUSES, Pauses

SECOND = 1_000_000_000
START = 100 * SECOND


def pauses(*marks: tuple[float, str, str, str], end: float = 60.0) -> tuple[Pause, ...]:
    """What comes of marks (seconds, kind, by, reason)."""
    found = Pauses()
    for at, kind, by, reason in marks:
        at_ns = START + int(at * SECOND)
        found.mark(SegmentMark(at_monotonic_ns=at_ns, kind=kind, by=by, reason=reason))
    return found.between(START, START + int(end * SECOND))


def pause(start_ms: int, duration_ms: int, ended: tuple[str, str]) -> Pause:
    return Pause(
        start_ms=start_ms,
        duration_ms=duration_ms,
        by="uid:7",
        reason="card",
        ended_by=ended[0],
        ended_because=ended[1],
    )


BEGIN = "pause-begin", "uid:7", "card"
END = "pause-end", "uid:8", "command"
LIMIT = "pause-end", "agent", "limit"


def test_each_has_its_end() -> None:
    assert pauses((10, *BEGIN), (20.5, *END), (30, *BEGIN), (40, *LIMIT)) == (
        pause(10_000, 10_500, ("uid:8", "command")),
        pause(30_000, 10_000, ("agent", "limit")),
    )


def test_one_without_an_end_lasts_to_the_end() -> None:
    assert pauses((0, *BEGIN), end=1.5) == (pause(0, 1500, ("", "segment-end")),)


def test_what_a_successor_repeats_counts_once() -> None:
    marks = ((10, *BEGIN), (20, *END))
    assert pauses(*marks, *marks) == (pause(10_000, 10_000, ("uid:8", "command")),)


def test_one_whose_end_was_lost_lasts_to_the_next() -> None:
    first, second = pauses((10, *BEGIN), (20, *BEGIN), (25, *END))
    assert first == pause(10_000, 10_000, ("", "segment-end"))
    assert second == pause(20_000, 5_000, ("uid:8", "command"))


def test_what_lies_outside_is_cut() -> None:
    assert pauses((-1, *BEGIN), (2, *END)) == (pause(0, 2_000, ("uid:8", "command")),)
    assert pauses((70, *BEGIN), end=60.0)[0].duration_ms == 0


def test_a_client_that_pauses_without_end_fills_no_manifest() -> None:
    many = range(0, 200_000, 2)
    marks = [
        mark for at in many for mark in ((at / 1000, *BEGIN), ((at + 1) / 1000, *END))
    ]
    found = pauses(*marks, end=200.0)
    assert len(found) == MAX_PAUSES
    assert found[-1] == pause(2 * MAX_PAUSES - 2, 1, ("uid:8", "command"))


def test_other_marks_are_none() -> None:
    assert pauses((10, "hold", "", ""), (20, "resume", "", "")) == ()
