"""A daemon with two storages, an object store and a directory, one of them away."""

import asyncio
from collections import Counter
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from agent.cli.asking import ask_daemon
from agent.recording.spool import Spool
from agent.service.commands import StatusRequest
from agent.service.host_status import StorageStatus
from agent.upload.target_line import CONCURRENCY
from tests.lab.ceph import Ceph
from tests.lab.daemon import Daemon
from tests.lab.s3 import s3_client
from tests.soak.backlog import FILES, enter, fill
from tests.soak.storage import until

pytestmark = pytest.mark.integration

RECORDINGS = 25


def told(daemon: Daemon) -> tuple[StorageStatus, ...]:
    host = ask_daemon(daemon.config, StatusRequest()).host
    assert host is not None
    return host.storages


async def test_the_one_that_is_there_gets_all_and_the_other_when_it_is_back(
    ceph: Ceph, tmp_path: Path
) -> None:
    s3 = s3_client(ceph.endpoint, ceph.user("two-storages"))
    for bucket in ("two-locked", "two-state"):
        s3.create_bucket(Bucket=bucket)
    daemon = Daemon(tmp_path / "agent", notice=bytes(160))
    try:
        await of(daemon, ceph, s3)
    finally:
        daemon.kill()


async def of(daemon: Daemon, ceph: Ceph, s3: Any) -> None:
    ceph.user("two-storages").write(daemon.root / "s3.keys")
    daemon.amend(
        "[[storage]]\n",
        f"""[[storage]]
name = "ceph"
locked_url = "s3://two-locked"
url = "s3://two-state/host"
endpoint = "{ceph.tls_endpoint}"
region = "FI"
ca = "{ceph.ca}"
credentials = "s3.keys"
[[storage]]
name = "disk"
""",
    )
    spool = Spool(daemon.spool)
    spool.prepare()
    wanted = fill(spool, RECORDINGS)
    await enter(spool)
    spool.close()
    kept = daemon.root / "storage"
    await asyncio.to_thread(ceph.rgw.kill)
    try:
        await asyncio.to_thread(daemon.start)
        await until("the disk", lambda: len([*kept.rglob("*.age")]) == len(wanted))
        await until("the alarm", lambda: told(daemon)[0].away)
        await until("the status", lambda: not told(daemon)[1].to_store)
        store, disk = told(daemon)
        assert (store.name, store.to_store, store.away) == ("ceph", RECORDINGS, True)
        assert (disk.name, disk.to_store, disk.away) == ("disk", 0, False)
        assert len(spool.list_sealed()) == RECORDINGS
        assert daemon.log("stored") == []
    finally:
        await asyncio.to_thread(ceph.rgw.start)
    await until("its return", lambda: daemon.log("storage_back") != [])
    [back] = daemon.log("storage_back")
    assert back["storage"] == "ceph"
    # In the midst of it the daemon is killed: the next one asks who has what.
    daemon.kill()
    await asyncio.to_thread(daemon.start)
    await until("the rest", lambda: not any(spool.sealed_directory.iterdir()))
    daemon.stop()
    stored = Counter(entry["recording_id"] for entry in daemon.log("stored"))
    assert len(stored) == RECORDINGS
    # Only who was told of, and not yet purged, when it was killed is told of again.
    assert stored.total() - RECORDINGS <= CONCURRENCY
    objects = [
        one["Key"].rpartition("/")[2]
        for bucket in ("two-locked", "two-state")
        for one in s3.list_objects_v2(Bucket=bucket)["Contents"]
    ]
    # Beside the recordings is the notice, which is kept as evidence.
    assert len(objects) == RECORDINGS * len(FILES) + 1
    assert set(wanted) <= set(objects)
    for bucket in ("two-locked", "two-state"):
        for one in s3.list_objects_v2(Bucket=bucket)["Contents"]:
            data = s3.get_object(Bucket=bucket, Key=one["Key"])["Body"].read()
            name = one["Key"].rpartition("/")[2]
            assert sha256(data).hexdigest() in {
                wanted.get(name),
                name.partition(".")[0],
            }
