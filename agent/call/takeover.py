"""Calls of the main process before this one, made to run again from their states."""

from collections.abc import Iterable, Sequence

import structlog

from agent.call.active import ActiveCall
from agent.call.any_state import AnyCallState
from agent.call.control import CallControl
from agent.call.joint import Joint, RunningCall
from agent.call.leg import Leg
from agent.call.passthrough import PassthroughCall
from agent.call.siprec.knowledge import Knowledge
from agent.call.siprec.session_call import SessionCall
from agent.call.siprec.state import RecordingCallState
from agent.call.state import CallState, EndingState, LegState
from agent.signalling.sip.errors import LocalSipError
from agent.signalling.sip.message import Request
from agent.signalling.sip.parser import parse_message


def adopt(
    control: CallControl,
    calls: Sequence[AnyCallState],
    endings: Sequence[EndingState],
    sessions: Iterable[str],
) -> list[RunningCall]:
    """Let `calls` go on, and clear what of `sessions` belongs to none of them.

    To be called once the user agent core and the recorder have gone on with theirs;
    what media tells then reaches its call. `catch_up` is to follow.
    """
    joint = control.joint
    log = structlog.get_logger()
    taken: list[RunningCall] = []
    for state in calls:
        try:
            call = _revived(joint, control, state)
        except Exception as error:
            log.critical("call_not_resumed", call_id=state.call_id, exc_info=error)
            continue
        if call is None:
            log.error("call_not_resumed", call_id=state.call_id, reason="no such route")
            continue
        control.adopt(call, emergency=state.emergency)
        taken.append(call)
    _clear(joint, {*sessions}.difference(*(call.names for call in taken)))
    for ending in endings:
        found = [joint.recorder.segment(name) for name in ending.segments]
        segments = [segment for segment in found if segment is not None]
        control.settle(ending, segments)
    if calls or endings:
        log.warning("calls_resumed", calls=len(taken), kept=len(calls))
    return taken


def catch_up(control: CallControl, calls: Iterable[RunningCall]) -> None:
    """Media goes on, and messages can be sent: see what came to an end meanwhile."""
    for call in calls:
        control.guard(call, call.caught_up)


def _clear(joint: Joint, sessions: set[str]) -> None:
    """End what no call of ours has: it was being set up, or cannot go on."""
    core, now = joint.user_agent.core, joint.user_agent.now
    for session in sorted(sessions):
        try:
            core.refuse(session, now, status=503, headers=[("Retry-After", "1")])
        except LocalSipError:
            # It has been answered, or the call is ours: BYE, or CANCEL.
            core.hang_up(session, now)


def _session_revived(
    joint: Joint, control: CallControl, state: RecordingCallState
) -> RunningCall | None:
    rules, invite = joint.sources.named(state.rules), parse_message(state.invite)
    first = _leg(joint, state.leg)
    if rules is None or first.peer is None or not isinstance(invite, Request):
        return None
    call = SessionCall(
        joint,
        call_id=state.call_id,
        rules=rules,
        knowledge=Knowledge(
            invite,
            rules,
            is_officer=joint.is_officer,
            is_exempt=joint.routes.is_exempt,
            identity=joint.identity,
        ),
        invite=invite,
        first=first,
        finished=control.finished,
    )
    call.restore(state)
    return call


def _revived(
    joint: Joint, control: CallControl, state: AnyCallState
) -> RunningCall | None:
    if isinstance(state, RecordingCallState):
        return _session_revived(joint, control, state)
    plan = joint.routes.resumed(
        state.route,
        state.direction,
        exempt=not isinstance(state, CallState) or state.exempt,
        emergency=state.emergency,
    )
    invite = parse_message(state.invite)
    if plan is None or not isinstance(invite, Request):
        return None
    if not isinstance(state, CallState):
        direct_call = PassthroughCall(
            joint,
            call_id=state.call_id,
            plan=plan,
            invite=invite,
            first=_leg(joint, state.first),
            finished=control.finished,
        )
        direct_call.restore(state, _leg(joint, state.second))
        return direct_call
    legs = [_leg(joint, leg) for leg in state.legs]
    call = ActiveCall(
        joint,
        call_id=state.call_id,
        plan=plan,
        invite=invite,
        first=legs[0],
        caller=state.caller,
        called=state.called,
        finished=control.finished,
    )
    call.restore(state, legs)
    return call


def _leg(joint: Joint, state: LegState) -> Leg:
    return Leg.restore(state, joint.routes.peer_named(state.peer))
