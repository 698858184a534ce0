"""baresip at either end of a call: what it does beside other soft phones."""

import asyncio
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from tests.lab.baresip import Baresip, baresip
from tests.lab.calls import ended
from tests.lab.daemon import CALLER, Daemon
from tests.lab.parties import channels
from tests.lab.scenes import (
    CUSTOMER_HZ,
    OFFICER_HZ,
    check_recorded,
    lacks_tone,
    officer_ends,
    our_phone,
    talk,
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


@proves("baresip", "as the customer: the officer hangs up")
async def test_it_calls_and_the_officer_hangs_up(
    daemon: Daemon, tmp_path: Path
) -> None:
    async with (
        our_phone(daemon.officers[0], "201", OFFICER_HZ) as staff,
        customer(daemon, tmp_path) as caller,
    ):
        await caller.dial(daemon.number())
        await officer_ends(daemon, caller, staff)


@proves("baresip", "as an officer: busy, the next one rings")
async def test_it_is_busy(daemon: Daemon, tmp_path: Path) -> None:
    async with (
        our_phone(daemon.caller, CALLER, CUSTOMER_HZ) as caller,
        our_phone(daemon.officers[1], "202", OFFICER_HZ) as second,
        officer(daemon, tmp_path) as staff,
    ):
        await caller.call(daemon.number())
        await staff.happens("CALL_INCOMING")
        await staff.hang_up()
        await second.connected.wait()
        await talk(daemon, caller, second)
        caller.hang_up()
        await check_recorded(daemon, "caller-hangup", officer="202")


@proves("baresip", "as an officer: calls out and cancels")
async def test_it_cancels(daemon: Daemon, tmp_path: Path) -> None:
    async with (
        our_phone(daemon.caller, CALLER, CUSTOMER_HZ, answer_after=None) as outside,
        officer(daemon, tmp_path) as staff,
    ):
        await staff.dial(daemon.number("0409876543"))
        await staff.happens("CALL_RINGING")
        await staff.hang_up()
        await outside.ended.wait()
        row = await ended(daemon, "abandoned", "caller-hangup")
    assert row.direction == "outbound"


@proves("baresip", "digits are passed on and not recorded")
async def test_its_digits_are_not_recorded(daemon: Daemon, tmp_path: Path) -> None:
    async with (
        our_phone(daemon.officers[0], "201", OFFICER_HZ) as staff,
        customer(daemon, tmp_path) as caller,
    ):
        await caller.dial(daemon.number())
        await staff.connected.wait()
        await talk(daemon, staff, seconds=0.5)
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
