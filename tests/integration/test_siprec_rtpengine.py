"""rtpengine forks a call that Kamailio has routed: the agent records it from there.

Between the two stands a recording client that knows nothing of media: it takes the
description of rtpengine's subscription to the agent, and the answer back.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.cli.phone import Phone
from tests.lab.kamailio import kamailio
from tests.lab.rtpengine import (
    KAMAILIO_CHECKS,
    KAMAILIO_MODULE,
    RtpEngine,
    rtpengine,
)
from tests.lab.scenes import CUSTOMER_HZ, OFFICER_HZ, check_sides, our_phone
from tests.lab.siprec import documents as doc
from tests.lab.siprec.messages import body_of
from tests.lab.siprec.site import Site, recording_server
from tests.lab.siprec.src import Client, clients
from tests.patience import PATIENCE
from tests.ports import free_ports

pytestmark = [pytest.mark.integration, pytest.mark.beside]
proves = pytest.mark.interop

_HOLD = {"block media": "inactive", "unblock media": "sendonly"}
"What rtpengine is told of a call on hold, and that call's subscription; and then."
CALLER = "0401234567"
CALLER_AOR, OFFICER_AOR = f"sip:{CALLER}@trunk.example", "sip:201@agency.example"


@dataclass
class Forked:
    """A call under way beside the agent, both parties speaking."""

    engine: RtpEngine
    caller: Phone
    officer: Phone


@asynccontextmanager
async def call_beside(root: Path) -> AsyncIterator[Forked]:
    """Two phones that talk by Kamailio, their media by rtpengine."""
    proxy, officer_port, caller_port = free_ports(3)
    async with (
        rtpengine(root) as engine,
        our_phone(officer_port, "201", OFFICER_HZ) as officer,
        our_phone(caller_port, CALLER, CUSTOMER_HZ) as caller,
        kamailio(
            root,
            port=proxy,
            agent=officer_port,
            outside=f"sip:127.0.0.1:{caller_port}",
            inside=f"sip:127.0.0.1:{officer_port}",
            more=KAMAILIO_MODULE.format(port=engine.port),
            checks=KAMAILIO_CHECKS,
        ),
    ):
        async with asyncio.timeout(PATIENCE):
            await caller.call(f"sip:201@127.0.0.1:{proxy}")
            await officer.connected.wait()
        caller.speak()
        officer.speak()
        yield Forked(engine, caller, officer)
        caller.hang_up()
        await officer.ended.wait()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return recording_server(tmp_path)


@proves("rtpengine", "as a recording client: both legs of a call by Kamailio")
async def test_a_call_is_forked_to_the_agent(site: Site, tmp_path: Path) -> None:
    await record_beside(site, tmp_path, site.client(), "RTP/AVP")


@proves("rtpengine", "as a recording client: the same, over TLS with SRTP (SDES)")
async def test_a_call_is_forked_in_srtp(site: Site, tmp_path: Path) -> None:
    await record_beside(site, tmp_path, site.client(transport="tls"), "RTP/SAVP")


async def record_beside(site: Site, root: Path, client: Client, profile: str) -> None:
    """Have a call forked, told to the agent, recorded and stored; and look at it."""
    site.daemon.start()
    try:
        async with call_beside(root) as call, clients(client):
            fork = await call.engine.fork(profile=profile)
            metadata = doc.document(
                *doc.two_parties(CALLER_AOR, OFFICER_AOR, call="c", labels=fork.labels)
            )
            answer = await client.invite(*body_of(fork.offer, metadata))
            assert answer.status == 200
            assert answer["Content-Type"] == "application/sdp"
            for line in client.answers:
                assert (line.protocol, line.direction) == (profile, "recvonly")
                assert bool(line.crypto) is (profile == "RTP/SAVP")
            assert {line.label for line in client.answers} == set(fork.labels)
            await call.engine.answered(fork, answer.body)
            await asyncio.sleep(1.5)
            for version, (command, direction) in enumerate(_HOLD.items(), 1 << 62):
                await call.engine.ask(command, fork.whole_call)
                offer = fork.again(version, direction)
                assert (await client.invite(*body_of(offer, b""))).status == 200
                await asyncio.sleep(0.8)
            assert (await client.bye()).status == 200
        await site.daemon.logged("stored")
    finally:
        site.stop()
    [recording] = site.daemon.recordings()
    check_sides(recording)
    # Both parties were on hold for a while, and came back.
    held = [gap for gap in recording.manifest.gaps if gap.reason in {"hold", "pause"}]
    assert {gap.leg for gap in held} == {0, 1}
    for gap in held:
        assert gap.duration_ms > 700
        assert gap.start_ms + gap.duration_ms < recording.manifest.audio.duration_ms
    manifest = recording.manifest
    assert manifest.caller == "+358401234567"
    assert [officer.number for officer in manifest.officers] == ["201"]
    assert manifest.direction == "inbound"
    assert manifest.session is not None
    assert (manifest.session.basis, manifest.session.tolerated) == ("directory", ())
    [told] = manifest.session.metadata
    assert (told.xml, told.flaws) == (metadata, ())
