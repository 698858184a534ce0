import asyncio
import random
from typing import Any

import pytest

from agent.model.media import Address
from agent.signalling.config import Listener
from agent.signalling.sip import core as sip
from agent.signalling.sip.core import UserAgentCore
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.message import Request
from agent.signalling.sip.outside import new_request
from agent.signalling.sip.timers import Timers
from agent.signalling.sip.uri import NameAddr, parse_uri
from agent.signalling.transport import TransportError
from agent.signalling.useragent import UserAgent
from tests.lab.daemon import free_ports


class Party:
    """A user agent on a real socket, with its events in a queue."""

    def __init__(self, port: int) -> None:
        self.address = Address("127.0.0.1", port)
        self.events: asyncio.Queue[Any] = asyncio.Queue()
        self.core = UserAgentCore(
            rng=random.Random(port), timers=Timers(t1=0.01, t2=0.02), product="test"
        )
        self.agent = UserAgent(
            self.core, [Listener("udp", self.address)], self.events.put_nowait
        )

    async def call(self, to: Address) -> str:
        target = parse_uri(f"sip:you@{to}")
        session = self.core.invite(
            uri=target,
            flow=await self.agent.flow_to(target),
            from_=NameAddr(None, parse_uri(f"sip:me@{self.address}"), ()),
            to=NameAddr(None, target, ()),
            contact=parse_uri(f"sip:me@{self.address}"),
            body=b"offer",
            now=self.agent.now,
        )
        self.agent.flush()
        return session


@pytest.fixture
async def parties() -> Any:
    made = [Party(port) for port in free_ports(3)]
    for party in made[:2]:
        await party.agent.start()
    yield made
    for party in made:
        party.agent.close()


async def test_a_call_over_sockets(parties: list[Party]) -> None:
    alice, bob, _ = parties
    async with asyncio.timeout(10):
        await alice.call(bob.address)
        invited = await bob.events.get()
        assert isinstance(invited, sip.InviteReceived)
        assert invited.flow == Flow("udp", bob.address, alice.address)
        bob.core.accept(
            invited.session,
            bob.agent.now,
            contact=parse_uri(f"sip:you@{bob.address}"),
            body=b"answer",
        )
        bob.agent.flush()
        accepted = await alice.events.get()
        assert isinstance(accepted, sip.Accepted)
        assert accepted.response.body == b"answer"
        assert isinstance(await bob.events.get(), sip.Acknowledged)
        alice.core.hang_up(accepted.session, alice.agent.now)
        alice.agent.flush()
        assert isinstance(await bob.events.get(), sip.Ended)


async def test_timers_run_without_anyone_asking(parties: list[Party]) -> None:
    alice, _, nobody = parties
    async with asyncio.timeout(10):
        await alice.call(nobody.address)
        refused = await alice.events.get()
    assert isinstance(refused, sip.Refused)
    assert refused.status in {408, 503}
    assert alice.core.stats.sent > 3


async def test_an_event_may_touch_the_core(parties: list[Party]) -> None:
    alice, bob, _ = parties

    def refuse(event: sip.Event) -> None:
        if isinstance(event, sip.InviteReceived):
            bob.core.refuse(event.session, bob.agent.now, status=486)
            bob.agent.flush()  # from within a flush: the outer one sends it

    bob.agent._on_event = refuse
    async with asyncio.timeout(10):
        await alice.call(bob.address)
        refused = await alice.events.get()
    assert refused.status == 486


async def test_where_a_new_call_goes(parties: list[Party]) -> None:
    agent = parties[0].agent
    local = parties[0].address
    flow = await agent.flow_to(parse_uri("sip:x@192.0.2.7"))
    assert flow == Flow("udp", local, Address("192.0.2.7", 5060))
    flow = await agent.flow_to(parse_uri("sip:x@192.0.2.7:5070"))
    assert flow.remote.port == 5070
    with pytest.raises(TransportError, match="no udp listener"):
        await agent.flow_to(parse_uri("sip:x@[2001:db8::1]"))


async def test_hosts_are_looked_up(
    parties: list[Party], monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = parties[0].agent
    loop = asyncio.get_running_loop()

    async def found(host: str, port: int, **_: Any) -> Any:
        if host == "nowhere.example":
            raise OSError("unknown")
        return [(0, 0, 0, "", ("192.0.2.9", port))]

    monkeypatch.setattr(loop, "getaddrinfo", found)
    flow = await agent.flow_to(parse_uri("sip:x@pbx.example:5080"))
    assert flow.remote == Address("192.0.2.9", 5080)
    with pytest.raises(TransportError) as caught:
        await agent.flow_to(parse_uri("sip:x@nowhere.example"))
    assert "name service" in caught.value.hint


async def test_the_timer_follows_the_core(parties: list[Party]) -> None:
    agent = parties[0].agent
    agent._rearm(agent.now + 100)
    timer = agent._timer
    assert timer is not None
    agent._rearm(timer.when())
    assert agent._timer is timer  # the same deadline: nothing to do
    agent._rearm(agent.now + 50)
    assert timer.cancelled()
    agent._rearm(None)
    assert agent._timer is None
    agent._rearm(agent.now + 50)


async def test_what_belongs_to_no_listener_is_not_sent(parties: list[Party]) -> None:
    alice = parties[0]
    target = parse_uri("sip:x@127.0.0.1:9")
    alice.core.invite(
        uri=target,
        flow=Flow("udp", Address("127.0.0.1", 1), Address("127.0.0.1", 9)),
        from_=NameAddr(None, target, ()),
        to=NameAddr(None, target, ()),
        contact=target,
        body=b"x",
        now=alice.agent.now,
    )
    alice.agent.flush()


async def test_an_error_of_a_consumer_does_not_stop_the_next_flush(
    parties: list[Party],
) -> None:
    alice, bob, _ = parties

    def fail(event: sip.Event) -> None:
        raise ValueError("a mistake of ours")

    await alice.call(bob.address)
    [(data, flow)] = [(b"", Flow("udp", bob.address, alice.address))]
    bob.agent._received(data, flow)
    bob.agent._on_event = fail
    bob.core._user.emit(sip.Cancelled("s1"))
    with pytest.raises(ValueError, match="mistake"):
        bob.agent.flush()
    assert not bob.agent._flushing
    bob.agent._on_event = bob.events.put_nowait
    bob.agent.flush()


async def test_a_question_is_answered(parties: list[Party]) -> None:
    alice, bob, nobody = parties

    def options(to: Address) -> Request:
        target = parse_uri(f"sip:{to}")
        return new_request(
            "OPTIONS",
            target,
            from_=NameAddr(None, parse_uri(f"sip:{alice.address}")).with_tag("t"),
            to=NameAddr(None, target),
            call_id="question",
            cseq=1,
        )

    async with asyncio.timeout(10):
        for to, status in ((bob.address, 200), (nobody.address, 408)):
            flow = Flow("udp", alice.address, to)
            assert (await alice.agent.ask(options(to), flow)).status == status
        flow = Flow("udp", alice.address, nobody.address)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(alice.agent.ask(options(flow.remote), flow), 0.1)
        while alice.agent._asked:
            await asyncio.sleep(0)
    assert alice.events.empty()
