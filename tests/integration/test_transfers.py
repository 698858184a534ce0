"""Transfers asked for by other makes of phone, which the agent carries out."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab.asterisk import asterisk
from tests.lab.baresip import baresip
from tests.lab.daemon import CALLER, Daemon, Recording
from tests.lab.linphone import linphone
from tests.lab.parties import channels
from tests.lab.scenes import (
    CUSTOMER_HZ,
    OFFICER_HZ,
    check_sides,
    has_tone,
    lacks_tone,
    our_phone,
    talk,
)
from tests.lab.sipp import Sipp
from tests.ports import free_ports

pytestmark = pytest.mark.integration
proves = pytest.mark.interop

SECOND_HZ = 2300


async def segments(daemon: Daemon, count: int) -> list[Recording]:
    """The recordings of the customer's call, in order, of one group."""
    await daemon.logged("stored", count=count)
    found = [r for r in daemon.recordings() if r.manifest.caller != "202"]
    found.sort(key=lambda recording: recording.manifest.segment)
    assert [r.manifest.segment for r in found] == list(range(1, len(found) + 1))
    assert len({r.manifest.group for r in found}) == 1
    assert {r.manifest.caller for r in found} == {"+358401234567"}
    return found


def check_two_officers(first: Recording, second: Recording) -> None:
    """Each segment has the customer and its own officer, and no one else."""
    check_sides(first)
    assert first.manifest.end_cause == "transferred"
    assert [o.number for o in first.manifest.officers] == ["201"]
    assert [o.number for o in second.manifest.officers] == ["202"]
    assert second.manifest.end_cause == "caller-hangup"
    left, right = channels(second.wav)
    assert has_tone(left, CUSTOMER_HZ)
    assert has_tone(right, SECOND_HZ)
    assert lacks_tone(left, OFFICER_HZ)
    assert lacks_tone(right, OFFICER_HZ)


@proves("baresip", "as an officer: blind transfer to a colleague")
async def test_baresip_transfers(daemon: Daemon, tmp_path: Path) -> None:
    async with (
        our_phone(daemon.caller, CALLER, CUSTOMER_HZ) as caller,
        our_phone(daemon.officers[1], "202", SECOND_HZ) as second,
        baresip(
            tmp_path,
            port=daemon.officers[0],
            user="201",
            agent=daemon.sip,
            hertz=OFFICER_HZ,
        ) as first,
    ):
        await caller.call(daemon.number())
        await first.answer()
        await talk(daemon, caller, seconds=0.8)
        await first.transfer(daemon.number("202"))
        await second.connected.wait()
        await first.happens("CALL_CLOSED")
        await talk(daemon, second, segment=2, seconds=0.8)
        caller.hang_up()
        await second.ended.wait()
        check_two_officers(*await segments(daemon, 2))
    assert daemon.rows()[0].outcome == "recorded"


@proves("linphone", "as an officer: blind transfer to a busy colleague, keeps the call")
async def test_linphone_transfers_to_one_who_is_busy(
    daemon: Daemon, tmp_path: Path
) -> None:
    async with (
        our_phone(daemon.caller, CALLER, CUSTOMER_HZ) as caller,
        linphone(
            tmp_path, port=daemon.officers[0], user="201", hertz=OFFICER_HZ
        ) as first,
    ):
        with Sipp(tmp_path, "officer-is-busy", port=daemon.officers[1]) as busy:
            await caller.call(daemon.number())
            await first.answer()
            await daemon.logged("recording_begun")
            caller.speak()
            await first.transfer(daemon.number("202"))
            await busy.succeeds()
        assert (await daemon.logged("transfer_ended"))["sip_status"] == 486
        await asyncio.sleep(1)
        caller.hang_up()
        await first.shows("ended")
        [recording] = await segments(daemon, 1)
    check_sides(recording)
    assert recording.manifest.end_cause == "caller-hangup"
    assert recording.manifest.audio.duration_ms > 900


@proves("linphone", "as an officer: blind transfer to a colleague")
async def test_linphone_transfers(daemon: Daemon, tmp_path: Path) -> None:
    async with (
        our_phone(daemon.caller, CALLER, CUSTOMER_HZ) as caller,
        our_phone(daemon.officers[1], "202", SECOND_HZ) as second,
        linphone(
            tmp_path, port=daemon.officers[0], user="201", hertz=OFFICER_HZ
        ) as first,
    ):
        await caller.call(daemon.number())
        await first.answer()
        await talk(daemon, caller, seconds=0.8)
        await first.transfer(daemon.number("202"))
        await second.connected.wait()
        await talk(daemon, second, segment=2, seconds=0.8)
        caller.hang_up()
        await second.ended.wait()
        check_two_officers(*await segments(daemon, 2))


@proves("linphone", "as an officer: attended transfer to a colleague")
async def test_linphone_transfers_after_asking(
    daemon_at: Callable[..., Daemon], tmp_path: Path
) -> None:
    daemon = daemon_at()
    daemon.amend(
        "[[routes]]",
        f"""[[routes]]
name = "internal"
from = "officers"
number = "202"
direction = "outbound"
to = ["sip:202@127.0.0.1:{daemon.officers[1]}"]
notice = ["fi.wav"]
[[routes]]""",
    ).start()
    async with (
        our_phone(daemon.caller, CALLER, CUSTOMER_HZ) as caller,
        our_phone(daemon.officers[1], "202", SECOND_HZ) as second,
        linphone(
            tmp_path, port=daemon.officers[0], user="201", hertz=OFFICER_HZ
        ) as first,
    ):
        await caller.call(daemon.number())
        await first.answer()
        await talk(daemon, caller, seconds=0.8)
        first.type("pause")
        await daemon.logged("held")
        first.type(f"call sip:202@127.0.0.1:{daemon.sip}")
        await second.connected.wait()
        second.speak()
        await daemon.logged("recording_begun", count=2)
        await asyncio.sleep(0.5)
        first.type("transfer 1 --to-call 2")
        await daemon.logged("recording_begun", count=3)
        await asyncio.sleep(0.8)
        caller.hang_up()
        await second.ended.wait()
        await daemon.logged("ended", count=2)
        check_two_officers(*await segments(daemon, 3))


@proves("Asterisk", "as the PBX behind: transfer inside, told by identity")
async def test_a_transfer_inside_it(daemon: Daemon, tmp_path: Path) -> None:
    """The PBX joins another phone to the same dialog, and says who it is."""
    phones = free_ports(2)
    async with (
        our_phone(daemon.caller, CALLER, CUSTOMER_HZ) as caller,
        our_phone(phones[1], "202", SECOND_HZ) as second,
        asterisk(
            tmp_path,
            port=daemon.officers[0],
            agent=daemon.sip,
            phones=(phones[0], phones[1]),
        ) as exchange,
        baresip(
            tmp_path,
            port=phones[0],
            user="201",
            agent=exchange.port,
            hertz=OFFICER_HZ,
        ) as first,
    ):
        await caller.call(daemon.number())
        await first.answer()
        await talk(daemon, caller, seconds=0.8)
        await first.transfer(f"sip:202@127.0.0.1:{exchange.port}")
        await second.connected.wait()
        second.speak()
        await asyncio.sleep(0.8)
        caller.hang_up()
        await second.ended.wait()
        check_two_officers(*await segments(daemon, 2))
