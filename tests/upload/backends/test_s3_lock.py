from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from agent.upload.backend import (
    ObjectMissingError,
    ObjectUnlockedError,
    StorageDeniedError,
    StorageError,
)
from agent.upload.backends.s3_lock import Lock, is_locked

STORED = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)


class Bucket:
    """A client that knows one answer: what the bucket's default is."""

    def __init__(self, answer: dict[str, Any] | StorageError) -> None:
        self._answer = answer
        self.asked = 0

    async def call(self, operation: str, **_: object) -> Any:
        assert operation == "get_object_lock_configuration"
        self.asked += 1
        if isinstance(self._answer, StorageError):
            raise self._answer
        return self._answer


def default(**retention: int) -> dict[str, Any]:
    return {"ObjectLockConfiguration": {"Rule": {"DefaultRetention": retention}}}


def told(mode: str | None, days: float) -> dict[str, Any]:
    until = STORED + timedelta(days=days)
    return {
        "LastModified": STORED,
        "ObjectLockMode": mode,
        "ObjectLockRetainUntilDate": until,
    }


@pytest.mark.parametrize(
    ("wanted", "mode", "days", "fine"),
    [
        ("none", None, 0, True),
        ("governance", "GOVERNANCE", 360, True),
        ("governance", "COMPLIANCE", 361, True),
        ("governance", "GOVERNANCE", 359, False),
        ("governance", None, 360, False),
        ("compliance", "GOVERNANCE", 360, False),
        ("compliance", "COMPLIANCE", 360, True),
    ],
)
async def test_mode_and_date(
    wanted: Any, mode: str | None, days: int, fine: bool
) -> None:
    lock = Lock(Bucket(default(Days=360)), "bucket", wanted)  # type: ignore[arg-type]
    if fine:
        await lock.check("audio/a", told(mode, days))
    else:
        with pytest.raises(ObjectUnlockedError):
            await lock.check("audio/a", told(mode, days))


async def test_a_bucket_counts_in_years_too_and_is_asked_once() -> None:
    bucket = Bucket(default(Years=1))
    lock = Lock(bucket, "bucket", "governance")  # type: ignore[arg-type]
    for _ in range(3):
        await lock.check("audio/a", told("GOVERNANCE", 365))
    with pytest.raises(ObjectUnlockedError):
        await lock.check("audio/a", told("GOVERNANCE", 364))
    assert bucket.asked == 1


@pytest.mark.parametrize(
    "error", [StorageDeniedError("no."), ObjectMissingError("none.")]
)
async def test_where_the_bucket_does_not_tell_a_date_to_come_is_enough(
    error: StorageError,
) -> None:
    lock = Lock(Bucket(error), "bucket", "governance")  # type: ignore[arg-type]
    await lock.check("audio/a", told("GOVERNANCE", 1))
    for days in (0, -1):
        with pytest.raises(ObjectUnlockedError):
            await lock.check("audio/a", told("GOVERNANCE", days))
    with pytest.raises(ObjectUnlockedError):
        await lock.check(
            "audio/a", {**told("GOVERNANCE", 1), "ObjectLockRetainUntilDate": None}
        )


async def test_storage_that_is_away_is_not_taken_for_an_answer() -> None:
    lock = Lock(Bucket(StorageError("away.")), "bucket", "governance")  # type: ignore[arg-type]
    with pytest.raises(StorageError, match="away"):
        await lock.check("audio/a", told("GOVERNANCE", 1))


@pytest.mark.parametrize(
    ("until", "hold", "locked"),
    [(None, None, False), (-1, None, False), (1, None, True), (None, "ON", True)],
)
def test_what_is_locked_now(until: int | None, hold: str | None, locked: bool) -> None:
    answer = {
        "ObjectLockLegalHoldStatus": hold,
        "ObjectLockRetainUntilDate": until and STORED + timedelta(days=until),
        "ResponseMetadata": {"HTTPHeaders": {"date": format_datetime(STORED)}},
    }
    assert is_locked(answer) is locked
