"""A host's credentials against every operation of S3, on every folder of both buckets.

Only what its policy states succeeds; `--rights-table FILE` writes what became of each.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agent.upload.bucket_probes import probe_rights
from agent.upload.bucket_properties import Verdict, Wanted
from agent.upload.buckets import init_bucket
from agent.upload.policies import Dialect, Kind, Place, Users, bucket_policy
from tests.lab.ceph import Ceph
from tests.lab.s3 import owner_client, s3_client
from tests.lab.s3_operations import Object, Try, attempt, operations

pytestmark = [pytest.mark.integration, pytest.mark.beside]

FOLDERS: dict[Kind, tuple[str, ...]] = {
    "locked": (
        "audio", "manifest", "notices", "audit/host-1.0a1b2c3d",
        "audit/host-2.0a1b2c3d", "audit/gate", "other",
    ),
    "state": (
        "keys", "index", "state", "annotations", "tombstones", "gate", "erasures",
        "other",
    ),
}  # fmt: skip
WRITABLE = {"audio", "manifest", "notices", "audit/host-1.0a1b2c3d", "keys", "index"}

PUTS = {
    "PutObject",
    "PutObject with the tag",
    "CreateMultipartUpload",
    "UploadPart",
    # To Ceph, which knows nothing of them, they are puts: of one more version.
    "PutObject over a taken key",
    "PutObjectAnnotation",
    "RenameObject",
    "UpdateObjectEncryption",
    # Nor has it a condition on what a part is copied from: it must be readable.
    "UploadPartCopy",
}
LOCKS = {"PutObject with a lock of its own"}
"Refused only where there is no Object Lock: Ceph has no condition to deny it with."
GETS = {
    "GetObject",
    "GetObject of a version",
    "GetObjectAttributes",
    "HeadObject",
    # To Ceph it is a get.
    "GetObjectAnnotation",
    "SelectObjectContent",
}
OF_LOCK = {"GetObjectRetention"}
OF_NO_BUCKET = {"ListBuckets", "CreateBucket"}
"A user's own buckets, of which ours are none."


@dataclass
class Site:
    """Two buckets as `storage init` makes them, and an object in each folder."""

    host: Any
    admin: Any
    objects: list[Object]
    wanted: tuple[Wanted, Wanted]

    def snapshot(self) -> dict[str, Any]:
        """All that a host must leave as it was."""
        seen: dict[str, Any] = {}
        for wanted in self.wanted:
            bucket = {"Bucket": wanted.place.bucket}
            for name in ("policy", "acl", "versioning", "lifecycle_configuration"):
                told = getattr(self.admin, f"get_bucket_{name}")(**bucket)
                seen[f"{wanted.kind} {name}"] = _facts(told)
            told = self.admin.get_public_access_block(**bucket)
            seen[f"{wanted.kind} public"] = _facts(told)
        for one in self.objects:
            of = {"Bucket": one.bucket, "Key": one.key}
            version = of | {"VersionId": one.version}
            seen[f"{one.key} head"] = self.admin.head_object(**version)["ETag"]
            for name in ("tagging", "acl"):
                told = getattr(self.admin, f"get_object_{name}")(**version)
                seen[f"{one.key} {name}"] = _facts(told)
            versions = self.admin.list_object_versions(
                Bucket=one.bucket, Prefix=one.key
            )
            mine = [v for v in versions["Versions"] if v["Key"] == one.key]
            seen[f"{one.key} oldest"] = mine[-1]["VersionId"]
            seen[f"{one.key} markers"] = versions.get("DeleteMarkers", [])
        return seen


@pytest.fixture(scope="module")
def site(ceph: Ceph) -> Site:
    owner, user = ceph.user("rights-owner"), ceph.user("rights-host")
    # Ceph's buckets' owners may not look at what others have put there.
    ceph.admin("user", "modify", f"--uid={owner.user}", "--admin")
    return make_site(ceph, "rights", owner, user)


def make_site(
    ceph: Ceph,
    name: str,
    owner: Any,
    user: Any,
    of_kind: Mapping[Kind, tuple[str, ...]] = FOLDERS,
) -> Site:
    admin, host = owner_client(ceph.endpoint, owner), s3_client(ceph.endpoint, user)
    objects: list[Object] = []
    wanted: list[Wanted] = []
    users = Users(hosts={"host-1": user.arn} if owner != user else {})
    for kind, folders in of_kind.items():
        place = Place(f"{name}-{kind}")
        policy = bucket_policy(kind, place, users, dialect=Dialect.CEPH)
        wanted.append(
            Wanted(
                kind,
                place,
                lock="governance",
                lock_days=351,
                region="FI",
                policy=policy if users else None,
            )
        )
        found = list(init_bucket(admin, wanted[-1]))
        assert {one.verdict for one in found} == {Verdict.RIGHT}, found
        for folder in folders:
            # Its own where it may: who wrote an object owns it.
            putter = host if folder in WRITABLE else admin
            of = {"Bucket": place.bucket, "Key": f"{folder}/2026/11/29/object"}
            made = putter.put_object(**of, Body=b"first", ChecksumAlgorithm="SHA256")
            parts = of | {"Key": f"{of['Key']}.parts"}
            upload = putter.create_multipart_upload(**parts)["UploadId"]
            objects.append(
                Object(**_names(of), version=made["VersionId"], upload=upload)
            )
    return Site(host, admin, objects, (wanted[0], wanted[1]))


def _names(of: dict[str, str]) -> dict[str, str]:
    return {"bucket": of["Bucket"], "key": of["Key"]}


def _facts(told: dict[str, Any]) -> dict[str, Any]:
    return {name: one for name, one in told.items() if name != "ResponseMetadata"}


def allowed_on(one: Object) -> set[str]:
    """What the policy states of an object's folder."""
    folder = one.key.partition("/2026")[0]
    if folder not in WRITABLE:
        return set()
    if one.bucket.endswith("state"):
        return PUTS | GETS
    return PUTS | LOCKS | GETS | OF_LOCK


def try_all(
    s3: Any, objects: list[Object], *, of_objects: bool
) -> dict[Object, list[Try]]:
    return {
        one: [
            attempt(s3, *operation, one)
            for operation in operations(s3, of_objects=of_objects)
        ]
        for one in objects
    }


def test_only_what_the_policy_states_succeeds(
    site: Site, request: pytest.FixtureRequest
) -> None:
    before = site.snapshot()
    table = try_all(site.host, site.objects, of_objects=True)
    buckets = [site.objects[0], site.objects[-1]]
    of_buckets = try_all(site.host, buckets, of_objects=False)
    wrong = {
        f"{one.bucket}/{one.key}": sorted(succeeded ^ allowed_on(one))
        for one, tries in table.items()
        if (succeeded := {t.name for t in tries if t.succeeded}) != allowed_on(one)
    }
    assert wrong == {}
    for one, tries in of_buckets.items():
        lock = (
            {"GetObjectLockConfiguration"} if one.bucket.endswith("locked") else set()
        )
        assert {t.name for t in tries if t.succeeded} == lock | OF_NO_BUCKET
    # Nor did what was answered otherwise than by a refusal do anything.
    assert site.snapshot() == before
    _report(request.config.getoption("--rights-table"), table, of_buckets)


def test_a_host_that_looks_for_its_rights_finds_them_right(site: Site) -> None:
    for wanted, one in zip(
        site.wanted, (site.objects[0], site.objects[7]), strict=True
    ):
        found = list(probe_rights(site.host, wanted, existing=one.key))
        assert [finding.verdict for finding in found] == [Verdict.RIGHT], found
        found = list(probe_rights(site.admin, wanted, existing=one.key))
        assert [finding.verdict for finding in found] == [Verdict.WRONG]
        assert "list, list versions, delete" in found[0].text


def test_what_a_host_is_refused_would_else_be_done(ceph: Ceph) -> None:
    """The tries above are real ones: a bucket's owner succeeds with most of them."""
    owner = ceph.user("rights-owner")
    two: dict[Kind, tuple[str, ...]] = {"locked": ("audio",), "state": ("keys",)}
    own = make_site(ceph, "rights-own", owner, owner, two)
    tries = try_all(own.admin, own.objects, of_objects=True)
    done = {t.name for of_one in tries.values() for t in of_one if t.succeeded}
    assert done >= {
        "CopyObject", "DeleteObject", "DeleteObject of a version", "DeleteObjects",
        "DeleteObjectTagging", "GetObjectAcl", "ListParts", "PutObjectAcl",
        "PutObjectLegalHold", "PutObjectRetention", "PutObjectTagging",
        "PutObject with an ACL", "PutObject with a grant", "AbortMultipartUpload",
    }  # fmt: skip


def _report(path: Path | None, *tables: dict[Object, list[Try]]) -> None:
    """Print a summary, and write the whole table where it is asked for."""
    tries = [(one, t) for table in tables for one, of in table.items() for t in of]
    count = Counter(
        "allowed" if t.succeeded else "denied" if t.denied else "refused otherwise"
        for _, t in tries
    )
    print(f"{len(tries)} tries with a host's credentials: {dict(count)}")  # noqa: T201
    if path is not None:
        lines = ["| bucket | object | operation | outcome |", "|---|---|---|---|"]
        lines += [f"| {one.bucket} | {one.key} | {t.name} | {t} |" for one, t in tries]
        path.write_text("\n".join(lines) + "\n")
