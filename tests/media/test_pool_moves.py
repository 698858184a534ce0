import os
import signal
from pathlib import Path

import pytest

from agent.media.events import LegClosed, PlayEnded, WorkerLost, WorkerReady
from tests.media.pairs import FIRST
from tests.media.phones import Phone, Site, audio_bytes, site


async def two_calls(running: Site, phones: tuple[Phone, Phone, Phone]) -> None:
    """`c` and `o` of one call; `x` of another, with nobody to talk to."""
    for (call, leg), phone in zip(
        (("one", "c"), ("one", "o"), ("two", "x")), phones, strict=True
    ):
        await running.connect(call, leg, phone)
        await running.settle()
        await running.latch(leg, phone)
    running.pool.bridge("c", "o")


async def talks(running: Site, one: Phone, other: Phone) -> None:
    await running.settle()
    for speaker, listener in ((one, other), (other, one)):
        wanted = [audio_bytes(speaker.sequence + n) for n in range(3)]
        for payload in wanted:
            speaker.say(payload)
        heard: list[bytes] = []
        while heard[-1:] != wanted[-1:]:
            heard.append((await listener.hear()).payload)
        assert heard[-3:] == wanted


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_leg_goes_on_in_another_call(tmp_path: Path, workers: int) -> None:
    with Phone() as customer, Phone() as officer, Phone() as other:
        async with site(
            tmp_path, ports=(FIRST, FIRST + 99), workers=workers
        ) as running:
            await two_calls(running, (customer, officer, other))
            pool = running.pool
            port = pool._legs.get("x").ports.port
            pool.play("x", ["ringback"], loop=True)
            pool.move_leg("x", "one")
            assert not (await running.event(PlayEnded)).completed
            assert pool._legs.get("x").worker == pool._legs.get("c").worker
            assert pool._legs.get("x").ports.port == port
            pool.close_leg("o")
            pool.bridge("c", "x")
            await talks(running, customer, other)
            # Only the leg that was closed is told to be.
            assert [event.leg for event in running.told(LegClosed)] == ["o"]
            pool.close_leg("x")
            pool.close_leg("c")
            for leg in ("x", "c"):
                await running.event(LegClosed, lambda e, leg=leg: e.leg == leg)
            assert not len(pool._legs)
            assert pool._crew.placement.worker_of("one") is None


async def test_a_leg_that_is_not_there_is_not_moved(tmp_path: Path) -> None:
    async with site(tmp_path, ports=(FIRST, FIRST + 99)) as running:
        running.pool.move_leg("x", "one")
        assert running.pool._crew.placement.worker_of("one") is None


async def test_a_worker_that_dies_with_what_has_left_it(tmp_path: Path) -> None:
    with Phone() as customer, Phone() as officer, Phone() as other:
        async with site(tmp_path, ports=(FIRST, FIRST + 99), workers=2) as running:
            await two_calls(running, (customer, officer, other))
            pool = running.pool
            left = pool._crew._workers[pool._legs.get("x").worker]
            assert left.pid is not None
            os.kill(left.pid, signal.SIGSTOP)  # it will never say that it let go
            pool.move_leg("x", "one")
            os.kill(left.pid, signal.SIGKILL)
            await running.event(WorkerLost)
            await running.event(WorkerReady)
            pool.bridge("c", "x")
            await talks(running, customer, other)
            pool.close_leg("x")
            assert (await running.event(LegClosed)).leg == "x"
