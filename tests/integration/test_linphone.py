"""linphone at either end of a call."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from tests.lab.daemon import CALLER, SERVICE, Daemon
from tests.lab.linphone import Linphone, linphone
from tests.lab.scenes import (
    CUSTOMER_HZ,
    NOTICE_HZ,
    OFFICER_HZ,
    check_held,
    check_recorded,
    has_tone,
    our_phone,
)

pytestmark = pytest.mark.integration
proves = pytest.mark.interop


def officer(daemon: Daemon, root: Path) -> AbstractAsyncContextManager[Linphone]:
    return linphone(root, port=daemon.officers[0], user="201", hertz=OFFICER_HZ)


def number(daemon: Daemon, user: str = SERVICE) -> str:
    return f"sip:{user}@127.0.0.1:{daemon.sip}"


@proves("linphone", "as the customer: notice, talk, hang up")
async def test_it_calls_and_hangs_up(
    daemon_at: Callable[..., Daemon], tmp_path: Path
) -> None:
    daemon = daemon_at().start()
    async with (
        our_phone(daemon.officers[0], "201", OFFICER_HZ) as staff,
        linphone(
            tmp_path, port=daemon.caller, user=CALLER, hertz=CUSTOMER_HZ
        ) as caller,
    ):
        caller.type(f"call {number(daemon)}")
        await staff.connected.wait()
        await daemon.logged("recording_begun")
        staff.speak()
        await asyncio.sleep(1)
        caller.hang_up()
        await staff.ended.wait()
        await check_recorded(daemon, "caller-hangup")
    assert has_tone(caller.heard, NOTICE_HZ)
    assert has_tone(caller.heard, OFFICER_HZ)


@proves("linphone", "as an officer: rings, answers, customer hangs up")
async def test_it_answers_and_the_customer_hangs_up(
    daemon_at: Callable[..., Daemon], tmp_path: Path
) -> None:
    daemon = daemon_at().start()
    async with (
        our_phone(daemon.caller, CALLER, CUSTOMER_HZ) as caller,
        officer(daemon, tmp_path) as staff,
    ):
        await caller.call(number(daemon))
        await staff.answer()
        await daemon.logged("recording_begun")
        caller.speak()
        await asyncio.sleep(1)
        caller.hang_up()
        await staff.shows("ended")
        await check_recorded(daemon, "caller-hangup")
    assert has_tone(staff.heard, CUSTOMER_HZ)


@proves("linphone", "as an officer: hangs up")
async def test_it_answers_and_hangs_up(
    daemon_at: Callable[..., Daemon], tmp_path: Path
) -> None:
    daemon = daemon_at().start()
    async with (
        our_phone(daemon.caller, CALLER, CUSTOMER_HZ) as caller,
        officer(daemon, tmp_path) as staff,
    ):
        await caller.call(number(daemon))
        await staff.answer()
        await daemon.logged("recording_begun")
        caller.speak()
        await asyncio.sleep(1)
        staff.hang_up()
        await caller.ended.wait()
        await check_recorded(daemon, "officer-hangup")


@proves("linphone", "as an officer: holds and resumes")
async def test_the_officer_holds_and_resumes(
    daemon_at: Callable[..., Daemon], tmp_path: Path
) -> None:
    daemon = daemon_at().start()
    async with (
        our_phone(daemon.caller, CALLER, CUSTOMER_HZ) as caller,
        officer(daemon, tmp_path) as staff,
    ):
        await caller.call(number(daemon))
        await staff.answer()
        await daemon.logged("recording_begun")
        caller.speak()
        await asyncio.sleep(0.8)
        staff.type("pause")
        await daemon.logged("held")
        await asyncio.sleep(0.8)
        staff.type("resume")
        await daemon.logged("resumed")
        await asyncio.sleep(0.8)
        caller.hang_up()
        recording = await check_recorded(daemon, "caller-hangup")
    check_held(daemon, recording)
