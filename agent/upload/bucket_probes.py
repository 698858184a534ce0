"""What a server really does, found out by asking it to: nothing it says is believed.

An administrator's probes put objects of their own and take them away again. Those of a
host and of the gate put nothing: they ask for what must be refused, of objects that do
not exist, so that a server that lets it has done nothing either.
"""

import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from agent.common.clock import utc_now
from agent.upload.bucket_properties import Finding, Verdict, Wanted, code_of
from agent.upload.policies import Role

_PROBES: Final = "probe/"
_LOCK_SECONDS: Final = 60
"Of a probe's own lock; whoever may bypass it takes it away at once."
_REFUSED: Final = frozenset({"PreconditionFailed", "412", "ConditionalRequestConflict"})
_DENIED: Final = frozenset({"AccessDenied", "403", "Forbidden"})
_GATE_MAY: Final = frozenset(
    {"list", "list versions", "delete", "change tags", "see tags"}
)
_NO_VERSION: Final = "0" * 32


def probe_bucket(s3: Any, wanted: Wanted) -> Iterator[Finding]:
    """Whether keys are taken once only, and locks are kept, with rights to do all."""
    bucket = wanted.place.bucket
    try:
        yield _taken_once(s3, wanted)
        if wanted.locks:
            yield _lock_kept(s3, wanted)
    except (ClientError, BotoCoreError) as error:
        remedy = "Use credentials that may put and delete here."
        text = f"cannot be found out ({code_of(error)})"
        yield Finding(bucket, "probe", Verdict.UNTOLD, text, remedy)


def probe_rights(
    s3: Any, wanted: Wanted, *, role: Role = Role.HOST, existing: str = ""
) -> Iterator[Finding]:
    """Whether a role's credentials are refused what it must not do.

    `existing` is the key of an object that a host has put, where one is known: on some
    servers its owner has rights that a policy must take away.
    """
    bucket = wanted.place.bucket
    allowed, untold = [], []
    for name, act in (*_forbidden(s3, wanted), *_of_owner(s3, bucket, existing)):
        if role is Role.GATE and name in _GATE_MAY:
            continue
        try:
            act()
            allowed.append(name)
        except ClientError as error:
            if code_of(error) not in _DENIED:
                # It looked for the object: so it would have done it.
                allowed.append(name)
        except BotoCoreError:
            untold.append(name)
    remedy = "Deny it: `recording-agent storage policies` prints how."
    if allowed:
        text = f"a {role} may {', '.join(allowed)}"
        yield Finding(bucket, "rights", Verdict.WRONG, text, remedy)
    elif untold:
        text = f"no answer to {', '.join(untold)}"
        yield Finding(bucket, "rights", Verdict.UNTOLD, text, remedy)
    else:
        text = f"a {role} is refused what it must not do"
        yield Finding(bucket, "rights", Verdict.RIGHT, text)


def _taken_once(s3: Any, wanted: Wanted) -> Finding:
    bucket, key = wanted.place.bucket, _key(wanted)
    about = "taken once"
    _put_probe(s3, wanted, key)
    try:
        _put_probe(s3, wanted, key)
    except ClientError as error:
        if code_of(error) not in _REFUSED:
            raise
        text = "a key that is taken is refused"
        return Finding(bucket, about, Verdict.RIGHT, text)
    finally:
        _remove(s3, bucket, key)
    remedy = (
        "Keep every version: readers take the oldest. Or use a server that refuses."
    )
    return Finding(bucket, about, Verdict.WRONG, "a taken key is overwritten", remedy)


def _lock_kept(s3: Any, wanted: Wanted) -> Finding:
    bucket, key = wanted.place.bucket, _key(wanted)
    about = "lock kept"
    version = _put_probe(s3, wanted, key)["VersionId"]
    try:
        told = s3.head_object(Bucket=bucket, Key=key)
        if told.get("ObjectLockMode") != "GOVERNANCE":
            remedy = "Use a server with Object Lock: this one drops it silently."
            text = "a lock that was asked for is not there"
            return Finding(bucket, about, Verdict.WRONG, text, remedy)
        try:
            s3.delete_object(Bucket=bucket, Key=key, VersionId=version)
        except ClientError:
            return Finding(bucket, about, Verdict.RIGHT, "what is locked stays")
        remedy = "Use a server that enforces Object Lock."
        return Finding(bucket, about, Verdict.WRONG, "what is locked goes", remedy)
    finally:
        _remove(s3, bucket, key)


def _put_probe(s3: Any, wanted: Wanted, key: str) -> dict[str, Any]:
    more: dict[str, Any] = {}
    if wanted.locks:
        # Else the bucket's default would keep the probe for a year.
        until = utc_now() + timedelta(seconds=_LOCK_SECONDS)
        more = {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": until}
    told: dict[str, Any] = s3.put_object(
        Bucket=wanted.place.bucket,
        Key=key,
        Body=b"",
        IfNoneMatch="*",
        ChecksumAlgorithm="SHA256",
        **more,
    )
    return told


def _remove(s3: Any, bucket: str, key: str) -> None:
    told = s3.list_object_versions(Bucket=bucket, Prefix=key)
    for one in (*told.get("Versions", ()), *told.get("DeleteMarkers", ())):
        version = one["VersionId"]
        s3.delete_object(
            Bucket=bucket, Key=key, VersionId=version, BypassGovernanceRetention=True
        )


def _key(wanted: Wanted) -> str:
    return f"{wanted.place.prefix}{_PROBES}{uuid.uuid4()}"


def _of_owner(
    s3: Any, bucket: str, key: str
) -> Iterator[tuple[str, Callable[[], object]]]:
    """What shows that its owner may do more with an object; reading harms nothing."""
    if key:
        yield "see tags", lambda: s3.get_object_tagging(Bucket=bucket, Key=key)
        yield "see ACLs", lambda: s3.get_object_acl(Bucket=bucket, Key=key)


def _forbidden(s3: Any, wanted: Wanted) -> Iterator[tuple[str, Callable[[], object]]]:
    """What a host must be refused; each harms nothing where it is not."""
    bucket = {"Bucket": wanted.place.bucket}
    folder = "audio" if wanted.kind == "locked" else "keys"
    none = bucket | {"Key": f"{wanted.place.prefix}{folder}/{uuid.uuid4()}"}
    version = none | {"VersionId": _NO_VERSION}
    tags = {"TagSet": [{"Key": "expiry", "Value": "none"}]}
    until = utc_now() + timedelta(days=1)
    retention = {"Mode": "GOVERNANCE", "RetainUntilDate": until}
    yield "list", lambda: s3.list_objects_v2(**bucket, MaxKeys=1)
    yield "list versions", lambda: s3.list_object_versions(**bucket, MaxKeys=1)
    yield "delete", lambda: s3.delete_object(**version)
    yield "change tags", lambda: s3.put_object_tagging(**none, Tagging=tags)
    yield "change ACLs", lambda: s3.put_object_acl(**none, ACL="private")
    yield "read the policy", lambda: s3.get_bucket_policy(**bucket)
    if wanted.locks:
        hold = {"Status": "OFF"}
        yield (
            "change locks",
            lambda: s3.put_object_retention(**none, Retention=retention),
        )
        yield (
            "change holds",
            lambda: s3.put_object_legal_hold(**none, LegalHold=hold),
        )
