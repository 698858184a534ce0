"""Kamailio between the trunk and the agent, in the way of every request."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from agent.cli.phone import Phone
from tests.lab.calls import ended
from tests.lab.daemon import CALLER, SERVICE, Daemon
from tests.lab.kamailio import Kamailio, kamailio
from tests.lab.scenes import (
    CUSTOMER_HZ,
    OFFICER_HZ,
    check_recorded,
    check_sides,
    our_phone,
    rings,
    talk,
)
from tests.ports import free_ports

pytestmark = pytest.mark.integration
proves = pytest.mark.interop


@asynccontextmanager
async def proxied(
    daemon: Daemon, root: Path, user: str, *, answer_after: float | None = 0.2
) -> AsyncIterator[tuple[Phone, Phone, Kamailio]]:
    """An officer, a phone outside, and the proxy between that phone and the agent."""
    [outside] = free_ports(1)
    async with (
        our_phone(daemon.officers[0], "201", OFFICER_HZ) as officer,
        our_phone(outside, user, CUSTOMER_HZ, answer_after=answer_after) as phone,
        kamailio(
            root,
            port=daemon.caller,
            agent=daemon.sip,
            outside=f"sip:127.0.0.1:{outside}",
        ) as proxy,
    ):
        yield officer, phone, proxy


@proves("Kamailio", "as the proxy in front: adds Record-Route, the customer hangs up")
async def test_a_call_comes_in_through_it(daemon: Daemon, tmp_path: Path) -> None:
    async with proxied(daemon, tmp_path, CALLER) as (officer, caller, proxy):
        await caller.call(f"sip:{SERVICE}@127.0.0.1:{proxy.port}")
        await officer.connected.wait()
        await talk(daemon, caller, officer)
        caller.hang_up()
        await officer.ended.wait()
        await check_recorded(daemon, "caller-hangup")
        assert proxy.passed_by_route("ACK") == 1
        assert proxy.passed_by_route("BYE") == 1


@proves("Kamailio", "as the proxy in front: the officer hangs up, BYE by Route")
async def test_our_requests_go_back_by_route(daemon: Daemon, tmp_path: Path) -> None:
    async with proxied(daemon, tmp_path, CALLER) as (officer, caller, proxy):
        await caller.call(f"sip:{SERVICE}@127.0.0.1:{proxy.port}")
        await officer.connected.wait()
        await talk(daemon, caller, officer)
        officer.hang_up()
        await caller.ended.wait()
        await check_recorded(daemon, "officer-hangup")
        assert proxy.passed_by_route("BYE") == 1


@proves("Kamailio", "as the proxy in front: an officer calls out through it")
async def test_a_call_goes_out_through_it(daemon: Daemon, tmp_path: Path) -> None:
    async with proxied(daemon, tmp_path, "0409876543") as (officer, customer, proxy):
        await officer.call(daemon.number("0409876543"))
        await customer.connected.wait()
        await talk(daemon, customer, officer)
        officer.hang_up()
        await customer.ended.wait()
        await daemon.logged("stored")
        assert proxy.passed_by_route("ACK") == 1
        assert proxy.passed_by_route("BYE") == 1
    [recording] = daemon.recordings()
    check_sides(recording)
    assert recording.manifest.direction == "outbound"


@proves("Kamailio", "as the proxy in front: an officer cancels a call out")
async def test_a_cancel_goes_out_through_it(daemon: Daemon, tmp_path: Path) -> None:
    async with proxied(daemon, tmp_path, "0409876543", answer_after=None) as (
        officer,
        customer,
        proxy,
    ):
        await officer.call(daemon.number("0409876543"))
        await rings(customer)
        officer.hang_up()
        await customer.ended.wait()
        assert proxy.passed("CANCEL") == 1
        await ended(daemon, "abandoned", "caller-hangup")
