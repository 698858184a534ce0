import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from agent.signalling.tls import TlsContexts
from tests.lab.certificates import Authority
from tests.signalling.streams import WRITERS, End


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "ours")


@pytest.fixture
async def opened() -> AsyncIterator[Any]:
    """Makes ends that are up, and closes them, with the log."""
    ends: list[End] = []
    with structlog.testing.capture_logs() as log:

        async def open_(tls: TlsContexts | None = None, **fields: Any) -> End:
            end = End(tls, **fields)
            end.log = log
            ends.append(end)
            await end.streams.start()
            return end

        yield open_
        for end in ends:
            end.streams.close()
        for writer in WRITERS:
            writer.transport.abort()
        WRITERS.clear()
        for _ in range(5):
            await asyncio.sleep(0)


@pytest.fixture
async def tcp(opened: Any) -> End:
    return await opened()
