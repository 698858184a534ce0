import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import pytest

from agent.media import channel, control, link
from agent.media.errors import MediaError
from agent.media.life import MISSED
from agent.media.link import WorkerLink
from agent.model.call import EndCause
from tests.patience import PATIENCE

HELLO = control.Hello(version=control.VERSION, timeout=60.0, fsync_interval=2.0)


class Watched:
    """A link, and what it told."""

    def __init__(self, path: Path) -> None:
        self.reports: list[control.Report] = []
        self.lost = asyncio.Event()
        self.link = WorkerLink(path)

    async def start(self) -> None:
        await self.link.start(HELLO)
        self.link.serve(self.reports.append, self.lost.set)

    async def gone(self) -> bool:
        async with asyncio.timeout(PATIENCE):
            return await self.lost.wait()


async def test_a_worker_is_started_and_retired(tmp_path: Path) -> None:
    watched = Watched(tmp_path / "media-0.sock")
    await watched.start()
    assert (tmp_path / "media-0.sock").stat().st_mode & 0o777 == 0o600
    pid = watched.link.pid
    assert pid is not None
    await watched.link.retire(EndCause.AGENT_STOPPED)
    assert not watched.lost.is_set()
    assert os.listdir(tmp_path) == []  # noqa: PTH208
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_a_deep_directory_is_no_matter(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    watched = Watched(deep / "media-0.sock")
    await watched.start()
    await watched.link.retire(EndCause.AGENT_STOPPED)


async def test_a_death_is_told_once(tmp_path: Path) -> None:
    watched = Watched(tmp_path / "media-0.sock")
    await watched.start()
    os.kill(watched.link.pid or 0, signal.SIGKILL)
    assert await watched.gone()
    watched.link.send(control.CloseLeg(leg="void"))
    await watched.link.retire(EndCause.AGENT_STOPPED)


async def test_a_worker_that_does_not_read_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel, "MAX_QUEUED", 1_000_000)
    watched = Watched(tmp_path / "media-0.sock")
    await watched.start()
    os.kill(watched.link.pid or 0, signal.SIGSTOP)
    for _ in range(20):
        watched.link.send(control.Mark(recording="r", note=bytes(100_000)))
    assert await watched.gone()


async def test_what_has_to_wait_is_sent_in_order(tmp_path: Path) -> None:
    watched = Watched(tmp_path / "media-0.sock")
    await watched.start()
    pid = watched.link.pid or 0
    os.kill(pid, signal.SIGSTOP)
    for _ in range(20):
        watched.link.send(control.Mark(recording="r", note=bytes(100_000)))
    os.kill(pid, signal.SIGCONT)
    await watched.link.retire(EndCause.AGENT_STOPPED)
    assert not watched.lost.is_set()


async def test_commands_are_sent_together_at_the_turn_or_at_a_flush(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[list[control.Command]] = []
    send = control.send

    def spy(channel: socket.socket, data: bytes, descriptors: tuple[int, ...]) -> None:
        sent.append(control.decode_commands(data))
        send(channel, data, descriptors)

    watched = Watched(tmp_path / "media-0.sock")
    await watched.start()
    monkeypatch.setattr(control, "send", spy)
    one, two, three = (control.CloseLeg(leg=leg) for leg in ("a", "b", "c"))
    watched.link.send(one)
    watched.link.send(two)
    assert sent == []
    watched.link.flush()
    watched.link.send(three)
    assert sent == [[one, two]]
    await asyncio.sleep(0)
    assert sent == [[one, two], [three]]
    await watched.link.retire(EndCause.AGENT_STOPPED)
    watched.link.flush()


async def test_a_worker_that_is_hung_is_killed_and_one_that_closes_is_not(
    tmp_path: Path,
) -> None:
    watched = Watched(tmp_path / "media-0.sock")
    await watched.start()
    alive = watched.link
    met_ns = alive.life.seen_ns
    async with asyncio.timeout(PATIENCE):
        while alive.life.seen_ns == met_ns:
            await asyncio.sleep(0)
    # It is no news for calls.
    assert watched.reports == []
    os.kill(alive.pid or 0, signal.SIGSTOP)
    assert [alive.end_if_hung() for _ in range(MISSED + 1)][-2:] == [False, True]
    assert await watched.gone()
    closing = Watched(tmp_path / "media-1.sock")
    await closing.start()
    retired = asyncio.ensure_future(closing.link.retire(EndCause.AGENT_STOPPED))  # noqa: TID251 - awaited below
    await asyncio.sleep(0)
    assert not any(closing.link.end_if_hung() for _ in range(2 * MISSED))
    await retired
    await alive.kill()


async def test_a_worker_that_cannot_start_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(MediaError, match=r"died at its start|cannot be|hung up"):
        await Watched(tmp_path / "media-0.sock").start()
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    with pytest.raises(MediaError, match="cannot be started"):
        await Watched(tmp_path / "media-0.sock").start()


async def test_a_worker_that_does_not_answer_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "START_SECONDS", 0.1)
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\nexec sleep 60\n")
    script.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(script))
    with pytest.raises(MediaError, match="does not answer"):
        await Watched(tmp_path / "media-0.sock").start()


async def test_a_worker_of_another_version_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(tmp_path / "media-0.sock")
    version = control.VERSION
    monkeypatch.setattr(control, "VERSION", version + 1)
    with pytest.raises(MediaError, match=f"speaks version {version}"):
        await watched.start()
    await watched.link.kill()


async def test_a_worker_that_does_not_end_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "RETIRE_SECONDS", 0.1)
    watched = Watched(tmp_path / "media-0.sock")
    await watched.start()
    pid = watched.link.pid or 0
    os.kill(pid, signal.SIGSTOP)
    await watched.link.retire(EndCause.AGENT_STOPPED)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
