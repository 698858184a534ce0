"""Whatever happens to a recording session, in whatever order: what always holds."""

from typing import Any

from hypothesis import given, settings, strategies as st

from agent.call import commands as do
from agent.call.pause import PauseError
from agent.call.siprec import commands as rec
from agent.call.siprec.recording_session import MAX_LEGS, RecordingSession
from agent.call.siprec.situation import Situation
from agent.call.siprec.state import MachineState
from agent.model.call import EndCause, Outcome
from agent.model.recording import Channel
from tests.call.siprec.situations import parties, stream

NAMES = [f"s{n}" for n in range(1, 20)]

people = st.builds(
    parties,
    st.sampled_from(["201", "202"]),
    caller=st.sampled_from(["+358401", "undecided"]),
    channels=st.dictionaries(
        st.sampled_from([f"label-{name}" for name in NAMES[:4]]),
        st.sampled_from(Channel),
    ),
    exempt=st.booleans(),
    outsiders_only=st.booleans(),
)
situations = st.builds(
    Situation,
    streams=st.lists(
        st.builds(stream, st.sampled_from(NAMES), active=st.booleans()),
        unique_by=lambda one: one.name,
        max_size=MAX_LEGS,
    ).map(tuple),
    parties=people,
    held=st.frozensets(st.sampled_from(["label-s1", "label-s2"])),
    going_on=st.booleans(),
    told=st.booleans(),
    announced=st.booleans(),
    incomplete=st.booleans(),
)
events = st.one_of(
    st.tuples(st.just("update"), situations),
    st.tuples(
        st.sampled_from(
            [
                "acknowledged",
                "timer",
                "pause",
                "resume",
                "stop_recording",
                "failed",
                "lost",
                "silent",
                "moved",
            ]
        )
    ),
    st.tuples(st.sampled_from(["left", "stop"])),
)


class Walk:
    """One recording session, and what its commands have made of the world."""

    def __init__(self, options: dict[str, Any], first: Situation) -> None:
        self.options = options
        self.machine = RecordingSession(max_segment=50.0, max_pause=20.0, **options)
        self.now = 0.0
        self.legs: list[str] | None = None
        self.situation = first
        self.closed: list[do.Close] = []
        self.segments = 0
        self.asked: list[float] = []
        self.machine.begin(can_record=True)
        self.machine.answered(first, self.now)
        self.carry_out()

    def step(self, event: tuple[Any, ...]) -> None:
        self.now += 7.0
        machine, segments = self.machine, self.machine.segments
        try:
            match event:
                case ("update", situation):
                    self.situation = situation
                    machine.update(situation, self.now)
                case ("acknowledged",):
                    machine.acknowledged(self.now)
                case ("timer",):
                    machine.handle_timer(self.now)
                case ("pause",):
                    segments.suspend(by="x", reason="", seconds=None, now=self.now)
                case ("resume",):
                    segments.pause.end(by="x", reason="")
                case ("stop_recording",):
                    segments.stop()
                case ("failed",):
                    machine.recording_failed("ENOSPC", kept=True)
                case ("lost",):
                    machine.segment_lost(self.now)
                case ("silent",):
                    machine.media_timeout()
                case ("left",):
                    machine.left(EndCause.SESSION_ENDED)
                case ("stop",):
                    machine.stop()
                case _:
                    self.move()
        except PauseError:
            pass
        self.carry_out()

    def move(self) -> None:
        """Another process goes on, and changes nothing."""
        state: MachineState | None = self.machine.state
        if state is None:
            return
        self.machine = RecordingSession(
            max_segment=50.0, max_pause=20.0, **self.options
        )
        self.machine.restore(state)
        self.machine.update(self.situation, self.now)

    def carry_out(self) -> None:
        while (command := self.machine.next_command()) is not None:
            assert not self.closed, "nothing follows the end"
            match command:
                case rec.OpenSegment():
                    assert self.legs is None
                    assert 0 < len(command.legs) == len(command.channels) <= MAX_LEGS
                    self.segments += 1
                    assert command.number == self.segments
                    situation = command.situation
                    assert situation.going_on
                    assert not situation.parties.exempt
                    assert not situation.parties.outsiders_only
                    self.legs = list(command.legs)
                case rec.AddStream():
                    assert self.legs is not None
                    assert command.leg not in self.legs
                    self.legs.append(command.leg)
                    assert len(self.legs) <= MAX_LEGS
                case rec.Silence():
                    assert self.legs is not None
                    assert command.inactive | command.held <= set(self.legs)
                case do.CloseRecording():
                    assert self.legs is not None
                    self.legs = None
                case do.PauseRecording():
                    pass
                case rec.AskSnapshot():
                    assert self.now - (self.asked or [-30.0])[-1] >= 30.0
                    self.asked.append(self.now)
                    assert len(self.asked) <= 3
                case do.Close():
                    assert self.legs is None
                    self.closed.append(command)


@settings(max_examples=150)
@given(
    st.sampled_from(["refuse", "unrecorded"]),
    st.sampled_from(["discard", "record"]),
    situations,
    st.lists(events, max_size=25),
)
def test_whatever_happens_one_segment_is_open_at_most_and_there_is_one_end(
    on_recording: str, on_notice: str, first: Situation, steps: list[Any]
) -> None:
    walk = Walk(
        {"on_recording_failure": on_recording, "on_notice_failure": on_notice}, first
    )
    for step in steps:
        walk.step(step)
        assert (walk.machine.outcome is not None) == bool(walk.closed)
        assert (walk.legs is not None) == (walk.machine.segments.recording != "off")
        if walk.legs is not None:
            there = {one.name for one in walk.situation.streams}
            assert there <= set(walk.legs), "every stream is recorded"
    walk.step(("left",))
    [close] = walk.closed
    if walk.segments:
        assert close.outcome in {Outcome.RECORDED, Outcome.PARTIAL}
