from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.call.siprec.sites import Recorder


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Recorder]:
    made = Recorder(tmp_path)
    yield made
    if hasattr(made, "joint"):
        await made.stop()
