from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.call.site import Site


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """A site that is not started yet; stopped in any case."""
    made = Site(tmp_path)
    yield made
    if hasattr(made, "joint"):
        await made.stop()
