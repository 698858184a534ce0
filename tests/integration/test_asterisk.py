"""Asterisk as the PBX behind the agent, and as the trunk before it."""

import asyncio
import re
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from tests.lab.asterisk import Asterisk, asterisk
from tests.lab.baresip import baresip
from tests.lab.daemon import CALLER, SERVICE, Daemon
from tests.lab.scenes import (
    CUSTOMER_HZ,
    OFFICER_HZ,
    check_held,
    check_recorded,
    check_sides,
    our_phone,
    rings,
)
from tests.ports import free_ports

pytestmark = pytest.mark.integration
proves = pytest.mark.interop


def pbx(
    daemon: Daemon, root: Path, phones: list[int], agent_more: str = ""
) -> AbstractAsyncContextManager[Asterisk]:
    return asterisk(
        root,
        port=daemon.officers[0],
        agent=daemon.sip,
        phones=(phones[0], phones[1]),
        agent_more=agent_more,
    )


@proves("Asterisk", "as the PBX behind: an officer's phone there answers")
async def test_a_phone_behind_it_answers(
    daemon_at: Callable[..., Daemon], tmp_path: Path
) -> None:
    daemon = daemon_at().start()
    phones = free_ports(2)
    async with (
        our_phone(daemon.caller, CALLER, CUSTOMER_HZ) as caller,
        our_phone(phones[0], "201", OFFICER_HZ) as officer,
        pbx(daemon, tmp_path, phones),
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


@proves("Asterisk", "as the PBX behind: its phone hangs up")
async def test_a_phone_behind_it_hangs_up(
    daemon_at: Callable[..., Daemon], tmp_path: Path
) -> None:
    daemon = daemon_at().start()
    phones = free_ports(2)
    async with (
        our_phone(daemon.caller, CALLER, CUSTOMER_HZ) as caller,
        our_phone(phones[0], "201", OFFICER_HZ) as officer,
        pbx(daemon, tmp_path, phones),
    ):
        await caller.call(f"sip:{SERVICE}@127.0.0.1:{daemon.sip}")
        await officer.connected.wait()
        await daemon.logged("recording_begun")
        caller.speak()
        officer.speak()
        await asyncio.sleep(1)
        officer.hang_up()
        await caller.ended.wait()
        await check_recorded(daemon, "officer-hangup")


@proves("Asterisk", "as the PBX behind: its phone calls out")
async def test_a_phone_behind_it_calls_out(
    daemon_at: Callable[..., Daemon], tmp_path: Path
) -> None:
    daemon = daemon_at().start()
    phones = free_ports(2)
    async with (
        our_phone(daemon.caller, CALLER, CUSTOMER_HZ) as customer,
        our_phone(phones[0], "201", OFFICER_HZ) as officer,
        pbx(daemon, tmp_path, phones) as exchange,
    ):
        await officer.call(f"sip:0409876543@127.0.0.1:{exchange.port}")
        await customer.connected.wait()
        await daemon.logged("recording_begun")
        customer.speak()
        officer.speak()
        await asyncio.sleep(1)
        customer.hang_up()
        await officer.ended.wait()
        await daemon.logged("stored")
    [recording] = daemon.recordings()
    check_sides(recording)
    assert recording.manifest.direction == "outbound"


@proves("Asterisk", "as the PBX behind: its phone holds and resumes")
async def test_a_phone_behind_it_holds(
    daemon_at: Callable[..., Daemon], tmp_path: Path
) -> None:
    daemon = daemon_at().start()
    phones = free_ports(2)
    async with (
        our_phone(daemon.caller, CALLER, CUSTOMER_HZ) as caller,
        pbx(daemon, tmp_path, phones, "moh_passthrough=yes") as exchange,
        baresip(
            tmp_path,
            port=phones[0],
            user="201",
            agent=exchange.port,
            hertz=OFFICER_HZ,
        ) as officer,
    ):
        await caller.call(f"sip:{SERVICE}@127.0.0.1:{daemon.sip}")
        await officer.answer()
        await daemon.logged("recording_begun")
        caller.speak()
        await asyncio.sleep(0.8)
        await officer.tell("hold")
        await daemon.logged("held")
        await asyncio.sleep(0.8)
        await officer.tell("resume")
        await daemon.logged("resumed")
        await asyncio.sleep(0.8)
        caller.hang_up()
        recording = await check_recorded(daemon, "caller-hangup")
    check_held(daemon, recording)


@proves("Asterisk", "as the PBX behind: its queue answers first, then an officer")
async def test_a_queue_answers_before_an_officer(
    daemon_at: Callable[..., Daemon], tmp_path: Path
) -> None:
    """Nothing is recorded until the PBX says who is there."""
    daemon = daemon_at(route='officer_answer = "connected-identity"')
    daemon.amend("to = [", f'to = ["sip:300@127.0.0.1:{daemon.officers[0]}"]\n#')
    daemon.start()
    phones = free_ports(2)
    async with (
        our_phone(daemon.caller, CALLER, CUSTOMER_HZ) as caller,
        our_phone(phones[0], "201", OFFICER_HZ, answer_after=1.5) as officer,
        pbx(daemon, tmp_path, phones),
    ):
        await caller.call(f"sip:{SERVICE}@127.0.0.1:{daemon.sip}")
        await rings(officer)
        caller.speak()
        assert not daemon.log("recording_begun")
        await officer.connected.wait()
        await daemon.logged("recording_begun")
        officer.speak()
        await asyncio.sleep(1)
        caller.hang_up()
        await officer.ended.wait()
        recording = await check_recorded(daemon, "caller-hangup")
    assert recording.manifest.audio.duration_ms < 1400


@proves("Asterisk", "as the trunk: requires 100rel")
async def test_it_requires_reliable_responses(
    daemon_at: Callable[..., Daemon], tmp_path: Path
) -> None:
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
            agent_more="100rel=required",
        ) as trunk,
    ):
        await trunk.call(SERVICE)
        await officer.connected.wait()
        await daemon.logged("recording_begun")
        officer.speak()
        await asyncio.sleep(1)
        await trunk.hang_up()
        await officer.ended.wait()
        await check_recorded(daemon, "caller-hangup")


@proves("Asterisk", "as the PBX behind: rings reliably (100rel), is acknowledged")
async def test_its_ringing_is_acknowledged(
    daemon_at: Callable[..., Daemon], tmp_path: Path
) -> None:
    daemon = daemon_at().start()
    phones = free_ports(2)
    async with (
        our_phone(daemon.caller, CALLER, CUSTOMER_HZ) as caller,
        our_phone(phones[0], "201", OFFICER_HZ, answer_after=1) as officer,
        pbx(daemon, tmp_path, phones, "100rel=peer_supported") as exchange,
    ):
        await exchange.tell("pjsip set logger on")
        await caller.call(f"sip:{SERVICE}@127.0.0.1:{daemon.sip}")
        await officer.connected.wait()
        await daemon.logged("recording_begun")
        assert re.search(r"PRACK sip:.* SIP/2\.0", exchange.said)
        caller.speak()
        officer.speak()
        await asyncio.sleep(1)
        caller.hang_up()
        await officer.ended.wait()
        await check_recorded(daemon, "caller-hangup")


@proves("Asterisk", "as the trunk: session timer of 90 s, refreshed at half")
async def test_its_session_is_refreshed(
    daemon_at: Callable[..., Daemon], tmp_path: Path
) -> None:
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
            agent_more="timers=always\ntimers_sess_expires=90\ntimers_min_se=90",
        ) as trunk,
    ):
        await trunk.call(SERVICE)
        await officer.connected.wait()
        officer.speak()
        await asyncio.sleep(44)
        await trunk.tell("pjsip set logger on")
        await asyncio.sleep(3)
        assert re.search(r"(?m)^(UPDATE|INVITE) sip:.* SIP/2\.0", trunk.said)
        assert re.search(r"(?m)^Session-Expires: 90", trunk.said)
        officer.hang_up()
        recording = await check_recorded(daemon, "officer-hangup")
    assert recording.manifest.audio.duration_ms > 46_000
