"""Whether a bucket has really given an object the lock that it is to give."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from agent.upload.backend import (
    ObjectMissingError,
    ObjectUnlockedError,
    StorageDeniedError,
)
from agent.upload.backends.s3_client import S3Client
from agent.upload.backends.s3_errors import date_of, told

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

    async def check(self, key: str, answer: Mapping[str, Any]) -> None:
        """Judge what a HEAD tells of an object. Raises ObjectUnlockedError."""
        if not self.wanted:
            return
        if answer.get("ObjectLockMode") not in _ENOUGH[self._mode]:
            raise ObjectUnlockedError(f"{key} has no lock of the kind {self._mode}.")
        until: datetime | None = answer.get("ObjectLockRetainUntilDate")
        if self._period is None:
            self._period = await self._ask()
        # Both are told by the storage's clock.
        stored = told(answer, "LastModified")
        due = stored + self._period - TOLERANCE
        if until is None or until < due or until <= stored:
            raise ObjectUnlockedError(f"{key} is locked for too short a time.")

    async def _ask(self) -> timedelta:
        """How long the bucket locks; nothing if it may not be asked, or does not."""
        try:
            answer = await self._client.call(
                "get_object_lock_configuration", what=self._bucket, Bucket=self._bucket
            )
        except (StorageDeniedError, ObjectMissingError):
            return timedelta(0)
        rule = answer.get("ObjectLockConfiguration", {}).get("Rule", {})
        default = rule.get("DefaultRetention", {})
        return timedelta(days=default.get("Days", 0) + 365 * default.get("Years", 0))


def is_locked(answer: Mapping[str, Any]) -> bool:
    """Whether a HEAD tells of a lock that has not run out, or a legal hold."""
    if answer.get("ObjectLockLegalHoldStatus") == "ON":
        return True
    until: datetime | None = answer.get("ObjectLockRetainUntilDate")
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    now = date_of(headers)
    return until is not None and (now is None or until > now)
