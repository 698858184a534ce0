import asyncio
import errno
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.service.storage_proof import (
    PROVEN,
    StorageRefusesError,
    are_known,
    prove_storages,
)
from agent.upload.backend import StorageDeniedError, StorageError
from agent.upload.backends.memory import MemoryBackend
from agent.upload.backends.s3_errors import BucketMissingError
from agent.upload.config import StorageConfig
from agent.upload.targets import Target

DATA = b"a notice"
DIGEST = hashlib.sha256(DATA).hexdigest()
NOTICES = {DIGEST: DATA}
NORTH = StorageConfig(locked_url="file:///n/locked", url="file:///n/state")
SOUTH = StorageConfig(locked_url="file:///s/locked", url="file:///s/state")


def target(name: str, before: Callable[[str, str], None] | None = None) -> Target:
    return Target(MemoryBackend(before), MemoryBackend(), name)


def failing(error: Exception) -> Callable[[str, str], None]:
    def fail(_: str, __: str) -> None:
        raise error

    return fail


async def test_storages_that_take_a_notice_are_known_from_then_on(
    tmp_path: Path, log: list[dict[str, Any]]
) -> None:
    north, south = target("north"), target("south")
    both = [(NORTH, north), (SOUTH, south)]
    assert not are_known([NORTH], tmp_path)
    await prove_storages(both, NOTICES, tmp_path)
    assert log == []
    for one in (north, south):
        assert isinstance(one.locked, MemoryBackend)
        assert one.locked.objects == {f"notices/{DIGEST}.wav": DATA}
    assert are_known([NORTH, SOUTH], tmp_path)
    # Once more: it is there, and nothing is written.
    written = (tmp_path / PROVEN).stat().st_ino
    await prove_storages(both, NOTICES, tmp_path)
    assert (tmp_path / PROVEN).stat().st_ino == written
    # Another bucket was never asked.
    other = StorageConfig(locked_url="file:///n/other", url="file:///n/state")
    assert not are_known([other], tmp_path)


@pytest.mark.parametrize(
    "error",
    [
        StorageDeniedError("no."),
        BucketMissingError("no such bucket."),
        PermissionError(errno.EACCES, "no."),
    ],
)
async def test_who_refuses_and_never_took_anything_refuses_the_start(
    tmp_path: Path, log: list[dict[str, Any]], error: Exception
) -> None:
    both = [(NORTH, target("north")), (SOUTH, target("south", failing(error)))]
    with pytest.raises(StorageRefusesError, match=r"south: no.*storage check"):
        await prove_storages(both, NOTICES, tmp_path)
    assert log[-1]["storage"] == "south"


async def test_who_took_something_once_is_told_of_only(
    tmp_path: Path, log: list[dict[str, Any]]
) -> None:
    await prove_storages([(NORTH, target("north"))], NOTICES, tmp_path)
    refusing = target("north", failing(StorageDeniedError("the key was taken back.")))
    await prove_storages([(NORTH, refusing)], NOTICES, tmp_path)
    [entry] = log
    assert (entry["event"], entry["level"]) == ("storage_not_proven", "error")


@pytest.mark.parametrize("error", [StorageError("away."), OSError(5, "I/O error")])
async def test_who_is_away_is_told_of_only(
    tmp_path: Path, log: list[dict[str, Any]], error: Exception
) -> None:
    away = target("north", failing(error))
    told: list[Target] = []
    await prove_storages(
        [(NORTH, away), (SOUTH, target("south"))],
        NOTICES,
        tmp_path,
        on_unproven=told.append,
    )
    assert told == [away]
    assert [entry["event"] for entry in log] == ["storage_not_proven"]
    assert not are_known([NORTH], tmp_path)


async def test_who_does_not_answer_is_not_waited_for(
    tmp_path: Path, log: list[dict[str, Any]]
) -> None:
    class Silent(MemoryBackend):
        async def holds(self, key: str, *, sha256: str, size: int) -> bool:
            await asyncio.Event().wait()
            return False

    silent = Target(Silent(), MemoryBackend(), "north")
    await prove_storages([(NORTH, silent)], NOTICES, tmp_path, seconds=0.01)
    assert "no answer" in log[0]["reason"]


async def test_a_full_disk_or_no_notice_is_no_reason(
    tmp_path: Path, log: list[dict[str, Any]]
) -> None:
    await prove_storages([(NORTH, target("north"))], NOTICES, tmp_path / "none")
    assert [entry["event"] for entry in log] == ["proof_not_kept"]
    refusing = target("north", failing(StorageDeniedError("no.")))
    await prove_storages([(NORTH, refusing)], {}, tmp_path)
