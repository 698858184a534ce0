"""Schemathesis against the gate, as each role: the interface is as it is described.

In this process, over ASGI; what is generated is the same each time.
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import load_all_checks
from schemathesis.specs.openapi.checks import positive_data_acceptance

from agent.gate.bodies import Executed, SweepOutcome
from agent.gate.publishing import publish
from tests.gate.rig import Rig, opened

EXAMPLES = 3
"Of each operation and mode."
NAMES = ["quinn", "otso", "adam", "cara", "dan", "host-b", "eve"]
"One of each role, a host, and a stranger."
OCTETS = {
    "POST /recordings/{recording_id}/annotations",
    "PUT /recordings/{recording_id}/envelope",
    "POST /requests",
}
ANYTHING = {"GET /day-keys", "GET /audit/verify", "POST /requests"}
"Of which nothing that can be asked is against the description."
URL = "https://gate.test"

pytestmark = [pytest.mark.integration, pytest.mark.beside]
load_all_checks()


class Erasing:
    """Says that it did what it was asked: nothing is erased here."""

    def __init__(self, _parts: Any, _admission: Any, approvals: Any) -> None:
        self._approvals = approvals

    async def execute(self, _person: Any, request_id: str) -> Executed:
        await self._approvals.open(request_id)
        return Executed(id=request_id, result="done", records=0)

    async def sweep(self, _person: Any, *, dry_run: bool) -> SweepOutcome:
        return SweepOutcome(dry_run=dry_run, report={})


@dataclass
class Asker:
    """One person, with a gate of their own: what one does is nothing to another."""

    name: str
    rig: Rig
    known: str
    "A recording that is there."


def test_schemathesis_finds_nothing(tmp_path: Path) -> None:
    with asyncio.Runner() as runner:
        openings = {name: opened(tmp_path / name, erasing=Erasing) for name in NAMES}
        askers = []
        for name, opening in openings.items():
            (tmp_path / name).mkdir()
            rig = runner.run(opening.__aenter__())
            askers.append(Asker(name, rig, runner.run(rig.store())))
            runner.run(publish(rig.parts))
        schema = schemathesis.openapi.from_dict(askers[0].rig.app.openapi())
        for found in schema.get_all_operations():
            operation = found.ok()
            for mode in GenerationMode:
                if mode is GenerationMode.POSITIVE or operation.label not in ANYTHING:
                    try_operation(runner, askers, operation, mode)
        for opening in openings.values():
            runner.run(opening.__aexit__(None, None, None))


def try_operation(
    runner: asyncio.Runner, askers: list[Asker], operation: Any, mode: GenerationMode
) -> None:
    """Ask what the description allows, or what it does not, and judge the answers.

    To make up a case takes far longer than to ask it: each is asked by everybody.
    """

    # What octets must be inside is no matter of the description.
    excluded = [positive_data_acceptance] if operation.label in OCTETS else []

    @settings(
        max_examples=EXAMPLES, database=None, derandomize=True,
        phases=[Phase.generate], suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        for asker in askers:
            if mode is GenerationMode.POSITIVE and "recording_id" in (
                case.path_parameters or {}
            ):
                case.path_parameters["recording_id"] = asker.known
            asked = requests.Request(**case.as_transport_kwargs(base_url=URL)).prepare()
            answer = runner.run(
                asker.rig.as_(asker.name).request(
                    str(asked.method), str(asked.url),
                    content=asked.body or b"", headers=dict(asked.headers),
                )
            )  # fmt: skip
            try:
                case.validate_response(answer, excluded_checks=excluded)
            except BaseException as error:
                error.add_note(f"asked by {asker.name}")
                raise

    ask()
