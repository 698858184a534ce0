"""A channel by itself; with true workers behind it, see test_link."""

import asyncio
import os
import socket
from collections.abc import Iterator

import pytest

from agent.media import channel, control
from agent.media.channel import Channel
from agent.media.events import Latched
from tests.patience import PATIENCE

PING = control.CloseLeg(leg="c")


class Ends:
    """Both ends of a channel, and what was told at ours."""

    def __init__(self) -> None:
        ours, self.worker = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(0)
        self.worker.settimeout(PATIENCE)
        self.told: list[control.Report] = []
        self.descriptors: list[int] = []
        self.closed = 0
        self.news = asyncio.Event()
        self.channel = Channel(ours, on_report=self._report, on_closed=self._close)

    def _report(self, report: control.Report, descriptors: list[int]) -> None:
        self.told.append(report)
        self.descriptors += descriptors
        self.news.set()

    def _close(self) -> None:
        self.closed += 1
        self.news.set()

    async def hear(self) -> None:
        async with asyncio.timeout(PATIENCE):
            await self.news.wait()
        self.news.clear()


@pytest.fixture
async def ends() -> Iterator[Ends]:
    ends = Ends()
    yield ends
    ends.channel.close()
    ends.worker.close()
    for fd in ends.descriptors:
        os.close(fd)


async def test_reports_come_with_their_descriptors(ends: Ends) -> None:
    data = control.encode(Latched(leg="c"))
    control.send(ends.worker, data, (ends.worker.fileno(),))
    await ends.hear()
    assert ends.told == [Latched(leg="c")]
    assert len(ends.descriptors) == 1


async def test_the_end_is_told_once(ends: Ends) -> None:
    ends.worker.close()
    await ends.hear()
    ends.channel.send(PING)
    ends.channel.flush()
    ends.channel.drain()
    assert ends.closed == 1


async def test_nonsense_ends_it(ends: Ends) -> None:
    ends.worker.send(b"\xc1")
    await ends.hear()
    assert (ends.told, ends.closed) == ([], 1)


async def test_an_end_that_sending_finds_is_told_too(ends: Ends) -> None:
    ends.worker.close()
    ends.channel.send(PING)
    ends.channel.flush()
    assert ends.closed == 1


async def test_closing_it_tells_nothing(ends: Ends) -> None:
    ends.channel.close()
    ends.channel.send(PING)
    assert ends.closed == 0
    assert ends.worker.recv(100) == b""


async def test_who_does_not_read_is_given_up(
    ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel, "MAX_QUEUED", 1_000_000)
    for _ in range(20):
        ends.channel.send(control.Mark(recording="r", note=bytes(60_000)))
    assert ends.closed == 1


async def test_all_that_was_said_before_a_death_is_taken(ends: Ends) -> None:
    ends.worker.settimeout(0)
    for _ in range(100):
        ends.worker.send(control.encode(Latched(leg="c")))
    ends.worker.close()
    ends.channel.drain()
    assert len(ends.told) == 100
    assert ends.closed == 1
