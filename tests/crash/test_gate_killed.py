"""The gate is killed at random while it releases: no answer without its row."""

import asyncio
import random
import sys
from pathlib import Path

import httpx
import pytest

from agent.archive.audit_verification import read_rows, verify_log
from agent.common.clock import monotonic, utc_ns
from agent.formats.layout import day_of
from agent.identity.roster import load_roster
from agent.upload.backends.directory import DirectoryBackend
from tests.gate.process import GateProcess, prepare, widen_limits
from tests.gate.site import gate_site
from tests.ports import free_ports

KILLS = 3
CLIENTS = 6
SECONDS = (0.3, 1.2)
"Between its being ready and its death."

pytestmark = [pytest.mark.crash, pytest.mark.beside]


class Askers:
    """Clients that ask without end, and note what they were given."""

    def __init__(self, ids: list[str]) -> None:
        self._ids = ids
        self.asked = 0
        self.given: set[str] = set()
        "References of the requests that were answered with an envelope."

    async def ask(self, client: httpx.AsyncClient, until: float) -> None:
        while monotonic() < until:
            self.asked += 1
            reference = f"R-{self.asked}"
            body = {"id": random.choice(self._ids), "purpose": "quality"}
            try:
                answer = await client.post(
                    "/releases", json=body | {"reference": reference}
                )
            except httpx.TransportError:
                return  # it was killed
            if answer.status_code == 200:
                self.given.add(reference)


async def test_killed_at_random_no_release_is_without_its_row(tmp_path: Path) -> None:
    [port] = free_ports(1)
    site = gate_site(tmp_path, port)
    widen_limits(site.path)
    day = day_of(utc_ns())
    locked, state = (DirectoryBackend(tmp_path / n) for n in ("locked", "state"))
    ids = await prepare(site, state, day, 20)
    gate, askers = GateProcess(site), Askers(ids)
    rng = random.Random()
    for _ in range(KILLS):
        await asyncio.to_thread(gate.start)
        try:
            async with gate.client(CLIENTS) as client:
                dies = monotonic() + rng.uniform(*SECONDS)
                asking = [askers.ask(client, dies + 1) for _ in range(CLIENTS)]
                running = asyncio.gather(*asking)
                await asyncio.sleep(dies - monotonic())
                gate.kill()
                await running
        finally:
            gate.kill()
    config = site.config()
    keys = load_roster(tmp_path / config.roster.path, config.roster.root).gate_keys()
    report = await verify_log(locked, "gate", keys, {})
    assert report.whole, report.findings
    rows = [row async for row in read_rows(locked, "gate", keys)]
    written = {row.reference for row in rows if row.act == "release"}
    told = f"{KILLS} kills, {len(askers.given)} releases, {len(written)} rows\n"
    sys.stdout.write(told)
    assert len(askers.given) > 20
    assert askers.given <= written
