"""The net below the sweep, seen to close: storage's own lifecycle, its days cut short.

What is tagged goes when nobody has swept it; what is on hold has lost its tag and
stays; what is locked stays for as long as its lock. Of the rules that `storage init`
makes only the numbers of days are others here.
"""

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest

from agent.common.clock import utc_now
from agent.common.outgoing import Destination, Outgoing, StorageKeys
from agent.common.regions import RegionConfig
from agent.upload.backends.s3 import S3Backend
from agent.upload.backends.s3_client import S3Client
from agent.upload.bucket_properties import Verdict, Wanted
from agent.upload.buckets import init_bucket
from agent.upload.policies import Kind, Place
from tests.lab.ceph import DAY, Ceph
from tests.lab.s3 import owner_client

pytestmark = [pytest.mark.integration, pytest.mark.beside]

NET_DAYS = 1
"Instead of 400, and of those that old versions are kept."
PATIENCE = 60.0
"Seconds, on a machine with much else to do; twenty and some are needed."
FORGOTTEN, HELD, ROW = "forgotten", "held", "audit/gate/row"


def make_bucket(s3: Any, kind: Kind) -> str:
    """A bucket as `storage init` makes it, but that its net closes soon."""
    wanted = Wanted(kind, Place(f"net-{kind}"), lock="governance", lock_days=1)
    found = list(init_bucket(s3, wanted))
    assert {one.verdict for one in found} == {Verdict.RIGHT}, found
    bucket = wanted.place.bucket
    rules = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    cut = 0
    for rule in rules:
        for name, days in (
            ("Expiration", "Days"),
            ("NoncurrentVersionExpiration", "NoncurrentDays"),
        ):
            if name in rule:
                rule[name][days] = NET_DAYS
                cut += 1
    assert cut == 2
    s3.put_bucket_lifecycle_configuration(
        Bucket=bucket, LifecycleConfiguration={"Rules": rules}
    )
    return bucket


async def test_what_nobody_swept_goes_unless_it_is_held_or_locked(ceph: Ceph) -> None:
    keys = ceph.user("net")
    s3 = owner_client(ceph.endpoint, keys)
    client = S3Client(
        Outgoing(RegionConfig()),
        Destination("storage[0]", ceph.endpoint, "FI"),
        lambda: StorageKeys(keys.access, keys.secret),
    )
    locked, state = make_bucket(s3, "locked"), make_bucket(s3, "state")
    begun = time.monotonic()
    folders = {
        "audio": S3Backend(client, locked, lock="governance"),
        "keys": S3Backend(client, state),
    }
    for folder, backend in folders.items():
        for name in (FORGOTTEN, HELD):
            await backend.put(f"{folder}/{name}", b"x", sha256=sha256(b"x").hexdigest())
        await backend.keep(f"{folder}/{HELD}")
    await folders["audio"].put(ROW, b"x")  # never tagged

    def closed() -> bool:
        """Whether the unlocked one is gone, and the locked one is nobody's to see."""
        newest = {name for name, latest in versions(s3, locked) if latest}
        return (
            versions(s3, state) == [(f"keys/{HELD}", True)]
            and f"audio/{FORGOTTEN}" not in newest
        )

    await asyncio.sleep(NET_DAYS * DAY)
    let_go(ceph, closed, locked, state)
    assert time.monotonic() - begun > 2 * NET_DAYS * DAY
    kept = [(f"audio/{HELD}", True), (ROW, True)]
    assert versions(s3, locked) == [(f"audio/{FORGOTTEN}", False), *kept]

    unlock(s3, locked, f"audio/{FORGOTTEN}")
    let_go(ceph, lambda: versions(s3, locked) == kept, locked)
    assert versions(s3, state) == [(f"keys/{HELD}", True)]


def versions(s3: Any, bucket: str) -> list[tuple[str, bool]]:
    """Name of each version, and whether it is what the name stands for."""
    told = s3.list_object_versions(Bucket=bucket)
    return [(one["Key"], one["IsLatest"]) for one in told.get("Versions", ())]


def let_go(ceph: Ceph, done: Callable[[], bool], *buckets: str) -> None:
    """Have lifecycle look at buckets, again and again, until it has done something."""
    deadline = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < deadline, "the net does not close"
        for bucket in buckets:
            ceph.admin("lc", "process", f"--bucket={bucket}")
        time.sleep(1)


def unlock(s3: Any, bucket: str, key: str) -> None:
    """Have a lock run out at once, as nobody but an administrator can."""
    [one] = s3.list_object_versions(Bucket=bucket, Prefix=key)["Versions"]
    until = utc_now() + timedelta(seconds=1)
    s3.put_object_retention(
        Bucket=bucket,
        Key=key,
        VersionId=one["VersionId"],
        Retention={"Mode": "GOVERNANCE", "RetainUntilDate": until},
        BypassGovernanceRetention=True,
    )
