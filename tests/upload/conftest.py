from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.recording.spool import Spool


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    spool = Spool(tmp_path / "spool")
    spool.prepare()
    yield spool
    spool.close()
