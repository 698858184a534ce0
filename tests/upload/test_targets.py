import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from agent.common.outgoing import Outgoing, OutsideRegionError
from agent.common.regions import RegionConfig
from agent.signalling.secrets import Secrets
from agent.upload.backend import StorageError
from agent.upload.config import StorageConfig
from agent.upload.targets import Target, open_store, open_target
from tests.conformance.backend_suite import KEY, contents
from tests.fakes.s3 import fake_s3


def opened(base: Path, **settings: str) -> Target:
    config = msgspec.convert(settings, StorageConfig)
    outgoing = Outgoing(RegionConfig())
    return open_target(config, base, Secrets(base, None), outgoing, index=1)


async def test_opens_file_urls(tmp_path: Path) -> None:
    spaced = tmp_path / "a b"
    spaced.mkdir()
    backend = open_store(f"file://{tmp_path}/a%20b", Path("/nowhere"))
    await backend.put(KEY, b"data")
    assert (spaced / KEY).read_bytes() == b"data"


def test_refuses_other_urls() -> None:
    with pytest.raises(StorageError, match="s3: is not supported"):
        open_store("s3://bucket/prefix", Path("/nowhere"))


async def test_opens_two_directories(tmp_path: Path) -> None:
    target = opened(
        tmp_path, locked_url=f"file://{tmp_path}/locked", url=f"file://{tmp_path}/state"
    )
    assert target.name == "storage[1]"
    for place, backend in (("locked", target.locked), ("state", target.state)):
        (tmp_path / place).mkdir()
        await backend.put(KEY, b"data")
        assert (tmp_path / place / KEY).exists()


async def test_opens_two_buckets_of_one_store(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("[default]\naws_access_key_id = a\naws_secret_access_key = s\n")
    keys.chmod(0o600)
    with fake_s3() as server:
        target = opened(
            tmp_path,
            name="north",
            locked_url="s3://bucket-a",
            url="s3://bucket-b/site",
            endpoint=server.endpoint,
            region="SE",
            credentials="keys",
        )
        assert target.name == "north"
        await target.locked.put(KEY, b"audio")
        await target.state.put(KEY, b"envelope")
        assert await contents(target.state, KEY) == b"envelope"
        assert sorted(server.objects) == [f"bucket-a/{KEY}", f"bucket-b/site/{KEY}"]


def test_a_site_that_stores_to_a_directory_loads_no_library_of_object_stores() -> None:
    program = "import agent.service.app, sys; print('botocore' in sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ran.stdout == "False\n"


def test_a_store_where_recordings_may_not_go(tmp_path: Path) -> None:
    with pytest.raises(OutsideRegionError, match=r"storage\[1\].region"):
        opened(
            tmp_path,
            locked_url="s3://bucket-a",
            url="s3://bucket-b",
            endpoint="https://s3.us-east-1.amazonaws.com",
            region="us-east-1",
            credentials="keys",
        )
