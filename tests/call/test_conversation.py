import itertools

from agent.call import commands as do
from agent.call.conversation import TRANSITIONS, Conversation, State
from agent.call.notices import Notices
from agent.call.segments import Segments
from agent.model.call import EndCause
from tests.call.sessions import evidence


class Talk:
    """A conversation between an outside caller and an officer, and its commands."""

    def __init__(self, *, refuse: bool = False, wanted: bool = True) -> None:
        self.emitted: list[do.Command] = []
        self.segments = Segments(self._emit, wanted=wanted, max_length=100.0)
        notices = Notices(("fi",))
        notices.note_played(evidence())
        self.it = Conversation(
            self._emit,
            talkers=("a", "b1"),
            officers={"b1"},
            announced={"a"},
            segments=self.segments,
            notices=notices,
            refuse_unrecordable=refuse,
            hangup_of_outsider=EndCause.CALLER_HANGUP,
        )
        self.it.begin(0.0)
        self.begun = self.take()

    def _emit(self, command: do.Command) -> None:
        self.emitted.append(command)

    def take(self) -> list[do.Command]:
        taken, self.emitted = self.emitted, []
        return taken


def test_every_action_of_the_table_is_a_method() -> None:
    for action in TRANSITIONS.values():
        assert callable(getattr(Conversation, f"_{action}"))
    assert State.OVER not in {state for state, _ in TRANSITIONS}


def test_it_begins_bridged_and_recorded() -> None:
    assert Talk().begun == [
        do.Bridge(a="a", b="b1"),
        do.OpenRecording(segment=1, customer="a", officer="b1", notices=(evidence(),)),
    ]
    assert Talk(wanted=False).begun == [do.Bridge(a="a", b="b1")]


def test_who_hangs_up_is_told() -> None:
    talk = Talk()
    talk.it.left("b9", 1.0)  # no talker
    assert talk.take() == []
    talk.it.left("b1", 2.0)
    assert talk.take() == [
        do.CloseRecording(cause=EndCause.OFFICER_HANGUP),
        do.HangUp(leg="a", q850=16),
        do.HangUp(leg="b1", q850=16),
    ]
    assert talk.it.cause is EndCause.OFFICER_HANGUP
    talk.it.left("a", 2.1)  # its BYE crossed ours
    talk.it.stop(2.2)
    assert talk.take() == []


def test_a_full_segment_is_followed_by_the_next() -> None:
    talk = Talk()
    assert talk.it.get_timer() == 100.0
    talk.it.handle_timer(99.0)
    assert talk.take() == []
    talk.it.handle_timer(100.0)
    closed, opened = talk.take()
    assert closed == do.CloseRecording(cause=EndCause.SEGMENT_LIMIT)
    assert isinstance(opened, do.OpenRecording)
    assert opened.segment == 2


def test_a_broken_recording_ends_it_or_does_not() -> None:
    talk = Talk()
    talk.it.recording_failed("disk full", 1.0, kept=True)
    talk.it.recording_failed("disk still full", 2.0, kept=True)
    assert talk.take() == [
        do.CloseRecording(cause=EndCause.RECORDING_FAILED),
        do.Alarm(reason="disk full"),
    ]
    assert talk.it.get_timer() is None
    talk = Talk(refuse=True)
    talk.it.recording_failed("disk full", 1.0, kept=True)
    assert talk.it.cause is EndCause.RECORDING_FAILED


def test_silence_and_a_stop_end_it() -> None:
    for act, cause in itertools.zip_longest(
        (Conversation.media_timeout, Conversation.stop),
        (EndCause.MEDIA_TIMEOUT, EndCause.AGENT_STOPPED),
    ):
        talk = Talk()
        act(talk.it, 1.0)
        assert talk.it.state is State.OVER
        assert talk.it.cause is cause
