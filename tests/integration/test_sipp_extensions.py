"""What peers may ask for beyond RFC 3261, with sipp: 100rel, session timers."""

from pathlib import Path

import pytest

from tests.lab.calls import ended, recorded
from tests.lab.daemon import Daemon
from tests.lab.sipp import call_in, call_out

pytestmark = pytest.mark.integration


@pytest.mark.interop("sipp", "100rel: an officer rings reliably, answers without SDP")
async def test_an_officer_rings_reliably(daemon: Daemon, tmp_path: Path) -> None:
    await call_in(daemon, tmp_path, officer="officer-rings-reliably")
    await recorded(daemon, "caller-hangup")


@pytest.mark.interop("sipp", "100rel: a caller demands it and sends PRACK")
async def test_a_caller_demands_reliable_responses(
    daemon: Daemon, tmp_path: Path
) -> None:
    await call_out(
        daemon, tmp_path, "caller-demands-100rel", "officer-answers", pause=2.0
    )
    row = await ended(daemon, "recorded", "officer-hangup")
    assert row.direction == "outbound"


@pytest.mark.interop("sipp", "session timer: a caller refreshes by UPDATE")
async def test_a_caller_refreshes_its_session(daemon: Daemon, tmp_path: Path) -> None:
    await call_in(daemon, tmp_path, "caller-refreshes")
    await recorded(daemon, "caller-hangup")


@pytest.mark.interop("sipp", "session timer: 422 to an interval that is too short")
async def test_a_caller_that_would_refresh_too_often(
    daemon: Daemon, tmp_path: Path
) -> None:
    await call_in(daemon, tmp_path, "caller-hurries", pause=2.0)
    await recorded(daemon, "caller-hangup")
