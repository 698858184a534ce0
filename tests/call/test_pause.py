import pytest

from agent.call import commands as do
from agent.call.pause import NotPausedError, Pause, PausesForbiddenError


def pause(max_length: float = 300.0) -> tuple[Pause, list[do.Command]]:
    emitted: list[do.Command] = []
    return Pause(emitted.append, max_length=max_length), emitted


def begin(it: Pause, now: float, seconds: float | None = None, by: str = "x") -> None:
    it.begin(by=by, reason="card", seconds=seconds, now=now)


def test_a_pause_ends_by_itself() -> None:
    it, emitted = pause()
    begin(it, 10.0, 60.0)
    assert it.deadline == 70.0
    assert it.order == do.PauseRecording(by="x", reason="card", seconds=60.0)
    it.handle_timer(69.9)
    assert emitted == [it.order]
    it.handle_timer(70.0)
    assert emitted[1:] == [do.ResumeRecording(by="agent", reason="limit")]
    assert it.deadline is it.order is None
    it.handle_timer(71.0)
    assert len(emitted) == 2


def test_a_pause_is_ended_once() -> None:
    it, emitted = pause()
    begin(it, 0.0)
    assert it.deadline == 300.0
    it.end(by="y", reason="command")
    assert emitted[1] == do.ResumeRecording(by="y", reason="command")
    with pytest.raises(NotPausedError):
        it.end(by="y", reason="command")


def test_again_is_longer_and_never_beyond_the_limit() -> None:
    it, emitted = pause()
    begin(it, 0.0, 60.0)
    begin(it, 50.0, 5.0, by="y")  # no shorter than somebody asked for
    assert it.deadline == 60.0
    begin(it, 50.0, 100.0)
    assert it.deadline == 150.0
    begin(it, 140.0, 1000.0)
    assert it.deadline == 300.0
    begin(it, 299.0)
    assert it.deadline == 300.0
    assert [command.seconds for command in emitted] == [60, 10, 100, 160, 1]  # type: ignore[union-attr]
    # Whose pause it is does not change by that.
    assert it.order is not None
    assert it.order.by == "x"
    # The next one has a limit of its own.
    it.end(by="y", reason="command")
    begin(it, 400.0)
    assert it.deadline == 700.0


def test_by_default_there_are_none() -> None:
    it, emitted = pause(0.0)
    with pytest.raises(PausesForbiddenError, match="max_pause"):
        begin(it, 0.0)
    assert emitted == []


def test_nothing_is_resumed_of_what_is_over() -> None:
    it, emitted = pause()
    begin(it, 0.0)
    it.clear()
    it.handle_timer(1000.0)
    assert len(emitted) == 1
