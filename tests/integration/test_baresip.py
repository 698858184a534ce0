"""baresip at either end of a call."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from tests.lab.baresip import Baresip, baresip
from tests.lab.calls import ended
from tests.lab.daemon import CALLER, SERVICE, Daemon
from tests.lab.parties import channels
from tests.lab.scenes import (
    CUSTOMER_HZ,
    NOTICE_HZ,
    OFFICER_HZ,
    check_held,
    check_recorded,
    has_tone,
    lacks_tone,
    our_phone,
)

pytestmark = pytest.mark.integration
proves = pytest.mark.interop


def customer(daemon: Daemon, root: Path) -> AbstractAsyncContextManager[Baresip]:
    return baresip(
        root, port=daemon.caller, user=CALLER, agent=daemon.sip, hertz=CUSTOMER_HZ
    )


def officer(
    daemon: Daemon, root: Path, index: int = 0
) -> AbstractAsyncContextManager[Baresip]:
    return baresip(
        root,
        port=daemon.officers[index],
        user=str(201 + index),
        agent=daemon.sip,
        hertz=OFFICER_HZ,
    )


def number(daemon: Daemon, user: str = SERVICE) -> str:
    return f"sip:{user}@127.0.0.1:{daemon.sip}"


@proves("baresip", "as the customer: notice, talk, hang up")
async def test_it_calls_and_hangs_up(
    daemon_at: Callable[..., Daemon], tmp_path: Path
) -> None:
    daemon = daemon_at().start()
    async with (
        our_phone(daemon.officers[0], "201", OFFICER_HZ) as staff,
        customer(daemon, tmp_path) as caller,
    ):
        await caller.dial(number(daemon))
        await staff.connected.wait()
        await daemon.logged("recording_begun")
        staff.speak()
        await asyncio.sleep(1)
        await caller.hang_up()
        await staff.ended.wait()
        recording = await check_recorded(daemon, "caller-hangup")
    assert recording.manifest.caller == "+358401234567"
    assert has_tone(caller.heard, NOTICE_HZ)
    assert has_tone(caller.heard, OFFICER_HZ)


@proves("baresip", "as an officer: rings, answers, customer hangs up")
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
        await staff.happens("CALL_CLOSED")
        await check_recorded(daemon, "caller-hangup")
    assert has_tone(staff.heard, CUSTOMER_HZ)


@proves("baresip", "as an officer: hangs up")
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
        await staff.hang_up()
        await caller.ended.wait()
        await check_recorded(daemon, "officer-hangup")


@proves("baresip", "as the customer: the officer hangs up")
async def test_it_calls_and_the_officer_hangs_up(
    daemon_at: Callable[..., Daemon], tmp_path: Path
) -> None:
    daemon = daemon_at().start()
    async with (
        our_phone(daemon.officers[0], "201", OFFICER_HZ) as staff,
        customer(daemon, tmp_path) as caller,
    ):
        await caller.dial(number(daemon))
        await staff.connected.wait()
        await daemon.logged("recording_begun")
        staff.speak()
        await asyncio.sleep(1)
        staff.hang_up()
        await caller.happens("CALL_CLOSED")
        await check_recorded(daemon, "officer-hangup")


@proves("baresip", "as an officer: busy, the next one rings")
async def test_it_is_busy(daemon_at: Callable[..., Daemon], tmp_path: Path) -> None:
    daemon = daemon_at().start()
    async with (
        our_phone(daemon.caller, CALLER, CUSTOMER_HZ) as caller,
        our_phone(daemon.officers[1], "202", OFFICER_HZ) as second,
        officer(daemon, tmp_path) as staff,
    ):
        await caller.call(number(daemon))
        await staff.happens("CALL_INCOMING")
        await staff.hang_up()
        await second.connected.wait()
        await daemon.logged("recording_begun")
        caller.speak()
        second.speak()
        await asyncio.sleep(1)
        caller.hang_up()
        await check_recorded(daemon, "caller-hangup", officer="202")


@proves("baresip", "as an officer: calls out and cancels")
async def test_it_cancels(daemon_at: Callable[..., Daemon], tmp_path: Path) -> None:
    daemon = daemon_at().start()
    async with (
        our_phone(daemon.caller, CALLER, CUSTOMER_HZ, answer_after=None) as outside,
        officer(daemon, tmp_path) as staff,
    ):
        await staff.dial(number(daemon, "0409876543"))
        await staff.happens("CALL_RINGING")
        await staff.hang_up()
        await outside.ended.wait()
        row = await ended(daemon, "abandoned", "caller-hangup")
    assert row.direction == "outbound"


@proves("baresip", "as an officer: holds and resumes")
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
        await staff.tell("hold")
        await daemon.logged("held")
        await asyncio.sleep(0.8)
        await staff.tell("resume")
        await daemon.logged("resumed")
        await asyncio.sleep(0.8)
        caller.hang_up()
        recording = await check_recorded(daemon, "caller-hangup")
    check_held(daemon, recording)


@proves("baresip", "digits are passed on and not recorded")
async def test_its_digits_are_not_recorded(
    daemon_at: Callable[..., Daemon], tmp_path: Path
) -> None:
    daemon = daemon_at().start()
    async with (
        our_phone(daemon.officers[0], "201", OFFICER_HZ) as staff,
        customer(daemon, tmp_path) as caller,
    ):
        await caller.dial(number(daemon))
        await staff.connected.wait()
        await daemon.logged("recording_begun")
        staff.speak()
        await asyncio.sleep(0.5)
        await caller.tell("sndcode", "7")
        await asyncio.sleep(0.8)
        await caller.hang_up()
        await staff.ended.wait()
        recording = await check_recorded(daemon, "caller-hangup")
        assert staff.audio is not None
    passed_as = staff.audio.telephone_event
    events = [
        h.packet.payload for h in staff.heard if h.packet.payload_type == passed_as
    ]
    assert {event[0] for event in events} == {7}
    # A digit's two tones are nowhere.
    left, _ = channels(recording.wav)
    assert lacks_tone(left, 852)
    assert lacks_tone(left, 1209)
