from collections.abc import Sequence

import numpy as np

from agent.formats.track import Gap, GapReason, Span, Track

LOST, SILENCE, LATE = GapReason.LOST, GapReason.SILENCE, GapReason.LATE_START
HOLD, GAP = GapReason.HOLD, GapReason.GAP


def lay(
    track: Track,
    positions: Sequence[int],
    *,
    length: int = 10,
    source: int = 0,
    missing: Sequence[int] | None = None,
) -> None:
    count = len(positions)
    track.lay(
        source,
        np.arange(count) + 100 * source,
        np.array(positions, np.int64),
        np.full(count, length),
        np.array(missing if missing is not None else [0] * count, np.int64),
    )


def frames(track: Track) -> list[tuple[int, int, int, int]]:
    columns = (track.position, track.length, track.packet, track.trimmed)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def test_frames_are_cut_to_the_track() -> None:
    track = Track(50)
    lay(track, [-20, -4, 6, 44, 60])
    assert frames(track) == [(0, 6, 1, 4), (6, 10, 2, 0), (44, 6, 3, 0)]
    assert track.outside == 2


def test_frame_gives_way_to_the_next() -> None:
    track = Track(100)
    lay(track, [0, 4, 20])
    assert frames(track) == [(0, 4, 0, 0), (4, 10, 1, 0), (20, 10, 2, 0)]


def test_later_source_fills_only_what_is_silent() -> None:
    track = Track(100)
    lay(track, [20, 30, 60])
    lay(track, [0, 15, 35, 55, 65, 95], source=1)
    assert frames(track) == [
        (0, 10, 100, 0),
        (15, 5, 101, 0),
        (20, 10, 0, 0),
        (30, 10, 1, 0),
        (40, 5, 102, 5),
        (55, 5, 103, 0),
        (60, 10, 2, 0),
        (70, 5, 104, 5),
        (95, 5, 105, 0),
    ]
    assert track.source.tolist() == [1, 1, 0, 0, 1, 1, 0, 1, 1]
    assert track.outside == 0


def test_later_source_under_an_earlier_one_finds_no_place() -> None:
    track = Track(40)
    lay(track, [0, 10, 20, 30])
    lay(track, [2, 12, 33], source=1, length=5)
    assert len(frames(track)) == 4
    assert track.outside == 3


def test_long_frame_of_a_later_source_keeps_its_first_part() -> None:
    track = Track(100)
    lay(track, [10, 30])
    lay(track, [0], source=1, length=60)
    assert frames(track)[0] == (0, 10, 100, 0)
    assert len(frames(track)) == 3


def test_empty_track_is_silence() -> None:
    assert Track(100).gaps([]) == ([Gap(0, 100, SILENCE)], 0)
    assert Track(0).gaps([]) == ([], 0)


def test_gaps_before_between_and_after() -> None:
    track = Track(100)
    lay(track, [10, 20, 50], missing=[3, 3, 5])
    gaps, lost = track.gaps([])
    assert gaps == [
        Gap(0, 10, LATE),
        Gap(30, 20, LOST),
        Gap(60, 40, SILENCE),
    ]
    assert lost == 2


def test_loss_is_no_more_than_the_hole() -> None:
    track = Track(45)
    lay(track, [0, 10, 25, 35], missing=[0, 4, 20_000, 20_000])
    assert track.gaps([]) == ([Gap(20, 5, LOST)], 1)


def test_rest_of_a_hole_is_silence() -> None:
    track = Track(100)
    lay(track, [0, 90], missing=[0, 2])
    assert track.gaps([]) == ([Gap(10, 20, LOST), Gap(30, 60, SILENCE)], 2)


def test_between_sources_nothing_is_known_lost() -> None:
    track = Track(50)
    lay(track, [0], missing=[0])
    lay(track, [40], source=1, missing=[7])
    assert track.gaps([]) == ([Gap(10, 30, SILENCE)], 0)


def test_spans_give_the_reason() -> None:
    track = Track(200)
    lay(track, [20, 100], missing=[0, 7])
    spans = [
        Span(5, 10, GAP),
        Span(28, 70, HOLD),
        Span(70, 90, GAP),
        Span(150, 200, HOLD),
    ]
    gaps, lost = track.gaps(spans)
    assert gaps == [
        Gap(0, 5, LATE),
        Gap(5, 5, GAP),
        Gap(10, 10, LATE),
        Gap(30, 40, HOLD),
        Gap(70, 20, GAP),
        Gap(90, 10, SILENCE),
        Gap(110, 40, SILENCE),
        Gap(150, 50, HOLD),
    ]
    assert lost == 0


def test_short_span_does_not_explain_loss() -> None:
    track = Track(110)
    lay(track, [0, 100], missing=[0, 9])
    gaps, lost = track.gaps([Span(20, 60, HOLD)])
    assert gaps == [Gap(10, 10, LOST), Gap(20, 40, HOLD), Gap(60, 40, LOST)]
    assert lost == 9
