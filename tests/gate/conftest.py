from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.gate.rig import Rig, opened


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with opened(tmp_path) as rig:
        yield rig
