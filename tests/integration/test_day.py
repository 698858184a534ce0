"""A small day: every fault once, and everybody agrees on every call."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.soak.day import FAULTS, Site, run_day

pytestmark = [pytest.mark.integration, pytest.mark.beside]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    site.close()


def test_all_accounts_of_a_day_agree(site: Site) -> None:
    result = asyncio.run(run_day(site, seconds=14.0, rate=2.0, talk=1.5))
    assert result.disagreements == []
    assert len(result.faults) == len(FAULTS)
    assert result.calls == 28
    assert result.outcomes["recorded"] > 10
    # What is not whole has its reason; a full disk is one that lets calls pass.
    assert len(result.missed) == 28 - result.outcomes["recorded"]
    assert not site.mounted or result.outcomes["unrecorded"]
