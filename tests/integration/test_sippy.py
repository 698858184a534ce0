"""sippy's B2BUA between a phone and the agent, on either side of it."""

from pathlib import Path

import pytest

from tests.lab.daemon import CALLER, SERVICE, Daemon
from tests.lab.scenes import (
    CUSTOMER_HZ,
    OFFICER_HZ,
    check_recorded,
    check_sides,
    our_phone,
    talk,
)
from tests.lab.sippy import sippy
from tests.ports import free_ports

pytestmark = pytest.mark.integration
proves = pytest.mark.interop


@pytest.mark.parametrize("leaves", ["caller", "officer"])
@proves("sippy", "as the trunk: a call in, either side hangs up")
async def test_a_call_comes_in_through_it(
    daemon: Daemon, tmp_path: Path, leaves: str
) -> None:
    [outside] = free_ports(1)
    async with (
        our_phone(daemon.officers[0], "201", OFFICER_HZ) as officer,
        our_phone(outside, CALLER, CUSTOMER_HZ) as caller,
        sippy(tmp_path, port=daemon.caller, to=daemon.sip),
    ):
        await caller.call(f"sip:{SERVICE}@127.0.0.1:{daemon.caller}")
        await officer.connected.wait()
        await talk(daemon, caller, officer)
        first, last = (caller, officer) if leaves == "caller" else (officer, caller)
        first.hang_up()
        await last.ended.wait()
        await check_recorded(daemon, f"{leaves}-hangup")


@proves("sippy", "as the trunk: an officer calls out")
async def test_a_call_goes_out_through_it(daemon: Daemon, tmp_path: Path) -> None:
    [outside] = free_ports(1)
    async with (
        our_phone(daemon.officers[0], "201", OFFICER_HZ) as officer,
        our_phone(outside, "0409876543", CUSTOMER_HZ) as customer,
        sippy(tmp_path, port=daemon.caller, to=outside),
    ):
        await officer.call(daemon.number("0409876543"))
        await customer.connected.wait()
        await talk(daemon, customer, officer)
        officer.hang_up()
        await customer.ended.wait()
        await daemon.logged("stored")
    [recording] = daemon.recordings()
    check_sides(recording)
    assert recording.manifest.direction == "outbound"
