from dataclasses import replace
from datetime import date

import msgspec
import pytest

from agent.access.config import ControllerConfig
from agent.access.facts import Place, Sources, gather, to_json, to_markdown
from agent.formats.age import KeyKind
from agent.formats.roster import Role
from tests.formats.rosters import TODAY, person, recipient, roster

CONTROLLER = ControllerConfig(name="The agency", legal_basis="GDPR 6(1)(e)")
SOURCES = Sources(
    today=TODAY,
    controller=CONTROLLER,
    places=[Place("audio", "s3://locked", "FI"), Place("gate", "https://gate", "")],
    allowed=["EU", "EEA"],
    keeping={"period": "P1Y", "counted_from": "the day it ended"},
    roster=roster(),
    gate=True,
)


def test_what_the_roster_and_the_tables_say() -> None:
    facts = gather(SOURCES)
    people = {one.role: one.people for one in facts.roles}
    assert people == {
        "quality": 1,
        "officer": 2,
        "admin": 0,
        "case-handler": 1,
        "dpo": 1,
    }
    quality = next(one for one in facts.roles if one.role == "quality")
    assert "training" in quality.purposes
    assert "release" in quality.acts
    assert facts.keys["open every recording"] == 2
    assert facts.keys["recipients"] == "classic"
    assert "caller" in facts.data


@pytest.mark.parametrize("period", ["P1Y", "P6M"])
def test_another_retention_makes_another_report(period: str) -> None:
    keeping = {"period": period, "decision": "TSV/1"}
    told = to_markdown(gather(changed(keeping=keeping)))
    assert f"- period: {period}" in told
    assert "- decision: TSV/1" in told


def changed(**changes: object) -> Sources:
    return replace(SOURCES, **changes)


def test_the_document_has_every_part_and_names_nobody() -> None:
    told = to_markdown(gather(SOURCES))
    for part in ("## Controller", "| quality | 1 |", "| audio | s3://locked | FI |"):
        assert part in told
    assert "| gate | https://gate | not configured |" in told
    assert "- contact: not configured" in told
    everything = told + to_json(gather(SOURCES)).decode()
    for one in roster().people:
        assert one.name not in everything
        assert one.id not in everything
    assert "+358295000201" not in everything


def test_json_says_the_same() -> None:
    told = msgspec.json.decode(to_json(gather(SOURCES)))
    assert told["controller"]["name"] == "The agency"
    assert told["retention"] == {
        "period": "P1Y",
        "counted_from": "the day it ended",
    }
    assert told["made"] == "2026-11-23"


def test_what_is_not_known_is_said_to_be_unknown() -> None:
    bare = Sources(today=date(2026, 11, 23), controller=ControllerConfig())
    facts = gather(bare)
    assert {one.people for one in facts.roles} == {None}
    assert facts.keys == {"roster": "not configured"}
    assert facts.retention == {"period": "not configured"}
    [line] = facts.enforced
    assert line.startswith("Without a gate")
    assert "| quality | ? |" in to_markdown(facts)


def test_post_quantum_keys_are_called_so() -> None:
    kind = KeyKind.POST_QUANTUM
    quantum = roster(
        people=(person("quinn", Role.QUALITY, recipient=recipient("quinn", kind)),),
        recovery=(recipient("recovery", kind),),
    )
    facts = gather(changed(roster=quantum))
    assert facts.keys["recipients"] == "post-quantum"
