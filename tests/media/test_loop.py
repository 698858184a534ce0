import math
import os
from collections.abc import Iterator

import pytest

from agent.common.clock import monotonic_ns
from agent.media.loop import AGAIN, GATHER, Loop

MS = 1_000_000


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.close()


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    os.close(reader)
    os.close(writer)


def test_timers_fire_in_order_and_in_time(loop: Loop) -> None:
    fired: list[str] = []
    start = monotonic_ns()
    late: list[int] = []

    def last(now_ns: int) -> None:
        late.append(now_ns - start - 20 * MS)
        loop.stop()

    loop.call_at(start + 20 * MS, last)
    loop.call_at(start + 10 * MS, lambda _: fired.append("second"))
    loop.call_at(start, lambda _: fired.append("first"))
    assert loop._timeout() == 0
    loop.run()
    assert fired == ["first", "second"]
    assert late[0] >= 0


def test_a_cancelled_timer_does_not_fire(loop: Loop) -> None:
    now = monotonic_ns()
    fired: list[int] = []
    loop.call_at(now, fired.append).cancel()
    loop.call_at(now + MS, lambda _: loop.stop())
    loop.run()
    assert fired == []


def test_a_timer_may_be_cancelled_by_another_of_the_same_round(loop: Loop) -> None:
    now = monotonic_ns()
    fired: list[int] = []
    loop.call_at(now, lambda _: second.cancel())
    second = loop.call_at(now, fired.append)
    loop.call_at(now, lambda _: loop.stop())
    loop.run()
    assert fired == []


def test_readers_are_called_until_they_have_read(
    loop: Loop, pipe: tuple[int, int]
) -> None:
    reader, writer = pipe
    read = b""

    def handler() -> None:
        nonlocal read
        read += os.read(reader, 1)
        if len(read) == 3:
            loop.stop()

    loop.add_reader(reader, handler)
    os.write(writer, b"abc")
    loop.run()
    assert read == b"abc"


def test_a_handler_may_remove_another(loop: Loop) -> None:
    pipes = [os.pipe() for _ in range(2)]
    called: list[int] = []

    def handler(own: int, other: int) -> None:
        called.append(own)
        loop.remove(other)
        loop.remove(own)
        loop.stop()

    (a, write_a), (b, write_b) = pipes
    loop.add_reader(a, lambda: handler(a, b))
    loop.add_reader(b, lambda: handler(b, a))
    os.write(write_a, b"x")
    os.write(write_b, b"x")
    loop.run()
    assert len(called) == 1
    loop.remove(a)
    for fd in (a, b, write_a, write_b):
        os.close(fd)


def test_writability_is_told_on_request(loop: Loop) -> None:
    fd = os.eventfd(0)
    loop.add_reader(fd, loop.stop)
    loop.want_write(fd, on=True)
    loop.run()
    loop.want_write(fd, on=False)
    loop.remove(fd)
    os.close(fd)


def test_the_urgent_come_first(loop: Loop) -> None:
    fds = [os.eventfd(1) for _ in range(3)]
    called: list[int] = []

    def handler(index: int) -> None:
        called.append(index)
        loop.remove(fds[index])
        if not called[2:]:
            return
        loop.stop()

    for index, fd in enumerate(fds):
        loop.add_reader(fd, lambda index=index: handler(index), urgent=index == 2)
    loop.run()
    assert called[0] == 2
    assert sorted(called) == [0, 1, 2]
    for fd in fds:
        os.close(fd)


def test_the_urgent_come_first_within_a_burst_too(
    loop: Loop, pipe: tuple[int, int]
) -> None:
    reader, writer = pipe
    command = os.eventfd(0)
    called: list[str] = []

    def on_packet() -> None:
        os.read(reader, 1)
        called.append("packet")
        if len(called) > 1:
            loop.stop()
            return
        # Another process goes on meanwhile.
        os.eventfd_write(command, 1)
        os.write(writer, b"b")

    def on_command() -> None:
        loop.remove(command)
        called.append("command")

    loop.add_reader(reader, on_packet)
    loop.add_reader(command, on_command, urgent=True)
    os.write(writer, b"a")
    loop.run()
    assert called == ["packet", "command", "packet"]
    os.close(command)


def test_a_burst_on_one_socket_is_not_slowed_by_the_pause(
    loop: Loop, pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = pipe
    pauses: list[float] = []
    monkeypatch.setattr("agent.media.loop.time.sleep", pauses.append)
    read = 0

    def handler() -> None:
        nonlocal read
        read += len(os.read(reader, 1))
        if read == 500:
            loop.stop()

    loop.add_reader(reader, handler)
    os.write(writer, bytes(500))
    loop.run()
    assert pauses == [GATHER] * math.ceil(500 / (1 + AGAIN))


def test_stopping_leaves_the_rest_unread(loop: Loop, pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    read = bytearray()

    def handler() -> None:
        read.extend(os.read(reader, 1))
        loop.stop()

    loop.add_reader(reader, handler)
    os.write(writer, b"abc")
    loop.run()
    assert read == b"a"
