"""Call sessions without a call: plans for them, and what they command."""

from typing import Any

from agent.call import commands as do
from agent.call.config import RouteConfig
from agent.call.phases import Phase
from agent.call.routing import Plan, Step
from agent.call.session import CallSession
from agent.model.call import CallDirection
from agent.model.recording import NoticeEvidence

INBOUND = (Step.ANSWER, Step.ANNOUNCE, Step.CONNECT)
OUTBOUND = (Step.CONNECT, Step.ANSWER, Step.ANNOUNCE)
EARLY = (Step.ANNOUNCE, Step.CONNECT, Step.ANSWER)
EXEMPT = (Step.CONNECT, Step.ANSWER)
TARGETS = ("sip:201@192.0.2.1", "sip:202@192.0.2.1")


def evidence(language: str = "fi") -> NoticeEvidence:
    return NoticeEvidence(
        sha256="00" * 32,
        language=language,
        duration_ms=1000,
        sent_ms=1000,
        packets=50,
        started_at=1,
        ended_at=2,
    )


def call(
    steps: tuple[Step, ...] = INBOUND,
    *,
    targets: tuple[str, ...] = TARGETS,
    exempt: bool = False,
    emergency: bool = False,
    can_record: bool = True,
    max_segment: float = 7200.0,
    rounds: tuple[tuple[str, ...], ...] = (),
    **route: Any,
) -> CallSession:
    direction = CallDirection.OUTBOUND if steps == OUTBOUND else CallDirection.INBOUND
    config = RouteConfig(
        name="r",
        from_="trunk",
        number="1",
        direction=direction.value,
        to=targets or ("sip:1@192.0.2.1",),
        notice=("fi.wav",),
        **route,
    )
    plan = Plan(
        route=config,
        direction=direction,
        steps=steps,
        rounds=rounds or tuple((target,) for target in targets),
        exempt=exempt,
        emergency=emergency,
    )
    return CallSession(plan, can_record=can_record, max_segment=max_segment)


def commands(session: CallSession) -> list[do.Command]:
    found = []
    while (command := session.next_command()) is not None:
        found.append(command)
    return found


def talking(**kwargs: Any) -> CallSession:
    session = call(**kwargs)
    session.begin(("fi",), 0.0)
    session.acknowledged(0.1)
    session.notice_played(evidence(), 1.0)
    session.target_answered("b1", 2.0)
    assert session.phase is Phase.TALKING
    commands(session)
    return session
