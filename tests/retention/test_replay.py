from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import structlog

from agent.archive import tombstones
from agent.archive.tombstones import Tombstone
from agent.formats.audit import Act
from agent.retention.policy import start_of_day
from agent.retention.replay import Replayed, replay
from agent.upload.backends.memory import MemoryBackend
from tests.retention.sites import DAY, DUE_NS, Built, built


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[Built]:
    now_ns = start_of_day(DAY + timedelta(9))
    async with built(tmp_path, places=2, now_ns=now_ns) as site:
        yield site


def backup(backend: MemoryBackend) -> dict[str, bytes]:
    """A copy that knows nothing of the log, which is never restored."""
    return {
        key: data
        for key, data in backend.objects.items()
        if not key.startswith("audit/")
    }


async def test_a_restored_backup_is_erased_again(two: Built) -> None:
    early, other = await two.record(), await two.record()
    backups = [[backup(backend) for backend in pair] for pair in two.backends]
    await two.erase_early(early)
    assert await replay(two.site) == Replayed(tombstones=1)
    # One place is restored, its tombstones lost: the other's still tell.
    for backend, old in zip(two.backends[1], backups[1], strict=True):
        for key in [*backend.objects]:
            if not key.startswith("audit/"):
                del backend.objects[key]
        backend.objects |= old
    assert two.of(early) != set()
    replayed = await replay(two.site)
    assert replayed == Replayed(tombstones=1, returned={early: DAY})
    assert replayed.to_words()["returned"] == {early: "2026-11-23"}
    assert two.of(early) == set()
    assert two.of(other) != set()
    last = two.rows()[-1]
    assert (last.act, last.id, last.result) == (Act.ERASED, early, "again")


async def test_a_year_later_a_restored_day_is_swept_again(two: Built) -> None:
    one = await two.record()
    copies = [backup(backend) for backend in two.backends[0]]
    two.clock.now_ns = DUE_NS
    await two.sweep(wait=0).run(two.clock())
    for backend, old in zip(two.backends[0], copies, strict=True):
        backend.objects |= old
    assert not two.opens(one), "its day's key is gone"
    assert (await replay(two.site)).returned == {one: DAY}
    assert two.of(one) == set()


async def test_many_tombstones_are_taken_in_pieces(two: Built) -> None:
    ids = [await two.record() for _ in range(5)]
    copies = [dict(backend.objects) for backend in two.backends[0]]
    await two.erase_early(*ids)
    for backend, old in zip(two.backends[0], copies, strict=True):
        backend.objects |= {k: v for k, v in old.items() if not k.startswith("audit/")}
    replayed = await replay(two.site, chunk=2)
    assert replayed.returned == dict.fromkeys(ids, DAY)
    assert two.keys() == set()


async def test_what_an_erasure_has_left_is_its_own(two: Built) -> None:
    one = await two.record()
    locked = two.backends[0][0]
    locked.locked = set(locked.objects)
    done = await two.erase_early(one)
    assert done.left
    assert (await replay(two.site)).returned == {}


async def test_what_a_lock_keeps_is_told(two: Built) -> None:
    one = await two.record()
    copies = [dict(backend.objects) for backend in two.backends[0]]
    await two.erase_early(one)
    for backend, old in zip(two.backends[0], copies, strict=True):
        backend.objects |= {k: v for k, v in old.items() if not k.startswith("audit/")}
    two.backends[0][0].objects["audio/strange"] = b""
    two.backends[0][0].locked = {k for k in copies[0] if k.startswith("audio/")}
    (left,) = (await replay(two.site)).left
    assert left.reason == "the lock of 1 objects has not run out"


async def test_a_forged_tombstone_erases_nothing(two: Built) -> None:
    one, other = await two.record(), await two.record()
    copies = [dict(backend.objects) for backend in two.backends[0]]
    await two.erase_early(one)
    for backend, old in zip(two.backends[0], copies, strict=True):
        backend.objects |= {key: data for key, data in old.items() if one in key}
    stone = Tombstone(
        id=other, created=DAY, erased_at="2027-11-24T00:00:00.000Z",
        method="key-destroyed", policy="P1Y",
    )  # fmt: skip
    await tombstones.write(two.backends[1][1], stone)  # whoever runs the second storage
    with structlog.testing.capture_logs() as log:
        replayed = await replay(two.site)
    assert replayed.returned == {one: DAY}
    assert two.of(one) == set()
    assert two.opens(other)
    assert "tombstone_refused" in {line["event"] for line in log}
