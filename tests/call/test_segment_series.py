import asyncio
from typing import Any

import pytest

from agent.call import segment_series
from agent.call.active import ActiveCall
from agent.call.segment_series import SegmentSeries
from agent.common.clock import monotonic_ns
from agent.model.call import EndCause
from tests.call.site import Site


async def talking(site: Site) -> tuple[SegmentSeries, ActiveCall]:
    await site.start()
    await site.talk()
    [call] = site.control._calls.values()
    assert isinstance(call, ActiveCall)
    return call.capture.series, call


async def test_another_process_goes_on_with_it(site: Site) -> None:
    series, _ = await talking(site)
    series.broken()
    other = SegmentSeries(site.recorder, call_id="c")
    assert not other.interrupted
    other.restore(series.state)
    assert other.open is series.open is not None
    assert other.state == series.state
    assert other.close(EndCause.ERROR)
    other = SegmentSeries(site.recorder, call_id="c")
    other.restore(series.state)
    assert other.interrupted


async def test_only_what_ends_now_is_followed(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = monotonic_ns()
    monkeypatch.setattr(segment_series, "monotonic_ns", lambda: now)
    series, _ = await talking(site)
    assert series.next_begins()[1] == now
    assert series.close(EndCause.TRANSFERRED)
    assert not series.close(EndCause.TRANSFERRED)
    [end] = site.media.ends
    started_at, begun_ns = series.next_begins()
    assert begun_ns == end.ended_monotonic_ns
    assert abs(started_at - end.ended_at) < 1_000_000_000
    # What is known to have come before is in it too.
    assert series.next_begins(begun_ns - 5)[1] == begun_ns - 5
    series.part()
    assert series.next_begins()[1] == now


async def test_what_is_kept_no_more_by_order_has_a_gap(site: Site) -> None:
    series, _ = await talking(site)
    assert not series.interrupted
    series.close(EndCause.RECORDING_STOPPED)
    assert series.interrupted


async def test_whole_segments_are_forgotten_and_broken_ones_not(site: Site) -> None:
    series, _ = await talking(site)
    [segment] = series.segments
    series.forget_whole()
    assert series.segments == [segment]
    segment.closed = asyncio.get_running_loop().create_future()
    segment.closed.set_result(False)
    series.forget_whole()
    assert series.segments == []
    assert series.interrupted


async def test_nothing_is_told_of_a_segment_that_is_not_open(site: Site) -> None:
    series, _ = await talking(site)
    series.close(EndCause.ERROR)
    series.mark_codecs({})
    series.mark_changed(0, codec=True)
    series.tap(("x",), 1, on=False)
    assert not site.media.marks
    assert not site.media.told("tap")
    assert not series.lost


async def test_times_add_up(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0
    monkeypatch.setattr(segment_series, "monotonic_ns", lambda: now)
    nobody: Any = None
    series = SegmentSeries(nobody, call_id="c")
    series.recorded.begin(0)
    series.count_missing(on=True)
    now = 1_500_000_000
    assert (series.recorded_seconds, series.missing_ms) == (1.5, 1500)
    series.count_missing(on=False)
    now = 2_000_000_000
    assert (series.recorded_seconds, series.missing_ms) == (2.0, 1500)


async def test_what_is_discarded_is_none_of_the_calls(site: Site) -> None:
    series, _ = await talking(site)
    [segment] = series.segments
    segment.gap = True
    assert series.close(EndCause.TRANSFERRED, discard=True)
    assert segment.discarded
    assert series.segments == []
    assert not series.interrupted
    assert series.state.open is False
