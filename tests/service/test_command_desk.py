from datetime import date
from typing import Any

import msgspec
import pytest

from agent.common.clock import utc_ns
from agent.common.errors import AgentError
from agent.common.ids import new_id
from agent.events.broker import Message
from agent.events.topics import Topics
from agent.formats.command import Command, Why, sign_command
from agent.formats.roster import Person, Role, Roster
from agent.formats.sshsig import SigningKey
from agent.service.command_desk import Answer, CommandDesk
from agent.service.commands import PauseRequest, Reply

KEYS = {name: SigningKey.from_seed(name.encode() * 32) for name in "aqofx"}
TAKEN = ("pause", "resume", "status", "drain")
DAY = date(2026, 11, 30)


def person(name: str, *roles: Role, until: str = "") -> Person:
    key = str(KEYS[name].public)
    return Person(id=f"p-{name}", name=name, roles=roles, signing_key=key, until=until)


ROSTER = Roster(
    serial=1,
    issued="2026-11-01T00:00:00Z",
    people=(
        person("a", Role.ADMIN),
        person("q", Role.QUALITY),
        person("o", Role.OFFICER),
        person("f", Role.ADMIN, until="2026-11-29"),
        Person(id="p-n", name="n", roles=(Role.ADMIN,)),
    ),
    recovery=(),
)


class Site:
    def __init__(self, *taken: str, roster: Roster | None = ROSTER) -> None:
        self.requests: list[tuple[Any, str]] = []
        self.audited: list[tuple[str, str, str]] = []
        self.seen: set[str] = set()
        self.broken = False
        self.reply = Reply()
        self.desk = CommandDesk(
            "h",
            Topics("h"),
            taken=taken or TAKEN,
            roster=lambda: roster,
            today=lambda: DAY,
            first_seen=self._first_seen,
            commands=self,  # type: ignore[arg-type]
            audit=self,
        )

    async def _first_seen(self, command_id: str, expires_utc_ns: int) -> bool:
        assert expires_utc_ns > utc_ns()
        if self.broken:
            raise AgentError("the disk is full.")
        new = command_id not in self.seen
        self.seen.add(command_id)
        return new

    def execute(self, request: Any, *, by: str) -> Reply:
        self.requests.append((request, by))
        return self.reply

    def commanded(self, kind: str, command_id: str, by: str, result: str) -> None:
        self.audited.append((kind, by, result))

    async def send(
        self,
        kind: str,
        key: str,
        *,
        topic: str = "",
        retained: bool = False,
        **more: Any,
    ) -> Answer | None:
        command = Command(
            host="h",
            id=new_id(),
            expires_utc_ns=utc_ns() + 20_000_000_000,
            request={"type": kind} | more,
        )
        return await self.deliver(
            sign_command(command, KEYS[key]), topic or kind, retained=retained
        )

    async def deliver(
        self, data: bytes, kind: str, *, retained: bool = False
    ) -> Answer | None:
        told = await self.desk.answer(
            Message(f"recording-agent/h/commands/{kind}", data, retained)
        )
        if told is None:
            return None
        answer = msgspec.json.decode(told[1], type=Answer)
        assert told[0] == f"recording-agent/h/answers/{answer.id}"
        return answer


async def test_a_command_is_carried_out_audited_and_answered() -> None:
    site = Site()
    answer = await site.send("pause", "q", call_id="call", seconds=5.0, reason="card")
    assert answer is not None
    assert (answer.host, answer.kind, answer.reply.error) == ("h", "pause", "")
    asked = PauseRequest(call_id="call", seconds=5.0, reason="card")
    assert site.requests == [(asked, "mqtt:p-q")]
    assert site.audited == [("pause", "p-q", "ok")]
    assert site.desk.carried_out == 1


async def test_a_refusal_is_an_answer() -> None:
    site = Site()
    site.reply = Reply(error="No such call.")
    answer = await site.send("resume", "a", call_id="call")
    assert answer is not None
    assert answer.reply.error == "No such call."
    assert site.audited == [("resume", "p-a", "refused")]


@pytest.mark.parametrize(
    ("kind", "key", "more", "why"),
    [
        ("stop-recording", "a", {"call_id": "c"}, Why.NOT_TAKEN),
        ("reboot", "a", {}, Why.NOT_TAKEN),
        ("drain", "q", {}, Why.NOT_ALLOWED),
        ("pause", "o", {"call_id": "c"}, Why.NOT_ALLOWED),
        ("pause", "a", {}, Why.MALFORMED),
        ("pause", "a", {"call_id": "c", "reason": "+358401234567"}, Why.MALFORMED),
        ("pause", "a", {"call_id": "c", "topic": "resume"}, Why.OTHER_TOPIC),
    ],
)
async def test_what_somebody_of_the_roster_may_not_is_audited(
    kind: str, key: str, more: dict[str, Any], why: Why
) -> None:
    site = Site()
    assert await site.send(kind, key, **more) is None
    assert site.requests == []
    assert dict(site.desk.ignored) == {why: 1}
    known = more.get("topic", kind)
    assert site.audited == [(known if kind != "reboot" else "unknown", f"p-{key}", why)]


async def test_strangers_are_counted_and_leave_nothing_in_the_audit_log() -> None:
    site = Site()
    assert await site.send("status", "x") is None
    assert await site.send("status", "f") is None  # whose last day was yesterday
    assert await site.send("status", "x", retained=True) is None
    assert await site.deliver(b"\xff" * 100, "status") is None
    assert dict(site.desk.ignored) == {
        Why.UNKNOWN_KEY: 3,
        Why.UNSIGNED: 1,
    }
    assert site.audited == []
    assert site.requests == []


async def test_what_the_broker_keeps_is_ignored_and_audited_once() -> None:
    site = Site()
    command = Command(
        host="h",
        id=new_id(),
        expires_utc_ns=utc_ns() + 10**10,
        request={"type": "status"},
    )
    data = sign_command(command, KEYS["a"])
    for _ in range(3):
        assert await site.deliver(data, "status", retained=True) is None
    assert site.audited == [("status", "p-a", Why.RETAINED)]
    assert dict(site.desk.ignored) == {Why.RETAINED: 3}
    assert site.requests == []
    # It is not used up by that.
    assert await site.deliver(data, "status") is not None


async def test_without_a_roster_nobody_is_believed() -> None:
    site = Site(roster=None)
    assert await site.send("status", "a") is None
    assert site.desk.ignored[Why.UNKNOWN_KEY] == 1


async def test_a_command_is_carried_out_once() -> None:
    site = Site()
    command = Command(
        host="h",
        id=new_id(),
        expires_utc_ns=utc_ns() + 10**10,
        request={"type": "status"},
    )
    data = sign_command(command, KEYS["a"])
    assert await site.deliver(data, "status") is not None
    for _ in range(3):
        assert await site.deliver(data, "status") is None
    assert len(site.requests) == 1
    assert site.audited == [
        ("status", "p-a", "ok"),
        ("status", "p-a", Why.REPEATED),
    ]


async def test_what_cannot_be_noted_is_not_done() -> None:
    site = Site()
    site.broken = True
    assert await site.send("pause", "a", call_id="c") is None
    assert site.requests == []


async def test_who_may_drain_may_undrain() -> None:
    site = Site("drain")
    assert await site.send("drain", "a") is not None
    assert await site.send("undrain", "a") is not None
    assert [type(request).__struct_config__.tag for request, _ in site.requests] == [
        "drain",
        "undrain",
    ]
    assert await site.send("status", "a") is None
