"""Each role does its work on Ceph with its own policy and no more than that."""

from hashlib import sha256

import pytest

from agent.common.outgoing import Outgoing
from agent.common.regions import RegionConfig
from agent.signalling.secrets import Secrets
from agent.upload.backend import (
    ObjectExistsError,
    ObjectLockedError,
    StorageDeniedError,
    read_object,
)
from agent.upload.bucket_properties import Verdict, Wanted
from agent.upload.buckets import init_bucket
from agent.upload.config import StorageConfig
from agent.upload.policies import Dialect, Kind, Place, Role, Users, bucket_policy
from agent.upload.targets import Target, open_target
from tests.lab.ceph import Ceph
from tests.lab.s3 import owner_client

pytestmark = [pytest.mark.integration, pytest.mark.beside]

ID = "3f0c8f3e-6f4e-4b52-9a56-0d6f3f1c2a77"
AUDIO = f"audio/2026/11/29/{ID}.wav.age"
ENVELOPE = f"keys/2026/11/29/{ID}.key.age"
DATA = b"sealed"
DIGEST = sha256(DATA).hexdigest()

Opened = dict[Role, Target]


@pytest.fixture(scope="module")
def opened(ceph: Ceph, tmp_path_factory: pytest.TempPathFactory) -> Opened:
    """The storage as each role sees it, in buckets as `storage init` makes them."""
    folder = tmp_path_factory.mktemp("roles")
    admin = owner_client(ceph.endpoint, ceph.user("roles-owner"))
    keys = {role: ceph.user(f"roles-{role}") for role in Role}
    users = Users(
        hosts={"host-1": keys[Role.HOST].arn},
        gate=[keys[Role.GATE].arn],
        readers=[keys[Role.READER].arn],
    )
    places: tuple[tuple[Kind, Place], ...] = (
        ("locked", Place("roles-locked", "site/")),
        ("state", Place("roles-state")),
    )
    for kind, place in places:
        policy = bucket_policy(kind, place, users, dialect=Dialect.CEPH)
        wanted = Wanted(kind, place, lock="governance", lock_days=351, policy=policy)
        found = list(init_bucket(admin, wanted))
        assert [one for one in found if one.verdict is not Verdict.RIGHT] == []

    def open_as(role: Role) -> Target:
        keys[role].write(folder / f"{role}.keys")
        config = StorageConfig(
            locked_url="s3://roles-locked/site",
            url="s3://roles-state",
            endpoint=ceph.tls_endpoint,
            ca=str(ceph.ca),
            region="FI",
            credentials=f"{role}.keys",
            lock="governance",
        )
        secrets = Secrets(folder, None)
        return open_target(config, folder, secrets, Outgoing(RegionConfig()))

    return {role: open_as(role) for role in Role}


async def test_a_host_stores_proves_and_reads_back_and_no_more(opened: Opened) -> None:
    host = opened[Role.HOST]
    for backend, key in ((host.locked, AUDIO), (host.state, ENVELOPE)):
        await backend.put(key, DATA, sha256=DIGEST)
        assert await backend.holds(key, sha256=DIGEST, size=len(DATA))
        with pytest.raises(ObjectExistsError):
            await backend.put(key, b"other", sha256=sha256(b"other").hexdigest())
        with pytest.raises(StorageDeniedError):
            await backend.delete(key)
        with pytest.raises(StorageDeniedError):
            _ = [one async for one in backend.list("")]
    with pytest.raises(StorageDeniedError):
        await host.state.put(f"state/{ID}/000001.json", DATA)
    row = "2026/11/29/000000000001.json"
    await host.locked.put(f"audit/host-1.0a1b2c3d/{row}", DATA, sha256=DIGEST)
    for other in ("gate", "host-2.0a1b2c3d"):
        with pytest.raises(StorageDeniedError):
            await host.locked.put(f"audit/{other}/{row}", DATA)


async def test_the_gate_finds_replaces_keeps_and_erases(opened: Opened) -> None:
    host, gate = opened[Role.HOST], opened[Role.GATE]
    one, other = (ENVELOPE.replace("3f0c", start) for start in ("7f0c", "8f0c"))
    for key in (one, other):
        await host.state.put(key, DATA, sha256=DIGEST)
    listed = [found.key async for found in gate.state.list("keys")]
    assert listed[-2:] == [one, other]
    await gate.state.replace(other, b"for another key")
    assert await read_object(gate.state, other, 100) == b"for another key"
    await gate.state.keep(other)
    await gate.state.delete(other)
    assert other not in [found.key async for found in gate.state.list("keys")]

    await gate.locked.put("audit/gate/2026/11/29/000000000001.json", DATA)
    with pytest.raises(StorageDeniedError):
        await gate.locked.put("audit/host-1.0a1b2c3d/2026/11/29/x", DATA)
    for backend, key in (
        (gate.state, f"tombstones/2026/11/29/{ID}.json"),
        (gate.state, f"state/{ID}/000001.json"),
    ):
        await backend.put(key, DATA)
        assert await read_object(backend, key, 100) == DATA
    for backend, key in (
        (gate.state, f"tombstones/2026/11/29/{ID}.json"),
        (gate.locked, "audit/gate/2026/11/29/000000000001.json"),
    ):
        # What is locked as well is refused as that.
        with pytest.raises((StorageDeniedError, ObjectLockedError)):
            await backend.delete(key)


async def test_a_reader_hears_recordings_and_gets_envelopes_from_the_gate(
    opened: Opened,
) -> None:
    host, reader = opened[Role.HOST], opened[Role.READER]
    key = AUDIO.replace("3f0c", "5f0c")
    await host.locked.put(key, DATA, sha256=DIGEST)
    assert await read_object(reader.locked, key, 100) == DATA
    assert key in [one.key async for one in reader.locked.list("audio")]
    with pytest.raises(StorageDeniedError):
        await read_object(reader.state, ENVELOPE, 100)
    with pytest.raises(StorageDeniedError):
        await reader.locked.put(key.replace("5f0c", "6f0c"), DATA)
