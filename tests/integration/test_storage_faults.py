"""Two hundred uploads, and everything that goes wrong with an object store."""

from pathlib import Path

import pytest

from tests.lab.ceph import Ceph
from tests.soak.storage import FAULTS, Campaign, Site

pytestmark = [pytest.mark.integration, pytest.mark.beside]


async def test_whatever_goes_wrong_all_is_stored_once_and_every_alarm_is_cleared(
    ceph: Ceph, tmp_path: Path
) -> None:
    site = Site(ceph, tmp_path, 200, "test")
    try:
        site.make_buckets()
        result = await Campaign(site, 0.2).run()
    finally:
        site.close()
    assert result.fine, result
    assert set(result.over) == set(result.noticed) == set(FAULTS)
