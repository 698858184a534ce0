import contextlib

import msgspec
from hypothesis import given, strategies as st

from agent.call import commands as do
from agent.call.leg_names import FIRST
from agent.call.pause import PauseError
from agent.call.phases import Phase
from agent.call.routing import Destination, Step
from agent.call.session import CallSession
from agent.call.state import SessionState
from agent.model.call import Outcome
from tests.call.sessions import (
    EARLY,
    EXEMPT,
    INBOUND,
    OUTBOUND,
    TARGETS,
    call,
    commands,
    evidence,
    talking,
)

EITHER = (
    "notice played",
    "notice failed",
    "ringing",
    "answered",
    "refused",
    "redirected",
    "timer",
    "first left",
    "partner left",
    "recording failed",
    "pause",
    "resume",
    "stop",
)
"What may happen before two talk, and while they do."
ACTIONS = (
    "acknowledged",
    "early",
    "no early",
    "unacceptable",
    "media timeout",
    *EITHER,
)


def apply(session: CallSession, action: str, now: float) -> None:
    rung = min(session.ringing, default="b1")
    match action:
        case "acknowledged":
            session.acknowledged(now)
        case "early":
            session.early_opened(now)
        case "no early":
            session.early_unavailable(now)
        case "unacceptable":
            session.unacceptable(488, "no")
        case "notice played":
            session.notice_played(evidence(), now)
        case "notice failed":
            session.notice_failed(now)
        case "ringing":
            session.target_ringing(rung, now, early_media=session.rings_alone(rung))
        case "answered":
            session.target_answered(rung, now)
        case "refused":
            session.target_refused(rung, 486, now)
        case "redirected":
            session.target_redirected(rung, (f"sip:{now}@h", "sip:x@h"), now)
        case "timer":
            session.handle_timer(session.get_timer() or now)
        case "first left":
            session.left(FIRST, now)
        case "partner left":
            session.left(session.partner or "b1", now)
        case "recording failed":
            session.recording_failed("x", now, kept=False)
        case "media timeout":
            session.media_timeout(now)
        case "pause":
            with contextlib.suppress(PauseError):
                session.segments.suspend(by="x", reason="", seconds=2.0, now=now)
        case "resume":
            with contextlib.suppress(PauseError):
                session.segments.pause.end(by="x", reason="command")
        case _:
            session.stop(now)


@given(
    steps=st.sampled_from([INBOUND, OUTBOUND, EXEMPT, EARLY]),
    can_record=st.booleans(),
    failure=st.sampled_from(["refuse", "unrecorded"]),
    parallel=st.booleans(),
    walk=st.lists(st.sampled_from(ACTIONS), max_size=40),
)
def test_any_walk_keeps_the_promises(
    steps: tuple[Step, ...],
    can_record: bool,
    failure: str,
    parallel: bool,
    walk: list[str],
) -> None:
    session = call(
        steps,
        exempt=steps == EXEMPT,
        can_record=can_record,
        rounds=(TARGETS,) if parallel else (),
        on_recording_failure=failure,
        on_notice_failure=failure,
        max_pause=5.0,
    )
    session.begin(("fi",), 0.0)
    now, seen = 0.0, []
    for action in walk:
        now += 1.0
        apply(session, action, now)
    if session.outcome is None:
        session.stop(now + 1.0)
    seen = commands(session)
    closes = [c for c in seen if isinstance(c, do.Close)]
    opened = [i for i, c in enumerate(seen) if isinstance(c, do.OpenRecording)]
    shut = [i for i, c in enumerate(seen) if isinstance(c, do.CloseRecording)]
    assert len(closes) == 1 or session.phase is Phase.CLEARING
    assert len(opened) == len(shut)
    paused = None
    counts = [c.on for c in seen if isinstance(c, do.CountMissing)]
    assert counts == [True, False] * (len(counts) // 2)
    for command in seen:
        if isinstance(command, do.OpenRecording):
            assert command.paused == paused
        elif isinstance(command, do.PauseRecording):
            paused = paused or command
        elif isinstance(command, do.ResumeRecording):
            assert paused is not None
            paused = None
    for index in opened:
        assert can_record
        assert seen[index].notices  # type: ignore[union-attr]
    rung = {c.leg for c in seen if isinstance(c, do.Invite)}
    cleared = {c.leg for c in seen if isinstance(c, do.HangUp)}
    if session.phase is Phase.ENDED:
        # Who was rung and neither refused nor talked is never left ringing.
        assert not session._setup.hunt.ringing
        assert {session.partner} - {""} <= cleared <= rung | {FIRST}
    if steps == EXEMPT:
        assert not opened
        assert session.outcome is Outcome.EXEMPT


TALK = (
    "identified",
    "transfer",
    "held transfer",
    "taken back",
    "replaced",
    *EITHER,
)


def talk(session: CallSession, action: str, now: float) -> None:
    conversation = session.conversation
    assert conversation is not None
    to = Destination(rounds=(("sip:9@h",), ("sip:8@h", "sip:7@h")), staff=True)
    leg = min(conversation.talkers, default=FIRST)
    match action:
        case "identified":
            officer = not conversation.is_officer(leg)
            conversation.identified(leg, now, officer=officer)
        case "transfer" | "held transfer":
            held = action == "held transfer"
            conversation.transfer(leg, to, now, held=held)
        case "taken back":
            conversation.taken_back(leg, now)
        case "replaced":
            newcomer = session.new_name()
            conversation.replaced(
                leg, newcomer, now, officer=True, announced=False, exempt=now % 2 == 0
            )
        case _:
            apply(session, action, now)


def reborn(session: CallSession) -> CallSession:
    """One that is made of what the other has left to the process after it."""
    assert session.state is not None
    document = msgspec.msgpack.encode(session.state)
    found = CallSession(session._plan, can_record=True, max_segment=50.0)
    found.restore(msgspec.msgpack.decode(document, type=SessionState))
    return found


@given(
    failure=st.sampled_from(["refuse", "unrecorded"]),
    before=st.lists(st.sampled_from(TALK), max_size=12),
    after=st.lists(st.sampled_from(TALK), max_size=12),
)
def test_who_takes_over_goes_on_as_the_other_would_have(
    failure: str, before: list[str], after: list[str]
) -> None:
    session = talking(
        max_segment=50.0,
        max_pause=5.0,
        on_recording_failure=failure,
        on_notice_failure=failure,
    )
    now = 10.0
    for action in before:
        now += 1.0
        talk(session, action, now)
    commands(session)
    if session.state is None:
        assert session.outcome is not None
        return
    other = reborn(session)
    assert other.state == session.state
    for action in after:
        now += 1.0
        talk(session, action, now)
        talk(other, action, now)
        assert commands(other) == commands(session)
        assert other.get_timer() == session.get_timer()
        assert other.outcome == session.outcome


def test_a_call_that_is_being_set_up_leaves_nothing() -> None:
    session = call()
    session.begin(("fi",), 0.0)
    assert session.state is None
