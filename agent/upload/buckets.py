"""A storage's two buckets: judged, and made as they must be where they are new.

What is there already is only ever made stricter; what would have to be weakened, or
belongs to others, is told with its remedy.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from agent.common.errors import AgentError
from agent.upload.bucket_properties import (
    PROPERTIES,
    Finding,
    Property,
    Verdict,
    Wanted,
    code_of,
)

_UNKNOWN_TO_SERVER: Final = frozenset(
    {"NotImplemented", "MethodNotAllowed", "501", "405"}
)


class BucketError(AgentError):
    """The server could not be asked about its buckets."""

    hint = "Check the endpoint, the way to it and the credentials."


def check_bucket(s3: Any, wanted: Wanted) -> Iterator[Finding]:
    """Judge every property with an administrator's client. Raises BucketError."""
    for one in PROPERTIES:
        finding, mendable = _look(s3, wanted, one)
        if mendable:
            remedy = "`recording-agent storage init` sets it."
            finding = replace(finding, remedy=remedy)
        yield finding
        if _is_absent(one, finding):
            return


def init_bucket(s3: Any, wanted: Wanted) -> Iterator[Finding]:
    """Bring about what is missing, and judge what is so then. Raises BucketError."""
    for one in PROPERTIES:
        finding, mendable = _look(s3, wanted, one)
        if mendable and one.make is not None:
            try:
                one.make(s3, wanted)
                finding, _ = _look(s3, wanted, one)
            except (ClientError, BotoCoreError) as error:
                remedy = f"It cannot be set here ({code_of(error)}): see to it by hand."
                finding = replace(finding, remedy=remedy)
        yield finding
        if _is_absent(one, finding):
            return


def _is_absent(one: Property, finding: Finding) -> bool:
    return one is PROPERTIES[0] and finding.verdict is not Verdict.RIGHT


def _look(s3: Any, wanted: Wanted, one: Property) -> tuple[Finding, bool]:
    bucket = wanted.place.bucket
    try:
        verdict, text, remedy = one.look(s3, wanted)
    except ClientError as error:
        code = code_of(error)
        unknown = code in _UNKNOWN_TO_SERVER
        told = "the server does not know of it" if unknown else f"not told ({code})"
        remedy = "Make sure of it by the server's own means."
        return Finding(bucket, one.about, Verdict.UNTOLD, told, remedy), False
    except BotoCoreError as error:
        raise BucketError(f"{bucket}: {code_of(error)}.") from error
    mendable = verdict is Verdict.WRONG and not remedy and one.make is not None
    return Finding(bucket, one.about, verdict, text, remedy), mendable
