from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from agent.upload.backend import (
    ObjectDamagedError,
    ObjectExistsError,
    ObjectMissingError,
    StorageDeniedError,
    StorageError,
)
from agent.upload.backends.s3_errors import (
    BucketMissingError,
    ClockSkewError,
    CredentialsRefusedError,
    StorageFullError,
    translate,
)

NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)


def answer(status: int, code: str = "", **headers: str) -> dict[str, Any]:
    meta = {"HTTPStatusCode": status, "HTTPHeaders": headers}
    return {"Error": {"Code": code or str(status)}, "ResponseMetadata": meta}


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (404, "NoSuchKey", ObjectMissingError),
        (404, "", ObjectMissingError),
        (404, "NoSuchBucket", BucketMissingError),
        (409, "ConditionalRequestConflict", ObjectExistsError),
        (412, "PreconditionFailed", ObjectExistsError),
        (400, "BadDigest", ObjectDamagedError),
        (400, "XAmzContentSHA256Mismatch", ObjectDamagedError),
        (403, "AccessDenied", StorageDeniedError),
        (403, "", StorageDeniedError),
        (403, "InvalidAccessKeyId", CredentialsRefusedError),
        (403, "ExpiredToken", CredentialsRefusedError),
        (403, "RequestTimeTooSkewed", ClockSkewError),
        (403, "QuotaExceeded", StorageFullError),
        (507, "InsufficientStorage", StorageFullError),
        (503, "SlowDown", StorageError),
        (400, "InvalidArgument", StorageError),
        (200, "InternalError", StorageError),
    ],
)
def test_each_refusal_has_its_error(status: int, code: str, kind: type) -> None:
    error = translate(answer(status, code), "keys/a", NOW)
    assert type(error) is kind
    assert "keys/a" in str(error)


@pytest.mark.parametrize("minutes", [-61, 16, 11])
def test_a_shifted_clock_is_named_where_the_refusal_is_mute(minutes: int) -> None:
    """A HEAD has no body to say why."""
    date = format_datetime(NOW + timedelta(minutes=minutes), usegmt=True)
    error = translate(answer(403, date=date), "keys/a", NOW)
    assert type(error) is ClockSkewError
    assert f"{abs(minutes) * 60} s" in str(error)
    assert "NTP" in str(error)


@pytest.mark.parametrize(
    "date", [format_datetime(NOW, usegmt=True), "", "yesterday", "Sun, 99 Nov 2026"]
)
def test_a_clock_that_is_right_or_untold(date: str) -> None:
    error = translate(answer(403, date=date), "keys/a", NOW)
    assert type(error) is StorageDeniedError


def test_an_answer_that_says_nothing() -> None:
    assert type(translate({}, "keys/a", NOW)) is StorageError
