from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from agent.call.joint import CallStatus
from agent.call.orders import Orders, UnknownCallError
from agent.model.recording import RecordState
from agent.service.commands import (
    Commands,
    DrainRequest,
    Order,
    PauseRequest,
    Reply,
    Request,
    ResumeRequest,
    StatusRequest,
    UndrainRequest,
)
from agent.service.host_status import HostStatus

STATUS = CallStatus(
    call_id="call-one",
    route="in",
    direction="inbound",
    state="talking",
    recording=RecordState.ON,
    exempt=False,
    paused_for=None,
    resumes_in=None,
)
HOST = HostStatus(
    spool_used=0.914,
    spool_high_water=0.9,
    spool_free_mb=2048,
    spool_alarm=True,
    to_finish=0,
    to_finish_for=None,
    finishing_alarm=False,
    to_store=12,
    to_store_for=305.2,
    storage_away=True,
    day_keys_for=6,
)


class Switch:
    """Whether new calls are taken, and who said so."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def begin(self, by: str) -> None:
        self.told.append(("begin", by))

    def end(self, by: str) -> None:
        self.told.append(("end", by))


class Desk(Orders):
    """Writes down what it is told."""

    def __init__(self) -> None:
        nobody: Mapping[str, Any] = {}
        super().__init__(nobody, lambda call, act: act())
        self.told: list[tuple[Any, ...]] = []

    def pause(
        self, call_id: str, *, by: str, reason: str = "", seconds: float | None = None
    ) -> CallStatus:
        if call_id != STATUS.call_id:
            raise UnknownCallError("No call that is up has this id.")
        self.told.append(("pause", call_id, by, reason, seconds))
        return STATUS

    def resume(self, call_id: str, *, by: str, reason: str = "command") -> CallStatus:
        self.told.append(("resume", call_id, by))
        return STATUS

    def status(self) -> list[CallStatus]:
        return [STATUS]


def test_requests_are_carried_out() -> None:
    desk = Desk()
    commands = Commands(desk, lambda: HOST, drain=Switch())
    request = PauseRequest(call_id="call-one", seconds=9.0, reason="card")
    assert commands.execute(request, by="uid:0") == Reply(calls=(STATUS,))
    assert commands.execute(ResumeRequest(call_id="call-one"), by="mqtt").calls
    told = commands.execute(StatusRequest(), by="uid:0")
    assert told == Reply(calls=(STATUS,), host=HOST)
    assert desk.told == [
        ("pause", "call-one", "uid:0", "card", 9.0),
        ("resume", "call-one", "mqtt"),
    ]


def test_what_was_done_to_a_call_is_told() -> None:
    done: list[tuple[Order, str, CallStatus]] = []
    commands = Commands(
        Desk(), lambda: HOST, lambda *what: done.append(what), drain=Switch()
    )
    pause, resume = PauseRequest(call_id="call-one"), ResumeRequest(call_id="call")
    commands.execute(pause, by="uid:0")
    commands.execute(StatusRequest(), by="uid:0")
    commands.execute(PauseRequest(call_id="x"), by="uid:0")
    commands.execute(resume, by="mqtt")
    assert done == [(pause, "uid:0", STATUS), (resume, "mqtt", STATUS)]


def test_new_calls_are_refused_and_taken_again() -> None:
    switch, done = Switch(), list[Any]()
    commands = Commands(
        Desk(), lambda: HOST, lambda *what: done.append(what), drain=switch
    )
    # Who asks is told how many calls are left.
    assert commands.execute(DrainRequest(), by="uid:0") == Reply(
        calls=(STATUS,), host=HOST
    )
    assert commands.execute(UndrainRequest(), by="mqtt").host == HOST
    assert switch.told == [("begin", "uid:0"), ("end", "mqtt")]
    assert done == []


def test_a_refusal_says_what_to_do() -> None:
    reply = Commands(Desk(), lambda: HOST, drain=Switch()).execute(
        PauseRequest(call_id="x"), by="uid:0"
    )
    assert not reply.calls
    assert "status" in reply.error
    assert reply.permanent


def test_a_spool_that_cannot_be_read() -> None:
    def broken() -> HostStatus:
        raise OSError(5, "Input/output error")

    reply = Commands(Desk(), broken, drain=Switch()).execute(
        StatusRequest(), by="uid:0"
    )
    assert "cannot be read: Input/output error" in reply.error
    assert not reply.permanent


@pytest.mark.parametrize(
    "text",
    [
        '{"type":"pause","call_id":"x","seconds":0}',
        '{"type":"pause","call_id":"x","seconds":3601}',
        '{"type":"pause","call_id":"x","reason":"Mrs Smith"}',
        '{"type":"pause","call_id":"' + "x" * 65 + '"}',
        '{"type":"pause","call_id":"x","name":"y"}',
        '{"type":"pause"}',
        '{"type":"shut-down"}',
        "[]",
    ],
)
def test_what_may_not_be_asked(text: str) -> None:
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(text, type=Request)
