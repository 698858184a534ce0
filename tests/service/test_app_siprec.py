"""A daemon in this process to which a recording client sends a call, over sockets."""

import asyncio
from pathlib import Path
from typing import Any

from agent.model.call import Outcome
from agent.model.media import Address
from agent.recording.ledger import read_rows
from agent.service.app import Agent
from agent.service.config import load
from tests.cli.conftest import DiskSite
from tests.lab.siprec import documents
from tests.lab.siprec.src import Client, clients
from tests.lab.siprec.streams import Stream
from tests.patience import PATIENCE
from tests.ports import free_ports

PEER = """
[[peers]]
name = "src"
match = ["127.0.0.1:{port}"]
[[siprec]]
name = "beside"
from = "src"
notice = "statement:The client plays it."
"""
CALLER, OFFICER = "sip:0401234567@example.com", "sip:201@example.com"


def talk() -> bytes:
    return documents.document(
        documents.session("call"),
        documents.participant(CALLER),
        documents.participant(OFFICER),
    )


async def test_what_a_client_sends_is_recorded_stored_and_in_the_ledger(
    tmp_path: Path, log: list[dict[str, Any]]
) -> None:
    site = DiskSite(tmp_path)
    [site.sip, port] = free_ports(2)
    config_file = site.write()
    config_file.write_text(config_file.read_text() + PEER.format(port=port))
    agent = Agent(load(config_file), site.root)
    ready = asyncio.Event()
    served = asyncio.get_running_loop().create_task(agent.serve(ready.set))
    client = Client(Address("127.0.0.1", port), site.sip)
    client.add(Stream("a", 1), Stream("b", 2))
    async with asyncio.timeout(PATIENCE), clients(client):
        await ready.wait()
        answer = await client.record(talk())
        assert answer.status == 200
        assert [line.direction for line in client.answers] == ["recvonly", "recvonly"]
        while any(len(stream.said) < 10 for stream in client.clock.streams):
            await asyncio.sleep(0)
        assert (await client.bye()).status == 200
        while not [e for e in log if e["event"] == "stored"]:
            await asyncio.sleep(0)
        agent.stop()
        await served
    [row] = read_rows(site.root / "spool" / "ledger.sqlite")
    assert (row.route, row.outcome) == ("beside", Outcome.RECORDED)
    assert len(row.recordings) == 1
    stored = [p.name for p in (site.root / "locked").rglob("*.wav.age")]
    assert stored == [f"{row.recordings[0].recording_id}.wav.age"]
    told = " ".join(str(entry) for entry in log)
    assert "0401234567" not in told
    assert not [e for e in log if e["level"] in {"error", "critical"}]
