from pathlib import Path

import pytest

from agent.upload.backend import StorageError
from agent.upload.targets import open_store
from tests.conformance.backend_suite import KEY


async def test_opens_file_urls(tmp_path: Path) -> None:
    spaced = tmp_path / "a b"
    spaced.mkdir()
    backend = open_store(f"file://{tmp_path}/a%20b", Path("/nowhere"))
    await backend.put(KEY, b"data")
    assert (spaced / KEY).read_bytes() == b"data"


def test_refuses_other_urls() -> None:
    with pytest.raises(StorageError, match="s3: is not supported"):
        open_store("s3://bucket/prefix", Path("/nowhere"))
