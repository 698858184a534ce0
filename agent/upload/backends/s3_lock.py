"""Whether a bucket has really given an object the lock that it is to give."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final, Literal

from agent.upload.backend import (
    ObjectMissingError,
    ObjectUnlockedError,
    StorageDeniedError,
)
from agent.upload.backends.s3_client import S3Client

TOLERANCE: Final = timedelta(minutes=1)
"Between when an object was stored and when its lock was reckoned from."

_ENOUGH: Final = {
    "governance": frozenset({"GOVERNANCE", "COMPLIANCE"}),
    "compliance": frozenset({"COMPLIANCE"}),
}


class Lock:
    """What a bucket's objects are to be locked with."""

    def __init__(
        self,
        client: S3Client,
        bucket: str,
        mode: Literal["none", "governance", "compliance"],
    ) -> None:
        self._client = client
        self._bucket = bucket
        self._mode = mode
        self._period: timedelta | None = None

    @property
    def wanted(self) -> bool:
        """Whether objects are to be locked at all."""
        return self._mode != "none"

    async def check(self, key: str, told: Mapping[str, Any]) -> None:
        """Judge what a HEAD tells of an object. Raises ObjectUnlockedError."""
        if not self.wanted:
            return
        if told.get("ObjectLockMode") not in _ENOUGH[self._mode]:
            raise ObjectUnlockedError(f"{key} has no lock of the kind {self._mode}.")
        until: datetime | None = told.get("ObjectLockRetainUntilDate")
        if self._period is None:
            self._period = await self._ask()
        # Both are told by the storage's clock.
        due = told["LastModified"] + self._period - TOLERANCE
        if until is None or until < due or until <= told["LastModified"]:
            raise ObjectUnlockedError(f"{key} is locked for too short a time.")

    async def _ask(self) -> timedelta:
        """How long the bucket locks; nothing if it may not be asked, or does not."""
        try:
            told = await self._client.call(
                "get_object_lock_configuration", what=self._bucket, Bucket=self._bucket
            )
        except (StorageDeniedError, ObjectMissingError):
            return timedelta(0)
        rule = told.get("ObjectLockConfiguration", {}).get("Rule", {})
        default = rule.get("DefaultRetention", {})
        return timedelta(days=default.get("Days", 0) + 365 * default.get("Years", 0))


def is_locked(told: Mapping[str, Any]) -> bool:
    """Whether a HEAD tells of a lock that has not run out, or a legal hold."""
    if told.get("ObjectLockLegalHoldStatus") == "ON":
        return True
    until = told.get("ObjectLockRetainUntilDate")
    date = told.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    return until is not None and (not date or until > parsedate_to_datetime(date))
