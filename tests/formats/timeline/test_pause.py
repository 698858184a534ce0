"""A recording that was paused: silence with that reason, among the others."""

from agent.formats.timeline import Gap, GapReason
from tests.formats.streams import MS, START, finish, sender, spans, timeline, without


def test_a_pause_is_a_marked_silence_and_no_loss() -> None:
    leg = timeline(without(sender(range(50)), *range(10, 40)))
    leg.mark(START + 200 * MS, "pause-begin")
    leg.mark(START + 800 * MS, "pause-end")
    result = finish(leg, milliseconds=1000)
    assert result.gaps == [Gap(1600, 4800, GapReason.PAUSE)]
    assert result.figures.lost == 0


def test_a_gap_says_more_than_a_pause_and_a_pause_more_than_a_hold() -> None:
    assert spans(
        (0, "hold"),
        (10, "pause-begin"),
        (20, "gap-begin"),
        (30, "resume"),
        (40, "gap-end"),
        (50, "pause-end"),
        milliseconds=60,
    ) == [
        Gap(0, 80, GapReason.HOLD),
        Gap(80, 80, GapReason.PAUSE),
        Gap(160, 160, GapReason.GAP),
        Gap(320, 80, GapReason.PAUSE),
        Gap(400, 80, GapReason.SILENCE),
    ]
