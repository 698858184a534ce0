import asyncio
import os
import socket
from pathlib import Path

from agent.media import control
from agent.media.link import WorkerLink
from agent.media.orphans import retire_orphans
from tests.patience import PATIENCE

HELLO = control.Hello(version=control.VERSION, timeout=60.0, fsync_interval=2.0)


async def test_orphans_are_retired(tmp_path: Path) -> None:
    stale = tmp_path / "media-1.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(stale))
    lost = asyncio.Event()
    link = WorkerLink(tmp_path / "media-0.sock")
    await link.start(HELLO)
    link.serve(lambda _: None, lost.set)
    assert await retire_orphans(tmp_path) == 1
    async with asyncio.timeout(PATIENCE):
        await lost.wait()
    assert os.listdir(tmp_path) == []  # noqa: PTH208
    assert await retire_orphans(tmp_path) == 0
    await link.kill()
