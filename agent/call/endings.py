"""The end of a call: its one outcome, in the log and in the ledger."""

from collections.abc import Sequence
from typing import Final

import structlog

from agent.call.joint import Joint
from agent.call.open_segment import OpenSegment
from agent.call.state import EndingState
from agent.common.errors import AgentError
from agent.model.call import Outcome
from agent.recording.ledger import Ledger

_ALARMING: Final = {
    Outcome.BLOCKED,
    Outcome.UNRECORDED,
    Outcome.PARTIAL,
    Outcome.FAILED,
}


async def close_row(
    joint: Joint, ledger: Ledger, ending: EndingState, segments: Sequence[OpenSegment]
) -> None:
    """Close a call's row, once the journals of its `segments` are closed."""
    log = structlog.get_logger().bind(call_id=ending.call_id)
    for segment in segments:
        await joint.recorder.whole(segment)
    outcome = ending.outcome
    broke = ending.interrupted or any(segment.gap for segment in segments)
    if outcome is Outcome.RECORDED and broke:
        outcome = Outcome.PARTIAL
    level = log.warning if outcome in _ALARMING else log.info
    level("ended", outcome=outcome, cause=ending.cause, sip_status=ending.sip_status)
    try:
        await ledger.close_call(
            ending.call_id,
            outcome,
            cause=ending.cause or "",
            sip_status=ending.sip_status,
            ended_utc_ns=ending.ended_utc_ns,
            missing_ms=ending.missing_ms,
        )
    except AgentError as error:
        log.critical("ledger_unwritable", reason=str(error))
    if joint.keeper is not None:
        joint.keeper.forget(ending.call_id)
