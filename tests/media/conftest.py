from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.media.legs import Bench
from tests.media.pairs import FIRST, NOTICE, RINGBACK
from tests.media.phones import Phone, Site, site


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Site]:
    ports = FIRST, FIRST + 99
    async with site(tmp_path, ports=ports, sounds=(NOTICE, RINGBACK)) as running:
        yield running


@pytest.fixture
def customer() -> Iterator[Phone]:
    with Phone(ssrc=0xC0) as phone:
        yield phone


@pytest.fixture
def officer() -> Iterator[Phone]:
    with Phone(ssrc=0x0F) as phone:
        yield phone


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()
