"""One event of each kind."""

from typing import Any, get_args

from agent.model.events import AlarmEvent, CallEvent, DailySummary

_VALUES: dict[str, Any] = {
    "call_id": "c-1",
    "recording_id": "r-1",
    "group": "g-1",
    "route": "in",
    "direction": "inbound",
    "language": "fi",
    "sha256": "0" * 64,
    "sent_ms": 400,
    "outcome": "recorded",
    "cause": "caller-hangup",
    "sip_status": None,
    "missing_ms": 0,
    "ended_utc_ns": 2,
    "started_utc_ns": 1,
    "by": "uid:0",
    "reason": "card",
    "seconds": 20.0,
}
SUMMARY = DailySummary(
    day="2026-11-30",
    outcomes={"recorded": 2},
    answered=2,
    exempt=0,
    capture_rate=1.0,
    missing_ms=0,
    stored=2,
    waiting=0,
    without_outcome=0,
)
EXAMPLES = [
    *(
        event(
            **{n: _VALUES[n] for n in event.__struct_fields__ if n in _VALUES},
            event_id="e",
            utc_ns=1,
            host="h",
            sequence=1,
        )
        for event in get_args(CallEvent)
    ),
    AlarmEvent(event="storage_away", active=True, fields={"storage": "main"}),
    SUMMARY,
]
