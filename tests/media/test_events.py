from typing import get_args

import msgspec
import pytest

from agent.media import events

REPORTS: list[events.WorkerEvent] = [
    events.PlayEnded(
        leg="l", token=1, completed=True, frames=2, sent_ms=40, started_ns=3, ended_ns=4
    ),
    events.RecordingOpened(recording="r", path="/p"),
    events.RecordingFailed(recording="r", reason="ENOSPC", errno=28),
    events.RecordingClosed(recording="r", path="/p", packets=1, blocks=2, bytes=3),
    events.MemoryRefused(recording="r", reason="Raise the limit."),
    events.MediaQuiet(leg="l", seconds=60.0),
    events.MediaHeard(leg="l"),
    events.MediaRejected(leg="l", packets=50),
    events.LegAlarm(leg="l", kind="one-way", seconds=10.0),
    events.LegHeard(leg="l", kind="one-way", seconds=11.0),
    events.SourceChanged(leg="l", ssrc_changes=1),
    events.Latched(leg="l"),
    events.LegMeasured(leg="l", stats=events.LegStats(received=4, delay_ms=0.5)),
    events.LegClosed(leg="l", stats=events.LegStats(received=5)),
]


def test_every_report_is_tried_here() -> None:
    assert {type(report) for report in REPORTS} == set(get_args(events.WorkerEvent))


@pytest.mark.parametrize("report", REPORTS)
def test_reports_travel_as_they_are(report: events.WorkerEvent) -> None:
    wire = msgspec.msgpack.encode(report)
    assert msgspec.msgpack.decode(wire, type=events.WorkerEvent) == report
