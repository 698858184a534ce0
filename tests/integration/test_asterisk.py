"""Asterisk as the PBX behind the agent, and as the trunk before it."""

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from agent.cli.phone import Phone
from tests.lab.asterisk import Asterisk, asterisk
from tests.lab.baresip import baresip
from tests.lab.daemon import CALLER, SERVICE, Daemon
from tests.lab.scenes import (
    CUSTOMER_HZ,
    OFFICER_HZ,
    check_held,
    check_recorded,
    check_sides,
    hold_once,
    our_phone,
    rings,
    talk,
)
from tests.patience import PATIENCE
from tests.ports import free_ports

pytestmark = pytest.mark.integration
proves = pytest.mark.interop


def pbx(
    daemon: Daemon, root: Path, phones: Sequence[int], agent_more: str = ""
) -> AbstractAsyncContextManager[Asterisk]:
    """One behind the agent, with two phones."""
    return asterisk(
        root,
        port=daemon.officers[0],
        agent=daemon.sip,
        phones=(phones[0], phones[1]),
        agent_more=agent_more,
    )


@asynccontextmanager
async def behind(
    daemon: Daemon, root: Path, agent_more: str = "", *, answer_after: float = 0.2
) -> AsyncIterator[tuple[Phone, Phone, Asterisk]]:
    """It behind the agent: a party outside, an officer's phone at it, and itself."""
    phones = free_ports(2)
    async with (
        our_phone(daemon.caller, CALLER, CUSTOMER_HZ) as outside,
        our_phone(phones[0], "201", OFFICER_HZ, answer_after=answer_after) as officer,
        pbx(daemon, root, phones, agent_more) as exchange,
    ):
        yield outside, officer, exchange


@asynccontextmanager
async def before(
    daemon: Daemon, root: Path, agent_more: str = ""
) -> AsyncIterator[tuple[Asterisk, Phone]]:
    """It as the trunk, which says the customer's tone; and an officer's phone."""
    phones = free_ports(2)
    async with (
        our_phone(daemon.officers[0], "201", OFFICER_HZ) as officer,
        asterisk(
            root,
            port=daemon.caller,
            agent=daemon.sip,
            phones=(phones[0], phones[1]),
            hertz=CUSTOMER_HZ,
            agent_more=agent_more,
        ) as trunk,
    ):
        yield trunk, officer


async def reconciled(daemon: Daemon, exchange: Asterisk) -> list[dict[str, str]]:
    """What `reconcile` finds in its call detail records, once there are any."""
    async with asyncio.timeout(PATIENCE):
        while not exchange.records.exists() or not exchange.records.stat().st_size:
            await asyncio.sleep(0.05)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "agent", "reconcile", "-c", str(daemon.config)),
        *("--cdr", str(exchange.records), "--timezone", "UTC", "--json"),
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    return [json.loads(line) for line in said.splitlines()]


@asynccontextmanager
async def answered(daemon: Daemon, root: Path) -> AsyncIterator[tuple[Phone, Phone]]:
    """It behind the agent: the two talk."""
    async with behind(daemon, root) as (caller, officer, _):
        await caller.call(daemon.number())
        await officer.connected.wait()
        await talk(daemon, caller, officer)
        yield caller, officer


@proves("Asterisk", "as the PBX behind: an officer's phone there answers")
async def test_a_phone_behind_it_answers(daemon: Daemon, tmp_path: Path) -> None:
    async with answered(daemon, tmp_path) as (caller, officer):
        caller.hang_up()
        await officer.ended.wait()
        await check_recorded(daemon, "caller-hangup")


@pytest.mark.parametrize(
    "agent_more",
    [
        pytest.param("", marks=proves("Asterisk", "as the trunk: calls in, hangs up")),
        pytest.param(
            "100rel=required", marks=proves("Asterisk", "as the trunk: requires 100rel")
        ),
    ],
)
async def test_it_calls_in(daemon: Daemon, tmp_path: Path, agent_more: str) -> None:
    async with before(daemon, tmp_path, agent_more) as (trunk, officer):
        await trunk.call(SERVICE)
        await officer.connected.wait()
        await talk(daemon, officer)
        await trunk.hang_up()
        await officer.ended.wait()
        await check_recorded(daemon, "caller-hangup")
        [found] = await reconciled(daemon, trunk)
        assert (found["finding"], found["matched_by"]) == ("captured", "call-id")


@proves("Asterisk", "as the PBX behind: its phone hangs up")
async def test_a_phone_behind_it_hangs_up(daemon: Daemon, tmp_path: Path) -> None:
    async with answered(daemon, tmp_path) as (caller, officer):
        officer.hang_up()
        await caller.ended.wait()
        await check_recorded(daemon, "officer-hangup")


@proves("Asterisk", "as the PBX behind: its phone calls out")
async def test_a_phone_behind_it_calls_out(daemon: Daemon, tmp_path: Path) -> None:
    async with behind(daemon, tmp_path) as (customer, officer, exchange):
        await officer.call(f"sip:0409876543@127.0.0.1:{exchange.port}")
        await customer.connected.wait()
        await talk(daemon, customer, officer)
        customer.hang_up()
        await officer.ended.wait()
        await daemon.logged("stored")
        # The call's leg to us has an id that its records do not have.
        [found] = await reconciled(daemon, exchange)
        assert (found["finding"], found["matched_by"]) == ("captured", "time")
    [recording] = daemon.recordings()
    check_sides(recording)
    assert recording.manifest.direction == "outbound"


@proves("Asterisk", "as the PBX behind: its phone holds and resumes")
async def test_a_phone_behind_it_holds(daemon: Daemon, tmp_path: Path) -> None:
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
        await caller.call(daemon.number())
        await officer.answer()
        await talk(daemon, caller, seconds=0.8)
        await hold_once(daemon, officer)
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
    async with behind(daemon, tmp_path, answer_after=1.5) as (caller, officer, _):
        await caller.call(daemon.number())
        await rings(officer)
        caller.speak()
        assert not daemon.log("recording_begun")
        await officer.connected.wait()
        await talk(daemon, officer)
        caller.hang_up()
        await officer.ended.wait()
        recording = await check_recorded(daemon, "caller-hangup")
    assert recording.manifest.audio.duration_ms < 1400


@proves("Asterisk", "as the PBX behind: rings reliably (100rel), is acknowledged")
async def test_its_ringing_is_acknowledged(daemon: Daemon, tmp_path: Path) -> None:
    async with behind(daemon, tmp_path, "100rel=peer_supported", answer_after=1) as (
        caller,
        officer,
        exchange,
    ):
        await exchange.tell("pjsip set logger on")
        await caller.call(daemon.number())
        await officer.connected.wait()
        await daemon.logged("recording_begun")
        assert re.search(r"PRACK sip:.* SIP/2\.0", exchange.said)
        caller.speak()
        officer.speak()
        await asyncio.sleep(1)
        caller.hang_up()
        await officer.ended.wait()
        await check_recorded(daemon, "caller-hangup")


# It waits most of a minute, for nothing that must come at once.
@pytest.mark.beside
@proves("Asterisk", "as the trunk: session timer of 90 s, refreshed at half")
async def test_its_session_is_refreshed(daemon: Daemon, tmp_path: Path) -> None:
    async with before(
        daemon, tmp_path, "timers=always\ntimers_sess_expires=90\ntimers_min_se=90"
    ) as (trunk, officer):
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
