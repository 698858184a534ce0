"""What an object store's refusals mean: whose fault, and whether to try again."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final

from agent.upload.backend import (
    ObjectDamagedError,
    ObjectExistsError,
    ObjectMissingError,
    StorageDeniedError,
    StorageError,
)

MAX_SKEW: Final = timedelta(minutes=10)
"Between storage's clock and ours: signatures are refused from fifteen on."

_DAMAGED: Final = frozenset(
    {
        "BadDigest",
        "InvalidDigest",
        "XAmzContentSHA256Mismatch",
        "XAmzContentChecksumMismatch",
    }
)
_KEYS: Final = frozenset(
    {"ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "SignatureDoesNotMatch"}
)
_FULL: Final = frozenset(
    {"QuotaExceeded", "InsufficientStorage", "ServiceQuotaExceeded"}
)


class ClockSkewError(StorageError):
    """Our clock and the storage's differ too much for a signature to be believed."""

    hint = "Set this host's clock, or the storage's, by NTP."


class StorageFullError(StorageError):
    """Storage has no room for us."""

    hint = "Give the storage room, or raise the quota; recordings wait in the spool."


class CredentialsRefusedError(StorageDeniedError):
    """Storage does not know our keys, or no longer."""

    hint = "Put valid keys into the file of `credentials`; it is read again by itself."


class BucketMissingError(StorageError):
    """The bucket is not there."""

    hint = "Make it with `recording-agent storage init`."


def told(answer: Mapping[str, Any], name: str) -> Any:
    """What an answer must have. Raises StorageError if it has not."""
    try:
        return answer[name]
    except KeyError:
        raise StorageError(f"storage's answer has no {name}.") from None


def translate(answer: Mapping[str, Any], what: str, now: datetime) -> StorageError:
    """The error of an answer as botocore reads it, about `what`."""
    code = str(answer.get("Error", {}).get("Code", ""))
    meta = answer.get("ResponseMetadata", {})
    status = int(meta.get("HTTPStatusCode", 0))
    said = f"{status} {code}" if code and code != str(status) else f"{status}"
    match status:
        case 404 if code == "NoSuchBucket":
            return BucketMissingError(f"{what}: there is no such bucket.")
        case 404:
            return ObjectMissingError(f"{what} is not there.")
        case 409 | 412:
            # 409: somebody puts it at this very moment.
            return ObjectExistsError(f"{what} exists.")
        case 507:
            return StorageFullError(f"{what}: storage is full ({said}).")
        case 401 | 403 if code in _FULL:
            return StorageFullError(f"{what}: storage is full ({said}).")
        case 401 | 403:
            skew = _skew(meta.get("HTTPHeaders", {}), now)
            if code == "RequestTimeTooSkewed" or skew > MAX_SKEW:
                return ClockSkewError(
                    f"{what}: the clocks differ by {skew.total_seconds():.0f} s."
                )
            kind = CredentialsRefusedError if code in _KEYS else StorageDeniedError
            return kind(f"{what} is refused ({said}).")
        case _ if code in _DAMAGED:
            return ObjectDamagedError(f"{what} arrived as other bytes ({said}).")
        case _:
            return StorageError(f"{what}: storage answers {said}.")


def date_of(headers: Mapping[str, str]) -> datetime | None:
    """When an answer was sent, by the clock of who answered; None if it is not told."""
    try:
        date = parsedate_to_datetime(headers["date"])
    except (KeyError, ValueError):
        return None
    return date if date.tzinfo is not None else date.replace(tzinfo=UTC)


def _skew(headers: Mapping[str, str], now: datetime) -> timedelta:
    """How far the clock of whoever answered is from ours; nothing if it is not told."""
    date = date_of(headers)
    return timedelta(0) if date is None else abs(date - now)
