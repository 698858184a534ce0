import asyncio
import os
import random
import socket
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import structlog

from agent.model.media import Address
from agent.signalling.config import Listener
from agent.signalling.connections import ConnectionTable
from agent.signalling.kept import (
    CONNECTION_VERSION,
    ConnectionStateError,
    Given,
    KeptConnections,
    SavedConnection,
    decode_connection,
    unwritten,
)
from agent.signalling.sip import core as sip
from agent.signalling.sip.core import UserAgentCore
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.limits import PeerLimits
from agent.signalling.sip.state import decode_state, encode_state
from agent.signalling.sip.timers import Timers
from agent.signalling.sip.uri import NameAddr, parse_uri
from agent.signalling.stream import StreamTransport
from agent.signalling.useragent import UserAgent
from tests.ports import free_ports
from tests.signalling.streams import MESSAGE, WRITERS, connect, got, until

OTHER = MESSAGE.replace(b"OPTIONS", b"MESSAGE")


class Store:
    """Keeps descriptors, as a service manager does."""

    def __init__(self) -> None:
        self.kept: dict[str, int] = {}
        self.fails = False

    def put(self, name: str, fd: int) -> None:
        if self.fails:
            raise OSError("no room")
        self.kept[name] = os.dup(fd)

    def remove(self, name: str) -> None:
        if self.fails:
            raise OSError("nobody there")
        os.close(self.kept.pop(name))


class Life:
    """The streams of one process, which may be killed."""

    def __init__(
        self,
        port: int,
        store: Store,
        records: dict[str, bytes] | None = None,
        *,
        peer: str = "pbx",
    ) -> None:
        self.records = dict(records or {})
        self.messages: asyncio.Queue[tuple[bytes, Flow]] = asyncio.Queue()
        self.lost: asyncio.Queue[Flow] = asyncio.Queue()
        self.failed: asyncio.Queue[Flow] = asyncio.Queue()
        self.address = Address("127.0.0.1", port)
        self.writes = True
        self.kept = KeptConnections(store)
        self.streams = StreamTransport(
            [Listener("tcp", self.address)],
            table=ConnectionTable(max_connections=100, idle_seconds=600.0),
            tls=None,
            limits_of=lambda _: PeerLimits(peer, messages=0.0),
            on_message=lambda data, flow: self.messages.put_nowait((data, flow)),
            on_read=lambda _flow, _count: self.flush(),
            on_failed=self.failed.put_nowait,
            on_lost=self.lost.put_nowait,
            kept=self.kept,
            given={
                name: Given(
                    decode_connection(record),
                    socket.socket(fileno=os.dup(store.kept[f"tcp-{name}"])),
                )
                for name, record in self.records.items()
            },
        )

    def flush(self) -> float:
        """As the user agent does: note, then write."""
        if self.writes:
            for name, record in self.kept.changed().items():
                if record is None:
                    self.records.pop(name, None)
                else:
                    self.records[name] = record
            self.streams.write_due()
        return 0.0

    def send(self, data: bytes, flow: Flow) -> None:
        self.streams.send(data, flow)
        self.flush()

    async def die(self) -> None:
        """Its descriptors close, and it does nothing more."""
        streams = list(self.streams._streams.values())
        self.streams._streams.clear()
        self.streams.kept = None
        self.streams.close()
        for stream in streams:
            stream.transport.abort()
        await asyncio.sleep(0)


class Lives:
    """One process after the other, on the same address, and a peer."""

    def __init__(self) -> None:
        self.store = Store()
        (self.port,) = free_ports(1)
        self.life: Life | None = None

    async def next(self, **options: Any) -> Life:
        records: dict[str, bytes] = {}
        if self.life is not None:
            records = self.life.records
            await self.life.die()
        self.life = Life(self.port, self.store, records, **options)
        await self.life.streams.start()
        self.life.flush()
        return self.life

    async def close(self) -> None:
        if self.life is not None:
            await self.life.die()
        for writer in WRITERS:
            writer.transport.abort()
        WRITERS.clear()
        for fd in self.store.kept.values():
            os.close(fd)
        for _ in range(5):
            await asyncio.sleep(0)


@pytest.fixture
async def lives() -> AsyncIterator[Lives]:
    lives = Lives()
    yield lives
    await lives.close()


async def test_a_connection_goes_on_in_the_middle_of_a_message(lives: Lives) -> None:
    first = await lives.next()
    reader, writer = await connect(first.address)
    writer.write(MESSAGE + b"\r\n\r\n" + MESSAGE[:7])
    _, flow = await got(first.messages)
    first.send(MESSAGE, flow)
    assert await reader.readexactly(4 + len(MESSAGE) - 2) == b"\r\n" + MESSAGE
    await until(lambda: decode_connection(first.records["c1"]).unread == MESSAGE[:7])
    writer.write(MESSAGE[7:12])
    await until(lambda: decode_connection(first.records["c1"]).unread == MESSAGE[:12])
    second = await lives.next()
    writer.write(MESSAGE[12:])
    data, back = await got(second.messages)
    assert (data, back) == (MESSAGE, flow)
    assert back.inbound
    second.send(MESSAGE, back)
    assert await reader.readexactly(len(MESSAGE)) == MESSAGE
    assert second.streams.table.stats.open == 1
    third = await lives.next()
    third.send(MESSAGE, back)
    assert await reader.readexactly(len(MESSAGE)) == MESSAGE
    _, other = await connect(third.address)
    other.write(MESSAGE)
    await got(third.messages)
    assert set(third.records) == {"c1", "c2"}


async def test_a_connection_of_ours_goes_on(lives: Lives) -> None:
    first = await lives.next()
    peer = Life(*free_ports(1), Store())
    await peer.streams.start()
    flow = Flow("tcp", first.address, peer.address)
    first.send(MESSAGE, flow)
    _, back = await got(peer.messages)
    second = await lives.next()
    peer.send(MESSAGE, back)
    assert (await got(second.messages))[1] == flow
    second.send(MESSAGE, flow)
    await got(peer.messages)
    assert peer.streams.table.stats.accepted == 1
    await peer.die()
    for fd in peer.kept._store.kept.values():  # type: ignore[attr-defined]
        os.close(fd)


async def test_what_was_read_and_not_noted_ends_it(lives: Lives) -> None:
    first = await lives.next()
    reader, writer = await connect(first.address)
    writer.write(MESSAGE)
    await got(first.messages)
    first.writes = False
    writer.write(MESSAGE)
    await got(first.messages)
    with structlog.testing.capture_logs() as log:
        await lives.next()
    assert [entry["event"] for entry in log] == ["connection_not_taken_over"]
    assert await reader.read() == b""
    assert not lives.store.kept


async def noted_and_not_written(life: Life) -> tuple[asyncio.StreamReader, Flow]:
    """A connection on which MESSAGE and OTHER are to leave, and have not left."""
    reader, writer = await connect(life.address)
    writer.write(MESSAGE)
    _, flow = await got(life.messages)
    life.streams.send(MESSAGE, flow)
    life.streams.send(OTHER, flow)
    life.records |= life.kept.changed()  # type: ignore[arg-type]
    return reader, flow


async def test_what_was_noted_and_not_written_is_written(lives: Lives) -> None:
    first = await lives.next()
    reader, flow = await noted_and_not_written(first)
    second = await lives.next()
    assert await reader.readexactly(len(MESSAGE + OTHER)) == MESSAGE + OTHER
    # It has come, and so comes no more.
    second.send(MESSAGE, flow)
    third = await lives.next()
    third.send(OTHER, flow)
    assert await reader.readexactly(len(MESSAGE + OTHER)) == MESSAGE + OTHER


@pytest.mark.parametrize("written", [0, 1, len(MESSAGE), len(MESSAGE) + 3])
async def test_of_what_was_noted_the_rest_is_written(
    lives: Lives, written: int
) -> None:
    first = await lives.next()
    reader, _ = await noted_and_not_written(first)
    with socket.socket(fileno=os.dup(lives.store.kept["tcp-c1"])) as sock:
        sock.send((MESSAGE + OTHER)[:written])
    await lives.next()
    assert await reader.readexactly(len(MESSAGE + OTHER)) == MESSAGE + OTHER


async def test_what_was_written_and_not_noted_ends_it(lives: Lives) -> None:
    first = await lives.next()
    reader, writer = await connect(first.address)
    writer.write(MESSAGE)
    await got(first.messages)
    with socket.socket(fileno=os.dup(lives.store.kept["tcp-c1"])) as sock:
        sock.send(b"\r\n")
    await lives.next()
    assert await reader.read() == b"\r\n"
    assert not lives.store.kept


async def test_what_a_peer_does_not_read_is_noted_until_it_does(lives: Lives) -> None:
    first = await lives.next()
    reader, writer = await connect(first.address)
    writer.write(MESSAGE)
    _, flow = await got(first.messages)
    sent = 0
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    stream = first.streams._streams["c1"]
    while not stream.transport.get_write_buffer_size():
        first.send(OTHER, flow)
        sent += 1
    pending = stream.transport.get_write_buffer_size()
    first.send(MESSAGE, flow)
    tail = decode_connection(first.records["c1"]).unwritten
    assert len(tail) == pending + len(MESSAGE)
    stream.transport._buffer.clear()  # type: ignore[attr-defined]
    await lives.next()
    writer.transport.resume_reading()  # type: ignore[attr-defined]
    whole = OTHER * sent + MESSAGE
    assert await reader.readexactly(len(whole)) == whole


async def test_one_that_ends_is_not_kept(lives: Lives) -> None:
    first = await lives.next()
    _, writer = await connect(first.address)
    writer.write(MESSAGE)
    await got(first.messages)
    assert set(first.records) == {"c1"}
    assert set(lives.store.kept) == {"tcp-c1"}
    writer.close()
    await got(first.lost)
    first.flush()
    assert not first.records
    assert not lives.store.kept


async def test_a_stranger_s_is_not_kept(lives: Lives) -> None:
    first = await lives.next(peer="")
    _, writer = await connect(first.address)
    writer.write(MESSAGE)
    _, flow = await got(first.messages)
    first.send(MESSAGE, flow)
    assert not lives.store.kept
    assert not first.kept.changed()


async def test_it_works_as_well_if_nobody_can_keep_it(lives: Lives) -> None:
    lives.store.fails = True
    first = await lives.next()
    with structlog.testing.capture_logs() as log:
        reader, writer = await connect(first.address)
        writer.write(MESSAGE)
        _, flow = await got(first.messages)
        first.send(MESSAGE, flow)
        assert await reader.readexactly(len(MESSAGE)) == MESSAGE
        first.kept.let_go("c1")
    assert [e["event"] for e in log] == ["connection_not_kept", "connection_still_kept"]
    assert "c1" not in first.kept


def test_what_is_no_connection_cannot_go_on() -> None:
    flow = Flow("tcp", Address("127.0.0.1", 1), Address("127.0.0.1", 2))
    saved = SavedConnection(flow=flow, read=0, written=0, unread=b"")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        assert unwritten(Given(saved, sock)) is None


def test_what_is_not_understood_is_not_guessed_at() -> None:
    flow = Flow("tcp", Address("127.0.0.1", 1), Address("127.0.0.1", 2))
    version = CONNECTION_VERSION + 1
    saved = SavedConnection(version=version, flow=flow, read=0, written=0, unread=b"")
    with pytest.raises(ConnectionStateError, match="version"):
        decode_connection(msgspec.msgpack.encode(saved))
    with pytest.raises(ConnectionStateError, match="understood"):
        decode_connection(msgspec.msgpack.encode({"version": 1}))


# -- a whole call -----------------------------------------------------------------


class Process:
    """A user agent that notes what it does, before it says so."""

    def __init__(self, port: int, store: Store, **more: Any) -> None:
        self.events: asyncio.Queue[Any] = asyncio.Queue()
        self.address = Address("127.0.0.1", port)
        self.core = UserAgentCore(
            rng=random.Random(port), timers=Timers(t1=0.01, t2=0.02), product="test"
        )
        self.core.track()
        self.kept = KeptConnections(store)
        self.sessions: dict[str, bytes] = {}
        self.connections: dict[str, bytes] = {}
        self.agent = UserAgent(
            self.core,
            [Listener("tcp", self.address)],
            self.events.put_nowait,
            limits_of=lambda _: PeerLimits("pbx", messages=0.0),
            kept=self.kept,
            **more,
        )
        self.agent.before_sending = self.note

    def note(self, touched: set[str]) -> None:
        for session in touched:
            state = self.core.state_of(session)
            if state is not None:
                self.sessions[session] = encode_state(state)
            else:
                self.sessions.pop(session, None)
        for name, record in self.kept.changed().items():
            if record is not None:
                self.connections[name] = record

    async def die(self) -> None:
        streams = self.agent._streams
        open_ = list(streams._streams.values())
        streams._streams.clear()
        streams.kept = None
        self.agent.close()
        for stream in open_:
            stream.transport.abort()
        await asyncio.sleep(0)


async def test_a_call_over_tcp_outlives_our_process(lives: Lives) -> None:
    store, theirs = lives.store, Store()
    port, other = free_ports(2)
    first, phone = Process(port, store), Process(other, theirs)
    await first.agent.start()
    await phone.agent.start()
    target = parse_uri(f"sip:201@{first.address};transport=tcp")
    call = phone.core.invite(
        uri=target,
        flow=Flow("tcp", phone.address, first.address),
        from_=NameAddr(None, parse_uri(f"sip:me@{phone.address}")),
        to=NameAddr(None, target),
        contact=parse_uri(f"sip:me@{phone.address};transport=tcp"),
        body=b"offer",
        now=phone.agent.now,
    )
    phone.agent.flush()
    invited = await got(first.events)
    first.core.accept(
        invited.session,
        first.agent.now,
        contact=parse_uri(f"sip:201@{first.address};transport=tcp"),
        body=b"answer",
    )
    first.agent.flush()
    assert isinstance(await got(phone.events), sip.Accepted)
    assert isinstance(await got(first.events), sip.Acknowledged)
    await first.die()

    second = Process(
        port,
        store,
        connections={
            name: Given(
                decode_connection(record),
                socket.socket(fileno=os.dup(store.kept[f"tcp-{name}"])),
            )
            for name, record in first.connections.items()
        },
    )
    states = [decode_state(one) for one in first.sessions.values()]
    second.core.resume(states, second.agent.now)
    await second.agent.start()
    second.agent.flush()
    phone.core.reoffer(call, phone.agent.now, body=b"hold")
    phone.agent.flush()
    offered = await got(second.events)
    assert offered.session == invited.session
    second.core.accept_offer(invited.session, second.agent.now, body=b"held")
    second.agent.flush()
    assert isinstance(await got(phone.events), sip.OfferAnswered)
    assert isinstance(await got(second.events), sip.Acknowledged)
    second.core.hang_up(invited.session, second.agent.now)
    second.agent.flush()
    assert (await got(phone.events)).reason is sip.EndReason.BYE
    assert isinstance(await got(second.events), sip.Ended)
    assert second.agent.connections.accepted == 1
    assert phone.agent.connections.connected == 1
    await second.die()
    await phone.die()
    for fd in theirs.kept.values():
        os.close(fd)
