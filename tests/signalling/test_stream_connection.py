import pytest

from agent.signalling import stream_connection
from agent.signalling.stream import MUCH
from agent.signalling.stream_connection import MAX_UNSENT
from tests.signalling.streams import MESSAGE, End, connect, got, until


async def test_a_peer_that_does_not_read_is_given_up(tcp: End) -> None:
    _, writer = await connect(tcp.tcp)
    writer.write(MESSAGE)
    _, flow = await got(tcp.messages)
    lost = False
    for _ in range(100):
        tcp.streams.send(b"x" * (MAX_UNSENT // 4), flow)
        if tcp.stats.closed:
            lost = True
            break
    assert lost
    assert tcp.stats.closed == {"the peer does not read": 1}
    assert await got(tcp.lost) == flow
    writer.transport.abort()


async def test_a_peer_that_pings_and_reads_no_pong_is_given_up(
    tcp: End, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What the kernel's buffers hold already is more than a test would send.
    monkeypatch.setattr(stream_connection, "MAX_UNSENT", -1)
    _, writer = await connect(tcp.tcp)
    writer.write(b"\r\n\r\n")
    await got(tcp.lost)
    assert tcp.stats.closed == {"the peer does not read": 1}


async def test_who_says_too_much_is_not_read_for_a_while(tcp: End) -> None:
    tcp.pause = 0.01
    _, writer = await connect(tcp.tcp)
    for _ in range(3):
        writer.write(MESSAGE)
        await got(tcp.messages)
    [stream] = tcp.streams._streams.values()
    await until(lambda: not stream.transport.is_reading())
    await until(stream.transport.is_reading)
    tcp.pause = 3600.0
    writer.write(MESSAGE)
    await got(tcp.messages)
    await until(lambda: not stream.transport.is_reading())
    tcp.streams.drop(stream, "test")
    stream.resume()  # it has gone meanwhile


async def test_who_says_much_at_once_lets_others_have_their_turn(tcp: End) -> None:
    _, writer = await connect(tcp.tcp)
    writer.write(MESSAGE)
    await got(tcp.messages)
    [stream] = tcp.streams._streams.values()
    much = MESSAGE * (MUCH // len(MESSAGE) + 1)
    stream.data_received(much[: MUCH - 1])
    assert stream.transport.is_reading()
    stream.data_received(much[MUCH - 1 :] + much)
    assert not stream.transport.is_reading()
    await until(stream.transport.is_reading)
