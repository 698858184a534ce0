import contextlib

from hypothesis import given, strategies as st

from agent.call import commands as do
from agent.call.pause import PauseError
from agent.call.phases import Phase
from agent.call.routing import Step
from agent.call.session import FIRST, CallSession
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
)

ACTIONS = (
    "acknowledged",
    "early",
    "no early",
    "unacceptable",
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
    "media timeout",
    "pause",
    "resume",
    "stop",
)


def apply(session: CallSession, action: str, now: float) -> None:
    rung = min(session._hunt.ringing, default="b1")
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
                session.pause(by="x", reason="", seconds=2.0, now=now)
        case "resume":
            with contextlib.suppress(PauseError):
                session.resume(by="x", reason="command")
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
        assert not session._hunt.ringing
        assert {session.partner} - {""} <= cleared <= rung | {FIRST}
    if steps == EXEMPT:
        assert not opened
        assert session.outcome is Outcome.EXEMPT
