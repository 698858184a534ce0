"""Asterisk as the PBX behind the agent, and as the trunk before it."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab.asterisk import asterisk
from tests.lab.daemon import CALLER, SERVICE, Daemon, free_ports
from tests.lab.scenes import CUSTOMER_HZ, OFFICER_HZ, check_recorded, our_phone

pytestmark = pytest.mark.integration
proves = pytest.mark.interop


@proves("Asterisk", "as the PBX behind: an officer's phone there answers")
async def test_a_phone_behind_it_answers(
    daemon_at: Callable[..., Daemon], tmp_path: Path
) -> None:
    daemon = daemon_at().start()
    phones = free_ports(2)
    async with (
        our_phone(daemon.caller, CALLER, CUSTOMER_HZ) as caller,
        our_phone(phones[0], "201", OFFICER_HZ) as officer,
        asterisk(
            tmp_path,
            port=daemon.officers[0],
            agent=daemon.sip,
            phones=(phones[0], phones[1]),
        ),
    ):
        await caller.call(f"sip:{SERVICE}@127.0.0.1:{daemon.sip}")
        await officer.connected.wait()
        await daemon.logged("recording_begun")
        caller.speak()
        officer.speak()
        await asyncio.sleep(1)
        caller.hang_up()
        await officer.ended.wait()
        await check_recorded(daemon, "caller-hangup")


@proves("Asterisk", "as the trunk: calls in, hangs up")
async def test_it_calls_in(daemon_at: Callable[..., Daemon], tmp_path: Path) -> None:
    daemon = daemon_at().start()
    phones = free_ports(2)
    async with (
        our_phone(daemon.officers[0], "201", OFFICER_HZ) as officer,
        asterisk(
            tmp_path,
            port=daemon.caller,
            agent=daemon.sip,
            phones=(phones[0], phones[1]),
            hertz=CUSTOMER_HZ,
        ) as pbx,
    ):
        await pbx.call(SERVICE)
        await officer.connected.wait()
        await daemon.logged("recording_begun")
        officer.speak()
        await asyncio.sleep(1)
        await pbx.hang_up()
        await officer.ended.wait()
        await check_recorded(daemon, "caller-hangup")
