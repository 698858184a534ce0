"""Our process is killed at any moment of a call that changes all the time."""

import asyncio
import random
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agent.model.media import Address
from agent.signalling.config import Listener
from agent.signalling.sip import core as sip
from agent.signalling.sip.core import UserAgentCore
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.uri import NameAddr, parse_uri
from agent.signalling.useragent import UserAgent
from tests.crash.undying import TIMERS
from tests.patience import PATIENCE
from tests.ports import free_ports

pytestmark = pytest.mark.crash

ROOT = Path(__file__).resolve().parents[2]
LIVES = 20


class Caller:
    """A phone that changes its call without a pause."""

    def __init__(self, transport: str, port: int) -> None:
        self.address = Address("127.0.0.1", port)
        self.transport = transport
        self.events: asyncio.Queue[Any] = asyncio.Queue()
        core = UserAgentCore(rng=random.Random(port), timers=TIMERS, product="caller")
        self.core = core
        listener = Listener(transport, self.address)
        self.agent = UserAgent(core, [listener], self.events.put_nowait)

    async def next(self) -> Any:
        """What comes of what it has asked for."""
        while True:
            event = await asyncio.wait_for(self.events.get(), 20)
            # What failed with its connection and was taken is offered again: not news.
            if not isinstance(event, sip.RefreshAnswered):
                return event

    async def call(self, to: Address) -> str:
        session = self._invite(to)
        assert isinstance(await self.next(), sip.Accepted)
        return session

    def _invite(self, to: Address) -> str:
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
        async with asyncio.timeout(PATIENCE):
            await process.wait()


@dataclass
class Lived:
    """What became of a call while its peer was killed again and again."""

    results: list[Any]
    "What each change has led to."
    lives: int
    connected: int
    "Connections that the caller has opened."


async def change_while_it_is_killed(transport: str) -> Lived:
    port, ours = free_ports(2)
    caller = Caller(transport, ours)
    await caller.agent.start()
    lived = Lived([], 0, 0)
    async with undying(transport, port) as process, asyncio.TaskGroup() as group:
        line = await asyncio.wait_for(process.stdout.readline(), 20)
        assert line == b"life with 0 sessions\n"
        session = await caller.call(Address("127.0.0.1", port))
        process.stdin.write(b"\n")
        group.create_task(count(process.stdout, lived))
        end = caller.agent.now + 60
        while lived.lives < LIVES:
            assert caller.agent.now < end
            lived.results.append(await caller.change(session))
            await asyncio.sleep(0.005)
        caller.core.hang_up(session, caller.agent.now)
        caller.agent.flush()
        ended = await caller.next()
        assert ended.reason is sip.EndReason.LOCAL
        process.stdin.close()
    lived.connected = caller.agent.connections.connected
    caller.agent.close()
    await asyncio.sleep(0)
    return lived


async def count(lines: asyncio.StreamReader, lived: Lived) -> None:
    """Count the lives that begin with the call, until there are no more."""
    async for line in lines:
        lived.lives += line != b"life with 0 sessions\n"


async def test_by_udp_nobody_notices() -> None:
    lived = await change_while_it_is_killed("udp")
    assert {type(one) for one in lived.results} == {sip.OfferAnswered}


async def test_by_tcp_a_connection_is_lost_only_with_what_was_just_read() -> None:
    lived = await change_while_it_is_killed("tcp")
    failed = [one for one in lived.results if not isinstance(one, sip.OfferAnswered)]
    # What nobody has heard of when its connection ended; the call goes on all the same.
    assert {(type(one), one.status) for one in failed} <= {(sip.OfferRefused, 503)}
    assert len(failed) < lived.connected < lived.lives
