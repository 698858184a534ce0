"""A side that is missing is alarmed while its call is still up."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from tests.lab.daemon import Daemon
from tests.lab.parties import parties

pytestmark = pytest.mark.integration


class Unplugged:
    """The RTP socket of a phone, out of which nothing comes."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def sendto(self, data: bytes, remote: tuple[str, int]) -> None:
        """Nothing."""


async def test_a_missing_side_is_told_while_the_call_is_up(
    daemon_at: Callable[..., Daemon],
) -> None:
    daemon = daemon_at(media="one_way_after = 1.0\nsilent_after = 1.5").start()
    async with parties(daemon) as call:
        channel = call.officer._rtp
        call.officer._rtp = cast("Any", Unplugged(channel))
        await call.connect()
        alarm = await daemon.logged("one_way_audio")
        assert (alarm["leg"], alarm["level"]) == ("b1", "warning")
        assert alarm["seconds"] >= 1.0
        call.officer._rtp = channel
        over = await daemon.logged("one_way_audio_over")
        assert over["leg"] == "b1"
        assert over["seconds"] >= alarm["seconds"]
        # Somebody has muted the customer's phone.
        call.caller.speech = {"PCMA": b"\xd5" * 160 * 500}
        call.caller.speak()
        alarm = await daemon.logged("silent_leg")
        assert alarm["leg"] == "a"
        assert not daemon.log("ended")
        await call.hang_up()
        await daemon.logged("stored")
    assert len(daemon.log("one_way_audio")) == len(daemon.log("silent_leg")) == 1


async def test_nothing_is_amiss_in_a_conversation(
    daemon_at: Callable[..., Daemon],
) -> None:
    daemon = daemon_at(media="one_way_after = 0.5\nsilent_after = 0.5").start()
    async with parties(daemon) as call:
        await call.connect()
        await asyncio.sleep(2.0)
        await call.hang_up()
        await daemon.logged("stored")
    assert not daemon.log("one_way_audio")
    assert not daemon.log("silent_leg")
