"""A prepared state of a host, as `top` shows it: in the README, and in tests."""

from agent.call.joint import CallStatus
from agent.call.leg_status import LegStatus
from agent.cli.top_frame import Scene
from agent.model.call import Outcome
from agent.model.recording import RecordState
from agent.service.alarm_board import Alarm
from agent.service.host_status import (
    HostStatus,
    PeerStatus,
    StorageStatus,
    WorkerStatus,
)

NOW = 1_795_437_296_000_000_000


def leg(name: str, lost: int, jitter_ms: float, **more: object) -> LegStatus:
    values = {"codec": "PCMA", "received": 10_000 - lost} | more
    return LegStatus(name=name, lost=lost, jitter_ms=jitter_ms, **values)


def call(call_id: str, **more: object) -> CallStatus:
    values: dict[str, object] = {
        "route": "customer-service",
        "direction": "inbound",
        "state": "talking",
        "recording": RecordState.ON,
        "exempt": False,
        "paused_for": None,
        "resumes_in": None,
    }
    return CallStatus(call_id=call_id, **(values | more))


def alarm(event: str, seconds: int, count: int = 1, **fields: str) -> Alarm:
    return Alarm(
        event=event,
        message_id="0" * 31 + "1",
        summary="Something is wrong.",
        since_utc_ns=NOW - seconds * 10**9,
        count=count,
        fields=fields,
    )


HOST = HostStatus(
    spool_used=0.41,
    spool_high_water=0.9,
    spool_free_mb=123_187,
    spool_alarm=False,
    to_finish=0,
    to_finish_for=None,
    finishing_alarm=False,
    to_store=12,
    to_store_for=305.2,
    storage_away=True,
    storages=(
        StorageStatus(name="hall-a", to_store=0, to_store_for=None, away=False),
        StorageStatus(name="hall-b", to_store=12, to_store_for=305.2, away=True),
    ),
    day_keys_for=31,
    peers=(
        PeerStatus(name="trunk", up=True, registered=True),
        PeerStatus(name="pbx", up=False),
        PeerStatus(name="officers"),
    ),
    workers=tuple(
        WorkerStatus(number=number, alive=True, restarts=number // 3)
        for number in range(4)
    ),
    broker_away=False,
    alarms=(
        alarm("storing_failed", 305, 7, storage="hall-b"),
        alarm("peer_down", 40, peer="pbx"),
    ),
)
CALLS = (
    call(
        "3f9a1c20aaaa",
        recorded_for=754.2,
        legs=(leg("a", 8, 2.1), leg("b1", 0, 1.2)),
    ),
    call(
        "77b0e4d2aaaa",
        recorded_for=61.0,
        legs=(
            leg("a", 412, 18.6, codec="opus", encrypted=True),
            leg("b2", 1, 0.8, codec="opus"),
        ),
    ),
    call(
        "a51c66f0aaaa",
        recorded_for=130.5,
        recording=RecordState.PAUSED,
        paused_for=12.0,
        resumes_in=48.0,
        legs=(leg("a", 0, 3.4), leg("b1", 0, 1.0)),
    ),
    call(
        "c8812be7aaaa",
        route="officer-calls-out",
        direction="outbound",
        state="held",
        recorded_for=3725.0,
        legs=(leg("a", 30, 6.0, held=True), leg("b1", 2, 44.0)),
    ),
    call(
        "d02f9b14aaaa",
        state="announcing",
        recording=RecordState.OFF,
        legs=(LegStatus(name="a", codec="PCMA"),),
    ),
    call(
        "e6604a5baaaa",
        route="emergency",
        state="direct",
        recording=RecordState.OFF,
        exempt=True,
    ),
)
SCENE = Scene(
    name="host-a",
    utc_ns=NOW,
    calls=CALLS,
    host=HOST,
    outcomes={
        Outcome.RECORDED: 118,
        Outcome.ABANDONED: 9,
        Outcome.UNANSWERED: 3,
        Outcome.PARTIAL: 1,
    },
)
