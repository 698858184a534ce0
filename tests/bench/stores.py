"""Object stores for measurements: the lab's Ceph, for as long as one run takes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from agent.common.outgoing import Destination, Outgoing, StorageKeys
from agent.common.regions import RegionConfig
from agent.upload.backend import StorageBackend
from agent.upload.backends.s3 import S3Backend
from agent.upload.backends.s3_client import S3Client
from tests.lab.ceph import Ceph
from tests.lab.s3 import s3_client


@asynccontextmanager
async def gateway(
    scratch: Path,
) -> AsyncIterator[tuple[StorageBackend, StorageBackend]]:
    """Two buckets, `locked` and `state`, behind a gateway of their own."""
    folder = scratch / "ceph"
    folder.mkdir()
    cluster = Ceph(folder)
    try:
        yield s3_places(cluster, "bench")
    finally:
        cluster.stop()


def s3_places(ceph: Ceph, user: str) -> tuple[S3Backend, S3Backend]:
    """Two new buckets, named for the user who has them: `locked` and `state`."""
    keys = ceph.user(user)
    client = s3_client(ceph.endpoint, keys)
    connection = S3Client(
        Outgoing(RegionConfig()),
        Destination("storage[0]", ceph.endpoint, "FI"),
        lambda: StorageKeys(keys.access, keys.secret),
    )
    places = []
    for place in ("locked", "state"):
        client.create_bucket(Bucket=f"{user}-{place}")
        places.append(S3Backend(connection, f"{user}-{place}"))
    return places[0], places[1]
