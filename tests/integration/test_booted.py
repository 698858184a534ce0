"""A main process that dies, or is upgraded, under a booted systemd: calls stay."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.integration.conftest import tone
from tests.lab.booted import booted
from tests.lab.daemon import Daemon
from tests.lab.parties import closed_row, parties
from tests.lab.service import Service

pytestmark = pytest.mark.integration

NOTICE = tone(600, 0.4)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("booted")
    daemon = Daemon(folder / "site", notice=NOTICE)
    with booted(folder / "system", daemon.root) as system:
        service = Service(system, daemon)
        try:
            service.start()
            yield service
        except BaseException as error:
            error.add_note(system.journal("recording-agent.service"))
            error.add_note(daemon.log_path.read_text()[-4000:])
            raise


async def test_it_is_ready_and_its_memory_is_kept(service: Service) -> None:
    # State, journal keys, one UDP socket.
    assert service.descriptors == 3
    await asyncio.to_thread(service.restart)
    assert service.descriptors == 3
    await asyncio.to_thread(service.kill)
    assert service.descriptors == 3


async def test_a_call_outlives_main(service: Service) -> None:
    daemon = service.daemon
    async with parties(daemon) as call:
        await call.connect()
        await asyncio.sleep(0.5)
        await asyncio.to_thread(service.kill)
        assert not call.caller.ended.is_set()
        before = len(call.officer.heard)
        await asyncio.sleep(1)
        assert len(call.officer.heard) - before > 30
        await call.hang_up()
        row = await closed_row(daemon)
    assert row.outcome in {"recorded", "partial"}
    assert row.cause == "caller-hangup"
