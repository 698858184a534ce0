import asyncio
import random
from pathlib import Path
from typing import Any

import pytest
import structlog

from agent.model.media import Address
from agent.signalling.config import Listener, TlsConfig
from agent.signalling.resolver import Resolver
from agent.signalling.sip import core as sip
from agent.signalling.sip.contact import contact_of
from agent.signalling.sip.core import UserAgentCore
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.limits import PeerLimits
from agent.signalling.sip.message import Request
from agent.signalling.sip.outside import new_request
from agent.signalling.sip.state import SessionState, decode_state, encode_state
from agent.signalling.sip.timers import Timers
from agent.signalling.sip.uri import NameAddr, parse_uri
from agent.signalling.tls import TlsContexts
from agent.signalling.transport import TransportError
from agent.signalling.useragent import UserAgent
from tests.lab.certificates import Authority
from tests.lab.nameserver import NameServer
from tests.patience import PATIENCE
from tests.ports import free_ports


class Party:
    """A user agent on real sockets, with its events in a queue."""

    def __init__(
        self,
        port: int,
        *,
        host: str = "127.0.0.1",
        transport: str = "udp",
        tls: TlsContexts | None = None,
    ) -> None:
        self.address = Address(host, port)
        self.transport = transport
        self.events: asyncio.Queue[Any] = asyncio.Queue()
        self.core = UserAgentCore(
            rng=random.Random(port), timers=Timers(t1=0.01, t2=0.02), product="test"
        )
        self.agent = UserAgent(
            self.core,
            [Listener(transport, self.address)],
            self.events.put_nowait,
            tls=tls,
        )

    async def call(self, to: Address) -> str:
        target = parse_uri(f"sip:you@{to};transport={self.transport}")
        flows = await self.agent.flows_to(target)
        session = self.core.invite(
            uri=target,
            flow=flows[0],
            from_=NameAddr(None, parse_uri(f"sip:me@{self.address}"), ()),
            to=NameAddr(None, target, ()),
            contact=contact_of(flows[0], "me"),
            body=b"offer",
            now=self.agent.now,
        )
        self.agent.flush()
        return session


HOSTS = ("127.0.0.1", "::1")


def contexts(path: Path, *names: str) -> TlsContexts:
    issued = Authority(path).issue(*names)
    return TlsContexts(
        TlsConfig(
            certificate=str(issued.certificate), key=str(issued.key), ca=str(issued.ca)
        ),
        path,
    )


async def closed(*parties: Party) -> None:
    """Close them, and let the loop close their sockets."""
    for party in parties:
        party.agent.close()
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.fixture
async def parties() -> Any:
    made = [Party(port) for port in free_ports(3)]
    for party in made[:2]:
        await party.agent.start()
    yield made
    await closed(*made)


TRANSPORTS = [
    (transport, host) for transport in ("udp", "tcp", "tls") for host in HOSTS
]


@pytest.mark.parametrize(("transport", "host"), TRANSPORTS)
async def test_a_call_over_sockets(transport: str, host: str, tmp_path: Path) -> None:
    tls = contexts(tmp_path, host) if transport == "tls" else None
    ports = free_ports(2)
    alice, bob = (
        Party(port, host=host, transport=transport, tls=tls) for port in ports
    )
    await alice.agent.start()
    await bob.agent.start()
    async with asyncio.timeout(PATIENCE):
        await alice.call(bob.address)
        invited = await bob.events.get()
        assert isinstance(invited, sip.InviteReceived)
        flow = invited.flow
        assert (flow.transport, flow.local) == (transport, bob.address)
        assert flow.remote.host == host
        assert (flow.remote == alice.address) is (transport == "udp")
        assert invited.request.contact is not None
        expected = None if transport == "udp" else transport
        assert invited.request.contact.uri.param("transport") == expected
        assert invited.request.top_via.transport == transport.upper()
        bob.core.accept(
            invited.session, bob.agent.now, contact=contact_of(flow), body=b"answer"
        )
        bob.agent.flush()
        accepted = await alice.events.get()
        assert isinstance(accepted, sip.Accepted)
        assert accepted.response.body == b"answer"
        assert isinstance(await bob.events.get(), sip.Acknowledged)
        # The callee hangs up: over the connection that the caller opened.
        bob.core.hang_up(invited.session, bob.agent.now)
        bob.agent.flush()
        assert isinstance(await alice.events.get(), sip.Ended)
        assert isinstance(await bob.events.get(), sip.Ended)
    streams = 0 if transport == "udp" else 1
    assert alice.agent.connections.connected == streams
    assert bob.agent.connections.accepted == streams
    assert bob.agent.connections.connected == 0
    await closed(alice, bob)


async def test_timers_run_without_anyone_asking(parties: list[Party]) -> None:
    alice, _, nobody = parties
    async with asyncio.timeout(PATIENCE):
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
    async with asyncio.timeout(PATIENCE):
        await alice.call(bob.address)
        refused = await alice.events.get()
    assert refused.status == 486


async def test_where_a_new_call_goes(parties: list[Party]) -> None:
    agent = parties[0].agent
    local = parties[0].address
    [flow] = await agent.flows_to(parse_uri("sip:x@192.0.2.7"))
    assert flow == Flow("udp", local, Address("192.0.2.7", 5060))
    [flow] = await agent.flows_to(parse_uri("sip:x@192.0.2.7:5070"))
    assert flow.remote.port == 5070
    with pytest.raises(TransportError, match="no address that a listener"):
        await agent.flows_to(parse_uri("sip:x@[2001:db8::1]"))
    with pytest.raises(TransportError, match="no listener of ours") as caught:
        await agent.flows_to(parse_uri("sip:x@192.0.2.7;transport=tcp"))
    assert "listen" in caught.value.hint
    with pytest.raises(TransportError, match="speaks tls"):
        await agent.flows_to(parse_uri("sips:x@192.0.2.7"))


async def test_names_are_resolved_and_the_next_server_takes_over() -> None:
    ports = free_ports(3)
    server = NameServer()
    server.zone = {
        ("_sip._udp.example.com", "SRV"): [
            f"1 0 {ports[1]} a.example.com.",
            f"2 0 {ports[2]} a.example.com.",
        ],
        ("a.example.com", "A"): ["127.0.0.1"],
    }
    alice, bob = (Party(port) for port in (ports[0], ports[2]))
    alice.agent._resolver = Resolver([await server.start()], rng=random.Random(1))
    await alice.agent.start()
    await bob.agent.start()
    target = parse_uri("sip:you@example.com;transport=udp")
    async with asyncio.timeout(PATIENCE):
        flows = await alice.agent.flows_to(target)
        assert [flow.remote.port for flow in flows] == ports[1:]
        alice.core.invite(
            uri=target,
            flow=flows[0],
            alternatives=flows[1:],
            from_=NameAddr(None, parse_uri("sip:me@example.org"), ()),
            to=NameAddr(None, target, ()),
            contact=contact_of(flows[0], "me"),
            body=b"offer",
            now=alice.agent.now,
        )
        alice.agent.flush()
        assert isinstance(await bob.events.get(), sip.InviteReceived)
        flows = await alice.agent.flows_to(target)
    assert [flow.remote.port for flow in flows] == [ports[2], ports[1]]
    assert alice.agent.resolver_stats.questions == len(server.asked)
    server.close()
    await closed(alice, bob)


async def test_a_certificate_may_have_another_name_than_the_host(
    tmp_path: Path,
) -> None:
    [port] = free_ports(1)
    agent = UserAgent(
        UserAgentCore(rng=random.Random(1), product="test"),
        [Listener("tls", Address("127.0.0.1", port))],
        lambda _: None,
        tls=contexts(tmp_path, "a.example"),
        certificate_names={"192.0.2.7": "pbx.example"},
    )
    await agent.start()
    [flow] = await agent.flows_to(parse_uri("sips:x@192.0.2.7"))
    assert (flow.domain, flow.remote.port) == ("pbx.example", 5061)
    [flow] = await agent.flows_to(parse_uri("sip:x@192.0.2.8;transport=tls"))
    assert flow.domain == "192.0.2.8"
    agent.close()
    await asyncio.sleep(0)


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

    async with asyncio.timeout(PATIENCE):
        for to, status in ((bob.address, 200), (nobody.address, 408)):
            flow = Flow("udp", alice.address, to)
            assert (await alice.agent.ask(options(to), flow)).status == status
        flow = Flow("udp", alice.address, nobody.address)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(alice.agent.ask(options(flow.remote), flow), 0.1)
        while alice.agent._asked:
            await asyncio.sleep(0)
    assert alice.events.empty()


async def test_nobody_listening_fails_the_call_at_once() -> None:
    [port, nobody] = free_ports(2)
    alice = Party(port, transport="tcp")
    await alice.agent.start()
    async with asyncio.timeout(PATIENCE):
        await alice.call(Address("127.0.0.1", nobody))
        refused = await alice.events.get()
    assert isinstance(refused, sip.Refused)
    assert refused.status == 503
    await closed(alice)


async def test_a_connection_that_goes_fails_what_was_asked_on_it() -> None:
    [port] = free_ports(1)
    alice = Party(port, transport="tcp")
    await alice.agent.start()

    async def hang_up(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await reader.readuntil(b"offer")
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    async with asyncio.timeout(PATIENCE):
        await alice.call(Address(*server.sockets[0].getsockname()))
        refused = await alice.events.get()
    assert refused.status == 503
    server.close()
    await server.wait_closed()
    await closed(alice)


async def test_a_request_of_a_stream_without_length_is_answered_and_cut_off() -> None:
    [port] = free_ports(1)
    alice = Party(port, transport="tcp")
    await alice.agent.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        b"OPTIONS sip:a@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bKx\r\n"
        b"From: <sip:a@a>;tag=1\r\nTo: <sip:b@b>\r\n"
        b"Call-ID: c\r\nCSeq: 1 OPTIONS\r\n\r\n"
    )
    async with asyncio.timeout(PATIENCE):
        answer = await reader.read()
    assert answer.startswith(b"SIP/2.0 400 ")
    writer.close()
    await closed(alice)


async def test_what_is_over_the_rate_is_not_read_and_that_is_said_once() -> None:
    [port] = free_ports(1)
    agent = UserAgent(
        UserAgentCore(rng=random.Random(1), product="test"),
        [Listener("udp", Address("127.0.0.1", port))],
        lambda _: None,
        limits_of=lambda _: PeerLimits("pbx", messages=5.0),
    )
    await agent.start()
    flow = Flow("udp", Address("127.0.0.1", port), Address("192.0.2.1", 5060))
    with structlog.testing.capture_logs() as log:
        for _ in range(30):
            agent._received(b"junk", flow)
    assert agent.core.stats.received == 10
    assert agent.gate_stats.dropped_peers == 20
    assert [entry["event"] for entry in log] == ["over_rate"]
    agent.close()
    await asyncio.sleep(0)


async def test_what_peers_will_do_is_prepared_before_they_are_told() -> None:
    ports = free_ports(2)
    one, other = Party(ports[0]), Party(ports[1])
    await one.agent.start()
    await other.agent.start()
    heard: list[int] = []
    one.agent.before_leaving = lambda: heard.append(other.core.stats.received)
    one.agent.flush()
    assert heard == []  # nothing leaves
    await one.call(other.address)
    async with asyncio.timeout(PATIENCE):
        await other.events.get()
    assert heard == [0]
    one.agent.close()
    other.agent.close()
    await asyncio.sleep(0)


async def test_another_process_goes_on_with_sockets_and_sessions() -> None:
    ports = free_ports(3)
    listeners = [
        Listener("udp", Address("127.0.0.1", ports[0])),
        Listener("tcp", Address("127.0.0.1", ports[1])),
    ]
    phone = Party(ports[2])
    await phone.agent.start()
    states: dict[str, SessionState] = {}

    def process(**more: Any) -> UserAgent:
        timers = Timers(t1=0.01, t2=0.02)
        core = UserAgentCore(rng=random.Random(1), timers=timers, product="test")
        core.track()

        def keep(sessions: set[str]) -> None:
            for session in sessions:
                state = core.state_of(session)
                assert state is not None
                states[session] = decode_state(encode_state(state))

        agent = UserAgent(core, listeners, lambda event: None, **more)
        agent.before_sending = keep
        return agent

    first = process()
    await first.start()
    target = parse_uri(f"sip:you@{phone.address}")
    session = first.core.invite(
        uri=target,
        flow=Flow("udp", listeners[0].address, phone.address),
        from_=NameAddr(None, parse_uri("sip:me@127.0.0.1"), ()),
        to=NameAddr(None, target, ()),
        contact=parse_uri(f"sip:me@{listeners[0].address}"),
        body=b"offer",
        now=first.now,
    )
    first.flush()
    assert set(states) == {session}
    async with asyncio.timeout(PATIENCE):
        invited = await phone.events.get()
    assert isinstance(invited, sip.InviteReceived)
    kept = {name: sock.dup() for name, sock in first.sockets().items()}
    assert set(kept) == {"sip-0", "sip-1"}
    first.close()
    await asyncio.sleep(0)

    second = process(sockets=kept)
    second.core.resume(states.values(), second.now)
    second.core.hang_up(session, second.now)
    second.flush()  # nothing can be sent yet, and nothing of it is lost
    await second.start()
    phone.core.ring(invited.session, phone.agent.now)  # what a CANCEL waits for
    phone.agent.flush()
    second.flush()
    try:
        async with asyncio.timeout(PATIENCE):
            assert isinstance(await phone.events.get(), sip.Cancelled)
    finally:
        second.close()
        phone.agent.close()
        await asyncio.sleep(0)
