"""Our process is killed at any moment of a call that changes all the time."""

import asyncio
import random
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from agent.model.media import Address
from agent.signalling.config import Listener
from agent.signalling.sip import core as sip
from agent.signalling.sip.core import UserAgentCore
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.timers import Timers
from agent.signalling.sip.uri import NameAddr, parse_uri
from agent.signalling.useragent import UserAgent
from tests.ports import free_ports

pytestmark = pytest.mark.crash

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 4.0
LIVES = 12
"At the least, in that time."


class Caller:
    """A phone that changes its call without a pause."""

    def __init__(self, transport: str, port: int) -> None:
        self.address = Address("127.0.0.1", port)
        self.transport = transport
        self.events: asyncio.Queue[Any] = asyncio.Queue()
        core = UserAgentCore(
            rng=random.Random(port), timers=Timers(t1=0.05, t2=0.2), product="caller"
        )
        self.core = core
        listener = Listener(transport, self.address)
        self.agent = UserAgent(core, [listener], self.events.put_nowait)

    async def next(self) -> Any:
        return await asyncio.wait_for(self.events.get(), 10)

    async def call(self, to: Address) -> str:
        target = parse_uri(f"sip:201@{to};transport={self.transport}")
        session = self.core.invite(
            uri=target,
            flow=Flow(self.transport, self.address, to),
            from_=NameAddr(None, parse_uri(f"sip:me@{self.address}")),
            to=NameAddr(None, target),
            contact=parse_uri(f"sip:me@{self.address};transport={self.transport}"),
            body=b"offer",
            now=self.agent.now,
        )
        self.agent.flush()
        assert isinstance(await self.next(), sip.Accepted)
        return session

    async def change(self, session: str) -> Any:
        self.core.reoffer(session, self.agent.now, body=b"offer")
        self.agent.flush()
        return await self.next()


@asynccontextmanager
async def undying(transport: str, port: int) -> AsyncIterator[Any]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.crash.undying", transport, str(port), "1"),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    try:
        yield process
    finally:
        process.stdin.close()
        async with asyncio.timeout(10):
            await process.wait()


async def change_while_it_is_killed(transport: str) -> tuple[list[Any], int]:
    """What each change has led to, and how many lives there were."""
    port, ours = free_ports(2)
    caller = Caller(transport, ours)
    await caller.agent.start()
    results = []
    async with undying(transport, port) as process:
        line = await asyncio.wait_for(process.stdout.readline(), 20)
        assert line == b"life with 0 sessions\n"
        session = await caller.call(Address("127.0.0.1", port))
        end = caller.agent.now + SECONDS
        while caller.agent.now < end:
            results.append(await caller.change(session))
            await asyncio.sleep(0.005)
        caller.core.hang_up(session, caller.agent.now)
        caller.agent.flush()
        ended = await caller.next()
        assert ended.reason is sip.EndReason.LOCAL
        await asyncio.sleep(0.5)
        process.stdin.close()
        rest = await asyncio.wait_for(process.stdout.read(), 10)
    lives = rest.decode().splitlines().count("life with 1 sessions")
    caller.agent.close()
    await asyncio.sleep(0)
    return results, lives


async def test_by_udp_nobody_notices() -> None:
    results, lives = await change_while_it_is_killed("udp")
    assert lives >= LIVES
    assert {type(one) for one in results} == {sip.OfferAnswered}
