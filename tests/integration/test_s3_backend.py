"""The storage contract on a real object store, with and without versions."""

import itertools
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import pytest

from agent.common.outgoing import Destination, Outgoing, StorageKeys
from agent.common.regions import RegionConfig
from agent.upload.backend import (
    ObjectExistsError,
    ObjectLockedError,
    ObjectMissingError,
    ObjectUnlockedError,
    StorageDeniedError,
    StorageError,
)
from agent.upload.backends.s3 import S3Backend
from agent.upload.backends.s3_client import S3Client
from agent.upload.backends.s3_errors import BucketMissingError, CredentialsRefusedError
from tests.conformance.backend_suite import KEY, BackendSuite, contents, keys
from tests.lab.ceph import Ceph
from tests.lab.s3 import s3_client

pytestmark = [pytest.mark.integration, pytest.mark.beside]

DIGEST: Final = sha256(b"data").hexdigest()
_numbers = itertools.count()


@pytest.fixture(scope="module")
def s3(ceph: Ceph) -> Any:
    """A client beside the one that is tested; its buckets are there."""
    client = s3_client(ceph.endpoint, ceph.user("backend"))
    client.create_bucket(Bucket="backend-plain")
    client.create_bucket(Bucket="backend-versions")
    client.put_bucket_versioning(
        Bucket="backend-versions", VersioningConfiguration={"Status": "Enabled"}
    )
    client.create_bucket(Bucket="backend-locked", ObjectLockEnabledForBucket=True)
    lock(client, "GOVERNANCE", 2)
    return client


def lock(s3: Any, mode: str, days: int) -> None:
    retention = {"Mode": mode, "Days": days}
    s3.put_object_lock_configuration(
        Bucket="backend-locked",
        ObjectLockConfiguration={
            "ObjectLockEnabled": "Enabled",
            "Rule": {"DefaultRetention": retention},
        },
    )


def connect(endpoint: str, keys: Callable[[], StorageKeys], ca: str = "") -> S3Client:
    destination = Destination("storage[0]", endpoint, "FI")
    return S3Client(Outgoing(RegionConfig()), destination, keys, ca=ca)


@pytest.fixture(scope="module")
def client(ceph: Ceph, s3: Any) -> S3Client:
    user = ceph.user("backend")
    keys = StorageKeys(user.access, user.secret)
    return connect(ceph.tls_endpoint, lambda: keys, str(ceph.ca))


@pytest.fixture
def prefix() -> str:
    return f"tests/{next(_numbers)}"


class TestPlainBucket(BackendSuite):
    @pytest.fixture
    def backend(self, client: S3Client, prefix: str) -> S3Backend:
        return S3Backend(client, "backend-plain", prefix)


class TestBucketWithVersions(BackendSuite):
    @pytest.fixture
    def backend(self, client: S3Client, prefix: str) -> S3Backend:
        return S3Backend(client, "backend-versions", prefix)


async def test_one_conditional_put_makes_one_tagged_version(
    client: S3Client, s3: Any, prefix: str
) -> None:
    backend = S3Backend(client, "backend-versions", prefix)
    for key in (KEY, "notices/a.wav"):
        await backend.put(key, b"data", sha256=DIGEST)
        with pytest.raises(ObjectExistsError):
            await backend.put(key, b"data", sha256=DIGEST)
    told = s3.list_object_versions(Bucket="backend-versions", Prefix=prefix)
    assert len(told["Versions"]) == 2
    tags = {
        key: s3.get_object_tagging(Bucket="backend-versions", Key=f"{prefix}/{key}")[
            "TagSet"
        ]
        for key in (KEY, "notices/a.wav")
    }
    normal = [{"Key": "expiry", "Value": "normal"}]
    assert tags == {KEY: normal, "notices/a.wav": []}
    await backend.keep(KEY)
    kept = s3.get_object_tagging(Bucket="backend-versions", Key=f"{prefix}/{KEY}")
    assert kept["TagSet"] == []


async def test_the_oldest_version_is_the_object(
    client: S3Client, s3: Any, prefix: str
) -> None:
    backend = S3Backend(client, "backend-versions", prefix)
    await backend.put(KEY, b"first")
    where = {"Bucket": "backend-versions", "Key": f"{prefix}/{KEY}"}
    s3.put_object(**where, Body=b"overwritten")
    s3.delete_object(**where)
    assert await contents(backend, KEY) == b"first"
    assert (await backend.head(KEY)).size == 5
    # What is deleted or replaced leaves nothing behind.
    await backend.replace(KEY, b"replaced")
    versions = {"Bucket": "backend-versions", "Prefix": prefix}
    told = s3.list_object_versions(**versions)
    assert len(told["Versions"]) == 1
    assert "DeleteMarkers" not in told
    s3.delete_object(**where)
    await backend.delete(KEY)
    told = s3.list_object_versions(**versions)
    assert "Versions" not in told
    assert "DeleteMarkers" not in told


async def test_a_lock_is_verified(client: S3Client, s3: Any, prefix: str) -> None:
    lock(s3, "GOVERNANCE", 2)
    backend = S3Backend(client, "backend-locked", prefix, lock="governance")
    await backend.put(KEY, b"data", sha256=DIGEST)
    assert await backend.holds(KEY, sha256=DIGEST, size=4)
    for act in (backend.delete(KEY), backend.replace(KEY, b"other")):
        with pytest.raises(ObjectLockedError):
            await act
    assert await contents(backend, KEY) == b"data"
    # A mode that an administrator can lift is not the one that was asked for.
    strict = S3Backend(client, "backend-locked", prefix, lock="compliance")
    with pytest.raises(ObjectUnlockedError, match="no lock of the kind compliance"):
        await strict.put("audio/b", b"data", sha256=DIGEST)
    # A server that does not lock at all.
    plain = S3Backend(client, "backend-versions", prefix, lock="governance")
    with pytest.raises(ObjectUnlockedError, match="storage check"):
        await plain.put(KEY, b"data", sha256=DIGEST)


async def test_a_lock_that_is_too_short(client: S3Client, s3: Any, prefix: str) -> None:
    lock(s3, "GOVERNANCE", 1)
    early = S3Backend(client, "backend-locked", prefix, lock="governance")
    await early.put(KEY, b"data", sha256=DIGEST)
    lock(s3, "GOVERNANCE", 2)
    later = S3Backend(client, "backend-locked", prefix, lock="governance")
    with pytest.raises(ObjectUnlockedError, match="too short"):
        await later.holds(KEY, sha256=DIGEST, size=4)


async def test_a_large_file_streams(
    client: S3Client, prefix: str, tmp_path: Path
) -> None:
    backend = S3Backend(client, "backend-plain", prefix)
    source = tmp_path / "source"
    source.write_bytes(bytes(range(256)) * (60 << 12))
    digest = sha256(source.read_bytes()).hexdigest()
    await backend.put(KEY, source, sha256=digest)
    assert sha256(await contents(backend, KEY)).hexdigest() == digest


async def test_keys_that_are_changed_are_read_again(
    ceph: Ceph, s3: Any, prefix: str
) -> None:
    user = ceph.user("backend")
    keyring = [StorageKeys("expired", "expired")]
    client = connect(ceph.endpoint, lambda: keyring[0])
    backend = S3Backend(client, "backend-plain", prefix)
    with pytest.raises(CredentialsRefusedError):
        await backend.put(KEY, b"data")
    keyring[0] = StorageKeys(user.access, user.secret)
    await backend.put(KEY, b"data")


async def test_who_has_no_rights_is_told_so(ceph: Ceph, s3: Any, prefix: str) -> None:
    stranger = ceph.user("stranger")
    client = connect(
        ceph.endpoint, lambda: StorageKeys(stranger.access, stranger.secret)
    )
    backend = S3Backend(client, "backend-plain", prefix)
    for act in (
        lambda: backend.put(KEY, b"data"),
        lambda: contents(backend, KEY),
        lambda: keys(backend, ""),
    ):
        with pytest.raises(StorageDeniedError):
            await act()


async def test_a_bucket_that_nobody_made(client: S3Client) -> None:
    backend = S3Backend(client, "no-such-bucket")
    with pytest.raises(BucketMissingError, match="storage init"):
        await backend.put(KEY, b"data")
    with pytest.raises(StorageError):
        await contents(backend, KEY)


async def test_a_certificate_that_nobody_vouches_for(ceph: Ceph, s3: Any) -> None:
    user = ceph.user("backend")
    client = connect(ceph.tls_endpoint, lambda: StorageKeys(user.access, user.secret))
    with pytest.raises(StorageError, match="certificate"):
        await S3Backend(client, "backend-plain").put(KEY, b"data")


async def test_nobody_listens(prefix: str) -> None:
    client = connect("http://127.0.0.1:1", lambda: StorageKeys("a", "b"))
    with pytest.raises(StorageError, match="cannot be reached") as caught:
        await S3Backend(client, "bucket").put(KEY, b"data")
    assert not caught.value.permanent


async def test_a_missing_object_is_told_from_a_denied_one(
    client: S3Client, prefix: str
) -> None:
    for bucket in ("backend-plain", "backend-versions"):
        backend = S3Backend(client, bucket, prefix)
        with pytest.raises(ObjectMissingError):
            await backend.head(KEY)
        await backend.delete(KEY)
