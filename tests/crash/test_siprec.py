"""kill -9 under a recording session: what is lost, and what is said of it."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from tests.lab.opened import open_recording
from tests.lab.siprec import documents as doc
from tests.lab.siprec.played import Channels
from tests.lab.siprec.scene import OFFICER
from tests.lab.siprec.site import Site, recording_server
from tests.lab.siprec.src import Client, clients
from tests.lab.siprec.streams import Stream
from tests.lab.standing import assert_well
from tests.patience import PATIENCE

pytestmark = pytest.mark.crash

CALLER = "sip:0401234567@trunk.example"
LOST = 5
"Frames that a dead worker may have had in its hands, and those at both ends."
BOUND = 70
"Frames that a dead host may take with it: a second, and what a busy machine adds."


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = recording_server(tmp_path_factory.mktemp("siprec"), spares=1)
    try:
        site.daemon.start()
        yield site
        assert_well(site.daemon)
        site.stop()
    finally:
        site.daemon.kill()


@asynccontextmanager
async def talking(site: Site) -> AsyncIterator[Client]:
    """A client whose call of two parties is being recorded."""
    client = site.client()
    client.add(Stream("1", 1), Stream("2", 2))
    async with clients(client):
        parties = doc.two_parties(CALLER, OFFICER, call="call")
        answer = await client.record(doc.document(*parties))
        assert answer.status == 200
        await asyncio.sleep(1.0)
        yield client


def missing(channels: Channels, client: Client) -> list[int]:
    """How many of its frames each stream lacks on its side; nothing is elsewhere."""
    caller, officer = client.clock.streams
    assert channels.left(officer) is None
    assert channels.right(caller) is None
    sides = ((channels.left, caller), (channels.right, officer))
    found = [(side(stream), stream) for side, stream in sides]
    return [len(s.said - where.frames) if where else len(s.said) for where, s in found]


async def test_a_worker_dies_and_the_session_goes_on(site: Site) -> None:
    async with talking(site) as client:
        async with asyncio.timeout(PATIENCE):
            while not site.daemon.processes()["spare"]:
                await asyncio.sleep(0.05)
        [worker] = site.daemon.processes()["worker"]
        ready = len(site.daemon.log("media_worker_ready"))
        os.kill(worker, signal.SIGKILL)
        await site.daemon.logged("media_worker_ready", count=ready + 1)
        await asyncio.sleep(0.5)
        assert (await client.bye()).status == 200
        await site.daemon.logged("stored")
    row = site.daemon.rows()[0]
    [recording] = row.recordings
    channels = Channels(open_recording(site.daemon, recording.recording_id))
    assert max(missing(channels, client)) <= LOST
    assert channels.recording.manifest.session.source == "sbc"


async def test_all_of_it_dies_and_what_was_said_is_kept(site: Site) -> None:
    async with talking(site) as client:
        site.daemon.kill()
        said = [set(stream.said) for stream in client.clock.streams]
    stored = len(site.daemon.log("stored"))
    site.daemon.start()
    await site.daemon.logged("stored", count=stored + 1)
    row = site.daemon.rows()[0]
    assert (row.outcome, row.cause) == ("partial", "agent-died")
    [recording] = row.recordings
    opened = open_recording(site.daemon, recording.recording_id)
    for stream, before in zip(client.clock.streams, said, strict=True):
        stream.said = before
    assert max(missing(Channels(opened), client)) <= BOUND
    manifest = opened.manifest
    assert (manifest.outcome, manifest.end_cause) == ("partial", "agent-died")
    assert manifest.caller == "+358401234567"
    assert [officer.number for officer in manifest.officers] == ["201"]
    # The client's own words are in it too.
    [document] = manifest.session.metadata
    assert doc.uid("call").encode() in document.xml
