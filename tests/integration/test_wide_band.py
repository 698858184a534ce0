"""Wide-band calls between two phones of another make, recorded as wide as they were."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab.asterisk import asterisk
from tests.lab.baresip import baresip
from tests.lab.daemon import CALLER, SERVICE, Daemon
from tests.lab.scenes import check_sides, has_tone
from tests.ports import free_ports

pytestmark = pytest.mark.integration
proves = pytest.mark.interop

LOW_HZ, HIGH_HZ = 2900, 5300
"Of the customer and of the officer; the second is above what G.711 can carry."


@pytest.mark.parametrize(
    ("codec", "names", "rate"),
    [
        pytest.param(
            "G722", "g722/16000/1,pcma", 16000, marks=proves("baresip", "G.722")
        ),
        pytest.param(
            "opus", "opus/48000/2,pcma", 48000, marks=proves("baresip", "Opus")
        ),
    ],
)
async def test_wide_band_on_both_legs(
    daemon_at: Callable[..., Daemon],
    tmp_path: Path,
    codec: str,
    names: str,
    rate: int,
) -> None:
    # Promised from the start: baresip cannot change its rate in a call.
    daemon = daemon_at(route=f'codecs = ["{codec}"]').start()
    async with (
        baresip(
            tmp_path,
            port=daemon.caller,
            user=CALLER,
            agent=daemon.sip,
            hertz=LOW_HZ,
            codecs=names,
        ) as caller,
        baresip(
            tmp_path,
            port=daemon.officers[0],
            user="201",
            agent=daemon.sip,
            hertz=HIGH_HZ,
            codecs=names,
        ) as officer,
    ):
        await caller.dial(daemon.number())
        await officer.answer()
        await daemon.logged("recording_begun")
        await asyncio.sleep(1.5)
        await caller.hang_up()
        await officer.happens("CALL_CLOSED")
        await daemon.logged("stored")
    [recording] = daemon.recordings()
    audio = recording.manifest.audio
    assert (audio.format, audio.sample_rate) == ("flac", rate)
    check_sides(recording, LOW_HZ, HIGH_HZ)
    assert has_tone(caller.heard, HIGH_HZ, rate)
    assert has_tone(officer.heard, LOW_HZ, rate)


@proves("Asterisk", "as the trunk: moved to G.722 once the officer has it")
async def test_the_caller_is_moved_to_wide_band(
    daemon_at: Callable[..., Daemon], tmp_path: Path
) -> None:
    daemon = daemon_at(route='codecs = ["G722", "PCMA"]').start()
    phones = free_ports(2)
    async with (
        asterisk(
            tmp_path,
            port=daemon.caller,
            agent=daemon.sip,
            phones=(phones[0], phones[1]),
            hertz=LOW_HZ,
            agent_more="disallow=all\nallow=g722,alaw",
        ) as trunk,
        baresip(
            tmp_path,
            port=daemon.officers[0],
            user="201",
            agent=daemon.sip,
            hertz=HIGH_HZ,
            codecs="g722/16000/1,pcma",
        ) as officer,
    ):
        await trunk.call(SERVICE)
        await officer.answer()
        await daemon.logged("codec_offered")
        await asyncio.sleep(2)
        await officer.hang_up()
        await daemon.logged("stored")
    [recording] = daemon.recordings()
    assert "G722" in recording.manifest.audio.codecs
    check_sides(recording, LOW_HZ, HIGH_HZ)
    assert has_tone(officer.heard, LOW_HZ, 16000)
