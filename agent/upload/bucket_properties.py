"""What each of a storage's two buckets must be like, one property by one.

A property is how it is looked at, and how it is brought about; `agent.upload.buckets`
decides when.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Literal

from botocore.exceptions import BotoCoreError, ClientError

from agent.common.regions import country_of
from agent.upload.policies import Kind, Place, Policy, public_statements

LOCK_MARGIN: Final = 14
"Days by which a lock is shorter than retention: it counts from when storage got it."
NET_DAYS: Final = 400
"After so long lifecycle removes what the sweep has missed; no period ends later."
OLD_DAYS: Final = {"locked": 35, "state": 400}
"""Days for which what is no longer the newest version is kept.

What is locked outlives them anyway. An envelope's first version is the one that counts,
and must outlive whatever was put over it by somebody who should not.
"""
UNFINISHED_DAYS: Final = 7
"For uploads in parts, of which we make none."
TAG: Final = ("expiry", "normal")

_ALL_BLOCKED: Final = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}
_EVERYBODY: Final = ("/AllUsers", "/AuthenticatedUsers")
_ABSENT: Final = frozenset({"404", "NoSuchBucket"})
_STRENGTH: Final = {"": 0, "GOVERNANCE": 1, "COMPLIANCE": 2}
_DEFAULT_REGION: Final = "us-east-1"


class Verdict(StrEnum):
    """What was found of one property."""

    RIGHT = "right"
    WRONG = "wrong"
    UNTOLD = "untold"
    "The server does not know of it, or does not tell us."


@dataclass(frozen=True, slots=True)
class Finding:
    """One property of one bucket."""

    bucket: str
    about: str
    verdict: Verdict
    text: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One bucket as it must be."""

    kind: Kind
    place: Place
    lock: Literal["none", "governance", "compliance"] = "none"
    "Of the locked bucket."
    lock_days: int = 0
    "How long the bucket's default lock is."
    region: str = ""
    "Where the operator says that it is."
    signing_region: str = _DEFAULT_REGION
    policy: Policy | None = None
    "To be put on the bucket; None: whoever runs it has attached policies to users."

    @property
    def locks(self) -> bool:
        """Whether what is put here is to be locked."""
        return self.kind == "locked" and self.lock != "none"


Look = Callable[[Any, Wanted], tuple[Verdict, str, str]]
Make = Callable[[Any, Wanted], None]


@dataclass(frozen=True, slots=True)
class Property:
    """How one property is looked at, and brought about where that weakens nothing."""

    about: str
    look: Look
    """Returns the verdict, what is so, and what to do about it.

    No remedy with a verdict of wrong: `make` is the remedy.
    """
    make: Make | None = None


def code_of(error: ClientError | BotoCoreError) -> str:
    """The server's own word for what is wrong; never its message, which shows names."""
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", "no code"))
    return type(error).__name__


def _bucket_there(s3: Any, wanted: Wanted) -> tuple[Verdict, str, str]:
    try:
        s3.head_bucket(Bucket=wanted.place.bucket)
    except ClientError as error:
        if code_of(error) in _ABSENT:
            return Verdict.WRONG, "there is no such bucket", ""
        remedy = "Use the credentials of its owner, or name another bucket."
        return Verdict.WRONG, f"it is not ours to look at ({code_of(error)})", remedy
    return Verdict.RIGHT, "it is there", ""


def _create_bucket(s3: Any, wanted: Wanted) -> None:
    more: dict[str, Any] = {}
    if wanted.locks:
        more["ObjectLockEnabledForBucket"] = True
    if wanted.signing_region != _DEFAULT_REGION:
        more["CreateBucketConfiguration"] = {
            "LocationConstraint": wanted.signing_region
        }
    s3.create_bucket(Bucket=wanted.place.bucket, **more)


def _versions_kept(s3: Any, wanted: Wanted) -> tuple[Verdict, str, str]:
    told = s3.get_bucket_versioning(Bucket=wanted.place.bucket)
    status = told.get("Status", "never enabled")
    if status == "Enabled":
        return Verdict.RIGHT, "every version is kept", ""
    return Verdict.WRONG, f"what is overwritten is lost ({status.lower()})", ""


def _keep_versions(s3: Any, wanted: Wanted) -> None:
    s3.put_bucket_versioning(
        Bucket=wanted.place.bucket, VersioningConfiguration={"Status": "Enabled"}
    )


def _lock_set(s3: Any, wanted: Wanted) -> tuple[Verdict, str, str]:
    mode, days = _default_lock(s3, wanted.place.bucket)
    has = f"{mode.lower()} for {days} days" if mode else "no default"
    if not wanted.locks:
        if mode and wanted.kind == "state":
            remedy = "Name another bucket: envelopes could not be erased here."
            return Verdict.WRONG, has, remedy
        return Verdict.RIGHT, has, ""
    if days > wanted.lock_days and mode:
        remedy = f"Shorten it to {wanted.lock_days} days: it outlasts retention."
        return Verdict.WRONG, has, remedy
    if days == wanted.lock_days and _STRENGTH[mode] >= _STRENGTH[wanted.lock.upper()]:
        return Verdict.RIGHT, has, ""
    return Verdict.WRONG, has, ""


def _set_lock(s3: Any, wanted: Wanted) -> None:
    mode, _ = _default_lock(s3, wanted.place.bucket)
    stricter = max(mode, wanted.lock.upper(), key=_STRENGTH.__getitem__)
    rule = {"DefaultRetention": {"Mode": stricter, "Days": wanted.lock_days}}
    s3.put_object_lock_configuration(
        Bucket=wanted.place.bucket,
        ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule},
    )


def _default_lock(s3: Any, bucket: str) -> tuple[str, int]:
    try:
        told = s3.get_object_lock_configuration(Bucket=bucket)
    except ClientError as error:
        if code_of(error) == "ObjectLockConfigurationNotFoundError":
            return "", 0
        raise
    rule = told["ObjectLockConfiguration"].get("Rule", {}).get("DefaultRetention", {})
    return rule.get("Mode", ""), rule.get("Days", 0) + 365 * rule.get("Years", 0)


def _public_blocked(s3: Any, wanted: Wanted) -> tuple[Verdict, str, str]:
    try:
        told = s3.get_public_access_block(Bucket=wanted.place.bucket)
    except ClientError as error:
        if code_of(error) != "NoSuchPublicAccessBlockConfiguration":
            raise
        told = {}
    blocked = told.get("PublicAccessBlockConfiguration", {})
    if all(blocked.get(name) for name in _ALL_BLOCKED):
        return Verdict.RIGHT, "public access is blocked", ""
    return Verdict.WRONG, "public access is not blocked", ""


def _block_public(s3: Any, wanted: Wanted) -> None:
    s3.put_public_access_block(
        Bucket=wanted.place.bucket, PublicAccessBlockConfiguration=_ALL_BLOCKED
    )


def _acl_private(s3: Any, wanted: Wanted) -> tuple[Verdict, str, str]:
    told = s3.get_bucket_acl(Bucket=wanted.place.bucket)
    owner = told["Owner"]["ID"]
    others = [g for g in told["Grants"] if g["Grantee"].get("ID") != owner]
    if any(g["Grantee"].get("URI", "").endswith(_EVERYBODY) for g in others):
        return Verdict.WRONG, "its ACL lets everybody in", "Make the ACL private."
    if others:
        remedy = "Make the ACL private; policies say who may do what."
        return Verdict.WRONG, "its ACL lets others than its owner in", remedy
    return Verdict.RIGHT, "its ACL is private", ""


def _policy_put(s3: Any, wanted: Wanted) -> tuple[Verdict, str, str]:
    found = _current_policy(s3, wanted.place.bucket)
    if public := public_statements(found or {}):
        remedy = "Remove those statements."
        return Verdict.WRONG, f"everybody is let in by {', '.join(public)}", remedy
    if wanted.policy is None:
        has = "no policy" if found is None else "a policy of its operator's"
        return Verdict.RIGHT, f"{has}, and none asked for", ""
    if found is None:
        return Verdict.WRONG, "no policy", ""
    missing = [s for s in wanted.policy["Statement"] if s not in found["Statement"]]
    if missing:
        remedy = "Merge what `recording-agent storage policies` prints into it."
        names = ", ".join(statement["Sid"] for statement in missing)
        return Verdict.WRONG, f"its policy lacks {names}", remedy
    return Verdict.RIGHT, "its policy holds every statement", ""


def _put_policy(s3: Any, wanted: Wanted) -> None:
    text = json.dumps(wanted.policy)
    s3.put_bucket_policy(Bucket=wanted.place.bucket, Policy=text)


def _current_policy(s3: Any, bucket: str) -> Policy | None:
    try:
        told = s3.get_bucket_policy(Bucket=bucket)
    except ClientError as error:
        if code_of(error) == "NoSuchBucketPolicy":
            return None
        raise
    policy: Policy = json.loads(told["Policy"])
    return policy


def lifecycle_rules(wanted: Wanted) -> list[dict[str, Any]]:
    """The safety net: wide, so that it never takes what the sweep has yet to judge."""
    key, value = TAG
    old = {"NoncurrentDays": OLD_DAYS[wanted.kind if wanted.locks else "state"]}
    return [
        {
            "ID": "recording-agent-net",
            "Status": "Enabled",
            "Filter": {"Tag": {"Key": key, "Value": value}},
            "Expiration": {"Days": NET_DAYS},
        },
        {
            "ID": "recording-agent-old",
            "Status": "Enabled",
            "Filter": {"Prefix": wanted.place.prefix},
            "NoncurrentVersionExpiration": old,
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": UNFINISHED_DAYS},
        },
    ]


def _net_spread(s3: Any, wanted: Wanted) -> tuple[Verdict, str, str]:
    found = _current_rules(s3, wanted.place.bucket)
    ours = {rule["ID"]: rule for rule in lifecycle_rules(wanted)}
    for rule in found:
        name = rule.get("ID", "unnamed")
        if name in ours and not _same(rule, ours[name]):
            remedy = "Remove that rule; `recording-agent storage init` makes it anew."
            return Verdict.WRONG, f"rule {name} is not as it was made", remedy
        if name not in ours and _expires_early(rule):
            remedy = "Remove it: only the sweep knows of holds."
            return Verdict.WRONG, f"rule {name} expires what may be held", remedy
    if missing := ours.keys() - {rule.get("ID") for rule in found}:
        return Verdict.WRONG, f"no rule {', '.join(sorted(missing))}", ""
    return Verdict.RIGHT, f"what is tagged and forgotten goes after {NET_DAYS} days", ""


def _spread_net(s3: Any, wanted: Wanted) -> None:
    found = _current_rules(s3, wanted.place.bucket)
    there = {rule.get("ID") for rule in found}
    added = [rule for rule in lifecycle_rules(wanted) if rule["ID"] not in there]
    s3.put_bucket_lifecycle_configuration(
        Bucket=wanted.place.bucket, LifecycleConfiguration={"Rules": [*found, *added]}
    )


def _current_rules(s3: Any, bucket: str) -> list[dict[str, Any]]:
    try:
        told = s3.get_bucket_lifecycle_configuration(Bucket=bucket)
    except ClientError as error:
        if code_of(error) == "NoSuchLifecycleConfiguration":
            return []
        raise
    rules: list[dict[str, Any]] = told.get("Rules", [])
    return rules


def _same(found: dict[str, Any], made: dict[str, Any]) -> bool:
    # A filter by an empty prefix comes back from some servers as an old-style prefix.
    acts = ("Status", "Expiration", "NoncurrentVersionExpiration")
    return all(found.get(name) == made.get(name) for name in acts) and (
        found.get("Filter", {}).get("Tag") == made["Filter"].get("Tag")
    )


def _expires_early(rule: dict[str, Any]) -> bool:
    return rule["Status"] == "Enabled" and (
        "Days" in rule.get("Expiration", {})
        or "Date" in rule.get("Expiration", {})
        or "NoncurrentVersionExpiration" in rule
    )


def _region_told(s3: Any, wanted: Wanted) -> tuple[Verdict, str, str]:
    told = s3.get_bucket_location(Bucket=wanted.place.bucket)["LocationConstraint"]
    country = country_of(told or "")
    if country is None or not wanted.region:
        return (
            Verdict.RIGHT,
            f"in {wanted.region or 'no stated region'}, by its operator's word",
            "",
        )
    if country == country_of(wanted.region):
        return Verdict.RIGHT, f"in {country}, as the server says too", ""
    remedy = "State its true region, or name a bucket elsewhere."
    return Verdict.WRONG, f"the server says {told}, not {wanted.region}", remedy


PROPERTIES: Final[Sequence[Property]] = (
    Property("bucket", _bucket_there, _create_bucket),
    Property("versions", _versions_kept, _keep_versions),
    Property("lock", _lock_set, _set_lock),
    Property("public access", _public_blocked, _block_public),
    Property("ACL", _acl_private),
    Property("policy", _policy_put, _put_policy),
    Property("lifecycle", _net_spread, _spread_net),
    Property("region", _region_told),
)
"In the order in which they are brought about; without the first there are no others."
