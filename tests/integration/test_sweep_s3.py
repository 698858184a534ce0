"""The sweep on a real object store: versions, Object Lock, and nothing that opens."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from agent.archive.record_state import hold
from agent.common.clock import utc_now
from agent.common.outgoing import Destination, Outgoing, StorageKeys
from agent.common.regions import RegionConfig
from agent.formats.layout import envelope_key
from agent.upload.backend import read_object
from agent.upload.backends.s3 import S3Backend
from agent.upload.backends.s3_client import S3Client
from tests.lab.ceph import Ceph
from tests.lab.s3 import s3_client
from tests.retention.sites import DAY, HELD, HOUR_NS, built

pytestmark = [pytest.mark.integration, pytest.mark.beside]
LOCKED, STATE = "sweep-locked", "sweep-state"
MAX = 1 << 20


@pytest.fixture
def s3(ceph: Ceph) -> Any:
    """A client beside the tested one, whose buckets keep versions; one locks."""
    client = s3_client(ceph.endpoint, ceph.user("sweep"))
    client.create_bucket(Bucket=LOCKED, ObjectLockEnabledForBucket=True)
    client.put_object_lock_configuration(
        Bucket=LOCKED,
        ObjectLockConfiguration={
            "ObjectLockEnabled": "Enabled",
            "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 2}},
        },
    )
    client.create_bucket(Bucket=STATE)
    client.put_bucket_versioning(
        Bucket=STATE, VersioningConfiguration={"Status": "Enabled"}
    )
    return client


def versions(s3: Any, bucket: str, recording_id: str) -> list[tuple[str, str]]:
    """Every version of a recording's objects, and every delete marker."""
    told = s3.list_object_versions(Bucket=bucket)
    return [
        (one["Key"], one["VersionId"])
        for one in [*told.get("Versions", ()), *told.get("DeleteMarkers", ())]
        if recording_id in one["Key"]
    ]


async def test_a_day_is_erased_in_every_version(
    ceph: Ceph, s3: Any, tmp_path: Path
) -> None:
    user = ceph.user("sweep")
    client = S3Client(
        Outgoing(RegionConfig()), Destination("storage[0]", ceph.endpoint, "FI"),
        lambda: StorageKeys(user.access, user.secret),
    )  # fmt: skip
    stores = [(S3Backend(client, LOCKED, lock="governance"), S3Backend(client, STATE))]
    # Storage says what time it really is.
    async with built(tmp_path, stores=stores, skew=float("inf")) as site:
        goes, kept = await site.record(), await site.record()
        await site.site.states.change(kept, lambda state: hold(state, "h", HELD))
        key = envelope_key(DAY, goes)
        before = await read_object(stores[0][1], key, MAX)
        # Somebody's overwriting and deleting have left versions and a marker.
        s3.put_object(Bucket=STATE, Key=key, Body=before)
        s3.delete_object(Bucket=STATE, Key=key)
        s3.put_object(Bucket=STATE, Key=key, Body=before)
        assert site.opens_envelope(before, goes)

        report = await site.sweep(wait=0).run(site.clock())
        assert [left.reason for left in report.left] == [
            "the lock of 3 objects has not run out"
        ]
        assert report.erased == 1
        assert not site.opens_envelope(before, goes)
        names = {name.partition("/")[0] for name, _ in versions(s3, STATE, goes)}
        assert names == {"state", "tombstones"}
        held = await read_object(stores[0][1], envelope_key(DAY, kept), MAX)
        assert site.opens_envelope(held, kept)
        assert len(versions(s3, STATE, f"{kept}.key.age")) == 1

        for name, version in versions(s3, LOCKED, goes):
            s3.put_object_retention(
                Bucket=LOCKED, Key=name, VersionId=version,
                Retention={
                    "Mode": "GOVERNANCE",
                    "RetainUntilDate": utc_now() + timedelta(seconds=2),
                },
                BypassGovernanceRetention=True,
            )  # fmt: skip
        await asyncio.sleep(2.5)
        report = await site.sweep(wait=0).run(site.clock())
        assert (report.left, report.complete) == ([], [DAY])
        assert versions(s3, LOCKED, goes) == []
        assert len(versions(s3, LOCKED, kept)) == 3
        site.clock.now_ns += 25 * HOUR_NS
        await site.sweep(wait=0).run(site.clock())
        names = {name.partition("/")[0] for name, _ in versions(s3, STATE, goes)}
        assert names == {"tombstones"}
