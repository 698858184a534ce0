"""Two recording servers: both record one call, and one takes what the other refuses."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.formats.manifest import Manifest
from agent.service.commands import DrainRequest
from agent.service.control import ask
from tests.lab.daemon import ROOT
from tests.lab.siprec import documents as doc
from tests.lab.siprec.played import Channels
from tests.lab.siprec.scene import OFFICER
from tests.lab.siprec.site import Site, recording_server
from tests.lab.siprec.src import Client, clients
from tests.lab.siprec.streams import Stream

pytestmark = [pytest.mark.integration, pytest.mark.beside]

CALLER = "sip:0401234567@trunk.example"


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[tuple[Site, Site]]:
    first = recording_server(tmp_path / "first")
    second = recording_server(tmp_path / "second")
    second.daemon.amend('name = "test"', 'name = "other"')
    try:
        for site in (first, second):
            site.daemon.start()
        yield first, second
    finally:
        for site in (first, second):
            site.daemon.kill()


def with_streams(client: Client) -> Client:
    """The same two sounds, whoever sends them."""
    client.add(Stream("1", 1), Stream("2", 2))
    return client


async def test_two_hosts_record_one_call(hosts: tuple[Site, Site]) -> None:
    document = doc.document(*doc.two_parties(CALLER, OFFICER, call="call"))
    both = [with_streams(site.client()) for site in hosts]
    async with clients(*both):
        answers = await asyncio.gather(*(one.record(document) for one in both))
        assert [answer.status for answer in answers] == [200, 200]
        await asyncio.sleep(1.0)
        screen = await asyncio.to_thread(top, hosts[0])
        assert screen[0].startswith("recording-agent test   1 call, 1 recorded")
        [session] = [line for line in screen if "beside-sbc" in line]
        assert session.split()[2:4] == ["talking", "on"]
        assert "s1  PCMA" in session
        # One host is to restart: who talks is let talk, who comes is sent elsewhere.
        first, second = hosts
        directory = first.daemon.spool / "run"
        reply = await asyncio.to_thread(ask, directory, DrainRequest())
        assert not reply.error
        refused, taken = with_streams(first.client()), with_streams(second.client())
        async with clients(refused, taken):
            answer = await refused.record(document)
            assert answer.status == 503
            assert int(answer["Retry-After"].split(";")[0]) > 0
            assert (await taken.record(document)).status == 200
            await asyncio.sleep(0.5)
            await taken.bye()
        for one in both:
            assert (await one.bye()).status == 200
        await second.daemon.logged("stored", count=2)
        await first.daemon.logged("stored")
    manifests = []
    for site, client in zip(hosts, both, strict=True):
        recordings = sorted(
            site.daemon.recordings(), key=lambda r: r.manifest.started["utc"]
        )
        channels = Channels(recordings[0])
        for side, stream in zip(
            (channels.left, channels.right), client.clock.streams, strict=True
        ):
            where = side(stream)
            assert where is not None
            assert len(stream.said - where.frames) <= 10
        manifests.append(recordings[0].manifest)
    assert_same_call(*manifests)


def top(site: Site) -> list[str]:
    """What an operator sees of a host now."""
    words = (sys.executable, "-m", "agent", "top", "--once", "-c")
    done = subprocess.run(
        [*words, site.daemon.config],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
        env=os.environ | {"COLUMNS": "80"},
    )
    return done.stdout.splitlines()


def assert_same_call(one: Manifest, other: Manifest) -> None:
    """Two recordings of two hosts that the storage can tell are of one call."""
    assert one.group == other.group
    assert one.id != other.id
    assert one.host != other.host
    assert one.session.session_ids == other.session.session_ids != ()
