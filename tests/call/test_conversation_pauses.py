"""A pause in a conversation whose parties change."""

from agent.call import commands as do
from agent.model.call import EndCause
from tests.call.talks import COLLEAGUE, Talk


def paused(seconds: float | None = None) -> Talk:
    """A conversation whose recording somebody has paused."""
    talk = Talk()
    talk.segments.suspend(by="x", reason="card", seconds=seconds, now=5.0)
    assert [type(command) for command in talk.take()] == [do.PauseRecording]
    return talk


def test_a_pause_ends_in_its_time() -> None:
    talk = paused(20.0)
    assert talk.it.get_timer() == 25.0
    talk.it.handle_timer(25.0)
    assert talk.take() == [do.ResumeRecording(by="agent", reason="limit")]
    assert talk.it.get_timer() == 100.0


def test_it_ends_with_the_call() -> None:
    talk = paused(20.0)
    talk.it.left("a", 6.0)
    assert talk.it.get_timer() is None
    talk.it.handle_timer(30.0)
    assert not any(isinstance(c, do.ResumeRecording) for c in talk.take())


def test_the_next_officers_segment_begins_in_it() -> None:
    talk = paused()
    talk.it.transfer("b1", COLLEAGUE, 6.0, held=True)
    talk.it.target_answered("b2", 8.0)
    told = talk.take()
    [opened] = [c for c in told if isinstance(c, do.OpenRecording)]
    assert opened.officer == "b2"
    assert opened.paused is not None
    assert (opened.paused.by, opened.paused.reason) == ("x", "card")
    assert do.CloseRecording(cause=EndCause.TRANSFERRED) in told
    # It goes on as if nobody had changed.
    assert talk.it.get_timer() == 55.0
    talk.it.handle_timer(55.0)
    assert talk.take() == [do.ResumeRecording(by="agent", reason="limit")]


def test_a_pause_may_end_while_a_transfers_target_rings() -> None:
    talk = paused()
    talk.it.transfer("b1", COLLEAGUE, 6.0, held=True)
    talk.it.left("b1", 7.0)
    talk.segments.pause.end(by="x", reason="command")
    talk.it.target_answered("b2", 8.0)
    [opened] = [c for c in talk.take() if isinstance(c, do.OpenRecording)]
    assert opened.paused is None
