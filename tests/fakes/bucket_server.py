"""An S3 server's buckets and objects in memory, for whoever judges them.

Its methods are those of a botocore client that belongs to an administrator. `lies` are
names of what it does not do although it says so.
"""

import itertools
from collections.abc import Callable, Iterable
from typing import Any

from botocore.exceptions import ClientError

_ABSENT = {
    "object_lock_configuration": "ObjectLockConfigurationNotFoundError",
    "public_access_block": "NoSuchPublicAccessBlockConfiguration",
    "bucket_policy": "NoSuchBucketPolicy",
    "bucket_lifecycle_configuration": "NoSuchLifecycleConfiguration",
}
_GIVEN_AS = {
    "object_lock_configuration": "ObjectLockConfiguration",
    "public_access_block": "PublicAccessBlockConfiguration",
    "bucket_policy": "Policy",
    "bucket_lifecycle_configuration": "LifecycleConfiguration",
}


def refused(code: str) -> ClientError:
    """What botocore raises of an answer with this code."""
    return ClientError({"Error": {"Code": code}}, "Operation")


class BucketServer:
    """One server; `fails` maps a method's name to the code it answers with."""

    def __init__(self, *, lies: Iterable[str] = ()) -> None:
        self.lies = set(lies)
        self.fails: dict[str, str] = {}
        self.settings: dict[str, dict[str, Any]] = {}
        "By bucket: what was set, by the second half of the method's name."
        self.acl: dict[str, Any] = {"Owner": {"ID": "me"}, "Grants": []}
        self.location: str | None = None
        self.objects: dict[tuple[str, str], list[dict[str, Any]]] = {}
        self.put: list[str] = []
        "Every setting that was made, in order."
        self._versions = itertools.count(1)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        verb, _, what = name.partition("_")
        if verb not in {"get", "put"} or what not in _ABSENT:
            raise AttributeError(name)
        return getattr(self, f"_{verb}")(what)

    def head_bucket(self, Bucket: str) -> None:  # noqa: N803 - as S3 says it
        self._fail("head_bucket")
        if Bucket not in self.settings:
            raise refused("404")

    def create_bucket(self, Bucket: str, **more: Any) -> None:  # noqa: N803
        self._fail("create_bucket")
        self.put.append("create_bucket")
        self.settings[Bucket] = {"created": more}
        if more.get("ObjectLockEnabledForBucket"):
            self.settings[Bucket]["versioning"] = "Enabled"

    def get_bucket_versioning(self, Bucket: str) -> Any:  # noqa: N803
        self._fail("get_bucket_versioning")
        status = self.settings[Bucket].get("versioning")
        return {"Status": status} if status else {}

    def put_bucket_versioning(
        self,
        Bucket: str,  # noqa: N803
        VersioningConfiguration: dict[str, str],  # noqa: N803
    ) -> None:
        self.put.append("bucket_versioning")
        self.settings[Bucket]["versioning"] = VersioningConfiguration["Status"]

    def get_bucket_acl(self, Bucket: str) -> Any:  # noqa: N803
        self._fail("get_bucket_acl")
        assert Bucket in self.settings
        return self.acl

    def get_bucket_location(self, Bucket: str) -> Any:  # noqa: N803
        assert Bucket in self.settings
        return {"LocationConstraint": self.location}

    def put_object(self, Bucket: str, Key: str, **more: Any) -> Any:  # noqa: N803
        self._fail("put_object")
        versions = self.objects.setdefault((Bucket, Key), [])
        if versions and more.get("IfNoneMatch") == "*" and "once" not in self.lies:
            raise refused("PreconditionFailed")
        version = str(next(self._versions))
        lock = {} if "lock" in self.lies else more
        mode = lock.get("ObjectLockMode")
        versions.append({"VersionId": version, "ObjectLockMode": mode})
        return {"VersionId": version}

    def head_object(self, Bucket: str, Key: str) -> Any:  # noqa: N803
        return self.objects[Bucket, Key][-1]

    def list_object_versions(self, Bucket: str, Prefix: str) -> Any:  # noqa: N803
        return {"Versions": list(self.objects.get((Bucket, Prefix), ()))}

    def delete_object(
        self,
        Bucket: str,  # noqa: N803
        Key: str,  # noqa: N803
        VersionId: str,  # noqa: N803
        BypassGovernanceRetention: bool = False,  # noqa: N803
    ) -> None:
        versions = self.objects[Bucket, Key]
        (found,) = (one for one in versions if one["VersionId"] == VersionId)
        holds = "keep" not in self.lies and not BypassGovernanceRetention
        if found["ObjectLockMode"] and holds:
            raise refused("AccessDenied")
        versions.remove(found)

    def _get(self, what: str) -> Callable[..., Any]:
        def get(Bucket: str) -> Any:  # noqa: N803
            self._fail(f"get_{what}")
            if what not in self.settings[Bucket]:
                raise refused(_ABSENT[what])
            found = self.settings[Bucket][what]
            # Of this alone the answer is what was put, with nothing around it.
            spread = what == "bucket_lifecycle_configuration"
            return found if spread else {_GIVEN_AS[what]: found}

        return get

    def _put(self, what: str) -> Callable[..., Any]:
        def put(Bucket: str, **given: Any) -> None:  # noqa: N803
            self._fail(f"put_{what}")
            self.put.append(what)
            self.settings[Bucket][what] = given[_GIVEN_AS[what]]

        return put

    def _fail(self, method: str) -> None:
        if method in self.fails:
            raise refused(self.fails[method])
