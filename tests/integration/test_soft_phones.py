"""Soft phones of other makes at either end of a call: what all of them do alike."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from agent.cli.phone import Phone
from tests.lab.baresip import baresip
from tests.lab.daemon import CALLER, Daemon
from tests.lab.linphone import linphone
from tests.lab.scenes import (
    CUSTOMER_HZ,
    NOTICE_HZ,
    OFFICER_HZ,
    SoftPhone,
    check_held,
    check_recorded,
    has_tone,
    hold_once,
    our_phone,
    talk,
)

pytestmark = pytest.mark.integration

Make = Callable[..., AbstractAsyncContextManager[SoftPhone]]


def _baresip(daemon: Daemon, root: Path, **place: Any) -> Any:
    return baresip(root, agent=daemon.sip, **place)


def _linphone(_daemon: Daemon, root: Path, **place: Any) -> Any:
    return linphone(root, **place)


MAKES: Final[dict[str, Make]] = {"baresip": _baresip, "linphone": _linphone}


def each(feature: str) -> pytest.MarkDecorator:
    """Every make proves a feature."""
    return pytest.mark.parametrize(
        "make",
        [
            pytest.param(make, id=name, marks=pytest.mark.interop(name, feature))
            for name, make in MAKES.items()
        ],
    )


def customer(
    make: Make, daemon: Daemon, root: Path
) -> AbstractAsyncContextManager[SoftPhone]:
    return make(daemon, root, port=daemon.caller, user=CALLER, hertz=CUSTOMER_HZ)


def officer(
    make: Make, daemon: Daemon, root: Path
) -> AbstractAsyncContextManager[SoftPhone]:
    return make(daemon, root, port=daemon.officers[0], user="201", hertz=OFFICER_HZ)


@asynccontextmanager
async def answered(
    make: Make, daemon: Daemon, root: Path, seconds: float = 1.0
) -> AsyncIterator[tuple[Phone, SoftPhone]]:
    """A party outside, which talks with the make as an officer."""
    async with (
        our_phone(daemon.caller, CALLER, CUSTOMER_HZ) as caller,
        officer(make, daemon, root) as staff,
    ):
        await caller.call(daemon.number())
        await staff.answer()
        await talk(daemon, caller, seconds=seconds)
        yield caller, staff


@each("as the customer: notice, talk, hang up")
async def test_it_calls_and_hangs_up(
    daemon: Daemon, tmp_path: Path, make: Make
) -> None:
    async with (
        our_phone(daemon.officers[0], "201", OFFICER_HZ) as staff,
        customer(make, daemon, tmp_path) as caller,
    ):
        await caller.dial(daemon.number())
        await staff.connected.wait()
        await talk(daemon, staff)
        await caller.hang_up()
        await staff.ended.wait()
        recording = await check_recorded(daemon, "caller-hangup")
    assert recording.manifest.caller == "+358401234567"
    assert has_tone(caller.heard, NOTICE_HZ)
    assert has_tone(caller.heard, OFFICER_HZ)


@each("as an officer: rings, answers, customer hangs up")
async def test_it_answers_and_the_customer_hangs_up(
    daemon: Daemon, tmp_path: Path, make: Make
) -> None:
    async with answered(make, daemon, tmp_path) as (caller, staff):
        caller.hang_up()
        await staff.closed()
        await check_recorded(daemon, "caller-hangup")
    assert has_tone(staff.heard, CUSTOMER_HZ)


@each("as an officer: hangs up")
async def test_it_answers_and_hangs_up(
    daemon: Daemon, tmp_path: Path, make: Make
) -> None:
    async with answered(make, daemon, tmp_path) as (caller, staff):
        await staff.hang_up()
        await caller.ended.wait()
        await check_recorded(daemon, "officer-hangup")


@each("as an officer: holds and resumes")
async def test_the_officer_holds_and_resumes(
    daemon: Daemon, tmp_path: Path, make: Make
) -> None:
    async with answered(make, daemon, tmp_path, seconds=0.8) as (caller, staff):
        await hold_once(daemon, staff)
        caller.hang_up()
        recording = await check_recorded(daemon, "caller-hangup")
    check_held(daemon, recording)
