from collections.abc import Callable
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from agent.call.commands import PauseRecording, ResumeRecording
from agent.call.pause import NotPausedError, NotRecordedError, PausesForbiddenError
from agent.call.recording_orders import RecordingOrders
from agent.call.segments import Segments


class Told:
    """Notes what it is to tell."""

    def __init__(self) -> None:
        self.news: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        def note(call_id: str, **said: Any) -> None:
            self.news.append((name, call_id, *said.values()))

        return note


class Recorded:
    """The recording of one call, and orders for it."""

    def __init__(self, max_pause: float = 60.0) -> None:
        self.commands: list[Any] = []
        self.told: Any = Told()
        self.ran = 0
        self.segments = Segments(
            self.commands.append, wanted=True, max_length=100.0, max_pause=max_pause
        )
        self.orders = RecordingOrders(
            self.segments,
            self.told,
            structlog.get_logger(),
            call_id="c",
            now=lambda: 5.0,
            run=self.run,
        )

    def run(self) -> None:
        self.ran += 1


def test_a_pause_is_commanded_and_then_carried_out() -> None:
    call = Recorded()
    call.segments.open(0.0)
    call.orders.pause(by="uid:7", reason="card", seconds=20.0)
    assert call.segments.pause.span == (5.0, 25.0)
    call.orders.resume(by="uid:8", reason="command")
    assert call.commands == [
        PauseRecording(by="uid:7", reason="card", seconds=20.0),
        ResumeRecording(by="uid:8", reason="command"),
    ]
    assert call.ran == 2
    assert not call.told.news, "it is told once it is done"


def test_what_is_done_is_told_and_logged() -> None:
    call = Recorded()
    with capture_logs() as log:
        call.orders.tell(PauseRecording(by="x", reason="card", seconds=1.23456))
        call.orders.tell(ResumeRecording(by="agent", reason="limit"))
    assert call.told.news == [
        ("paused", "c", "x", "card", 1.23456),
        ("resumed", "c", "agent", "limit"),
    ]
    assert [entry["event"] for entry in log] == [
        "recording_paused",
        "recording_resumed",
    ]
    assert log[0]["seconds"] == 1.235


def test_a_recording_is_stopped_once() -> None:
    call = Recorded()
    call.segments.open(0.0)
    with capture_logs() as log:
        call.orders.stop(by="mqtt:x", reason="consent")
        with pytest.raises(NotRecordedError):
            call.orders.stop(by="mqtt:x", reason="consent")
    assert call.told.news == [("stopped", "c", "mqtt:x", "consent")]
    assert [entry["event"] for entry in log] == ["recording_stopped"]
    assert call.ran == 1


def test_what_cannot_be_done_changes_nothing() -> None:
    call = Recorded(max_pause=0.0)
    with pytest.raises(NotRecordedError):
        call.orders.pause(by="x", reason="", seconds=None)
    call.segments.open(0.0)
    with pytest.raises(PausesForbiddenError):
        call.orders.pause(by="x", reason="", seconds=None)
    with pytest.raises(NotPausedError):
        call.orders.resume(by="x", reason="")
    assert (call.ran, call.commands) == (0, [])
