"""Places the test call, waits for its recording, and judges both."""

import asyncio
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from agent.access.opening import Found, open_found
from agent.cli.asking import ask_daemon
from agent.cli.doctor.finding import Finding, Findings
from agent.cli.doctor.showing import show
from agent.cli.open import read_identities
from agent.cli.simulate.call import Placed, place
from agent.cli.simulate.judging import (
    judge_audio,
    judge_call,
    judge_objects,
    judge_row,
)
from agent.cli.simulate.site import SimulationError, Site, site_of
from agent.cli.simulate.stored import fetch
from agent.cli.working import Working
from agent.common.clock import monotonic
from agent.common.errors import AgentError
from agent.formats.age import Identity
from agent.formats.layout import day_of
from agent.model.recording import RecordingState
from agent.recording.ledger import LedgerRow, read_rows
from agent.recording.ledger_query import Wanted
from agent.service.commands import StatusRequest
from agent.service.config import load
from agent.service.material import Material, read_material

LOOK: Final = 0.25
"Seconds between two looks into the ledger."
_DONE: Final = frozenset({RecordingState.STORED, RecordingState.PURGED})


def command(
    *,
    config: Annotated[Path, Parameter(name=["--config", "-c"])],
    route: str = "",
    identity: Annotated[tuple[Path, ...], Parameter(name=["--identity", "-i"])] = (),
    patience: float = 60.0,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Place a test call through the running agent, and judge it and its recording.

    Two telephones of its own ring each other by a route with `test = true`, and beep in
    turn. 1 if the notice was not heard whole, or anything of the recording is not as it
    must be. The recording stays: it has nobody's number, name or words.

    Args:
        config: The configuration file of the daemon.
        route: The route, if there is more than one for tests.
        identity: Files with the secret key of the test's officer: the recording is
            opened, and each beep looked for in its channel and place.
        patience: Seconds within which the recording must be stored.
        json: Print JSON lines instead, one a finding.
    """
    settings = load(config)
    material = read_material(settings, config.resolve().parent)
    site = site_of(settings, material.notices, route)
    identities = [key for path in identity for key in read_identities(path)]
    with Working("asking the daemon …") as working:
        before = _calls(config, site)
        placed = asyncio.run(
            place(site, working.tell, lambda: _call_id(config, site, before))
        )
        working.tell("sealing and storing …")
        ledger = config.resolve().parent / settings.agent.spool / "ledger.sqlite"
        row = _wait(ledger, placed.call_id, patience)
        working.tell("fetching it from storage …")
        found = _judge(placed, row, material, identities)
        wrong = show(working.through(found), json=json)
    if wrong:
        sys.exit(1)


def _calls(config: Path, site: Site) -> set[str]:
    """Ids of calls by this route that are up."""
    calls = ask_daemon(config, StatusRequest()).calls
    return {call.call_id for call in calls if call.route == site.route.name}


def _call_id(config: Path, site: Site, before: set[str]) -> str:
    new = _calls(config, site) - before
    if len(new) != 1:
        raise SimulationError(
            f"{len(new)} new calls by the route {site.route.name} are up, not one.",
            hint="Have nobody else test at the same time.",
        )
    return new.pop()


def _wait(ledger: Path, call_id: str, patience: float) -> LedgerRow:
    """The call's row, once it is closed and stored, or patience is over."""
    deadline = monotonic() + patience
    while True:
        rows = read_rows(ledger, wanted=Wanted(call_id=call_id))
        if not rows:
            raise SimulationError(f"the ledger does not know the call {call_id}.")
        row = rows[0]
        stored = all(one.state in _DONE for one in row.recordings)
        if (row.outcome and stored) or monotonic() > deadline:
            return row
        time.sleep(LOOK)


def _judge(
    placed: Placed, row: LedgerRow, material: Material, identities: Sequence[Identity]
) -> Iterator[Finding]:
    yield from judge_call(placed, Findings("call"))
    yield from judge_row(row, Findings("ledger"))
    found = Findings("recording")
    gated = material.protection.day_keys is not None
    if identities and gated:
        yield found.warning(
            "the gate's layer is around its envelope: it is not opened here",
            "Play it through the gate: recording-agent archive play.",
        )
    for one in row.recordings:
        stored = list(_fetched(one.recording_id, _days(row), material))
        for name, objects in stored:
            yield from judge_objects(name, objects, Findings("storage"))
        if identities and stored and not gated:
            yield from _opened(stored[0][1], identities, material, placed, found)


def _days(row: LedgerRow) -> list[date]:
    """Those it may be filed under, the likeliest first."""
    moments = (row.ended_utc_ns, row.begun_utc_ns)
    return list(dict.fromkeys(day_of(at) for at in moments if at is not None))


def _fetched(
    recording_id: str, days: Sequence[date], material: Material
) -> Iterator[tuple[str, Found]]:
    for target in material.storages:
        yield target.name, asyncio.run(fetch(recording_id, days, target))


def _opened(
    stored: Found,
    identities: Sequence[Identity],
    material: Material,
    placed: Placed,
    found: Findings,
) -> Iterator[Finding]:
    try:
        opened = open_found(stored, identities, material.roster)
    except AgentError as error:
        yield found.wrong(
            f"it does not open: {error}", "Is the key that of the test's officer?"
        )
        return
    yield found.right(
        f"it opens: {opened.manifest.audio.duration_ms / 1000:.1f} s,"
        f" quality {opened.manifest.verdict}"
    )
    yield from judge_audio(opened, placed, found)
