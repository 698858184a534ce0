"""Scenes that every make of phone plays: our own at one end, theirs at the other."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Protocol

import numpy as np

from agent.cli.phone import Phone
from tests.lab.calls import recorded
from tests.lab.daemon import Daemon, Recording
from tests.lab.parties import channels, goertzel_db, tone_phone

CUSTOMER_HZ = 1000
OFFICER_HZ = 1700
NOTICE_HZ = 600


@contextlib.asynccontextmanager
async def our_phone(
    port: int, user: str, hertz: float, *, answer_after: float | None = 0.2
) -> AsyncIterator[Phone]:
    """A phone of our own, started; it says its tone when told to speak."""
    phone = tone_phone(port, user, hertz)
    phone.answer_after = answer_after
    await phone.start()
    try:
        yield phone
    finally:
        await phone.close()
        await asyncio.sleep(0.01)


class SoftPhone(Protocol):
    """What a phone of another make is asked for."""

    async def dial(self, uri: str) -> None: ...
    async def answer(self) -> None: ...
    async def hang_up(self) -> None: ...
    async def closed(self) -> None: ...
    async def hold(self) -> None: ...
    async def resume(self) -> None: ...

    @property
    def heard(self) -> np.ndarray: ...


async def talk(
    daemon: Daemon, *ours: Phone, segment: int = 1, seconds: float = 1.0
) -> None:
    """Wait until a segment is recorded; phones of ours speak, for so long."""
    await daemon.logged("recording_begun", count=segment)
    for phone in ours:
        phone.speak()
    await asyncio.sleep(seconds)


async def hold_once(daemon: Daemon, phone: SoftPhone, *, seconds: float = 0.8) -> None:
    """In a talk: held for a while, and resumed for another."""
    await phone.hold()
    await daemon.logged("held")
    await asyncio.sleep(seconds)
    await phone.resume()
    await daemon.logged("resumed")
    await asyncio.sleep(seconds)


async def rings(phone: Phone, seconds: float = 10) -> None:
    """Wait until an INVITE has reached a phone of ours."""
    async with asyncio.timeout(seconds):
        while not phone._session:
            await asyncio.sleep(0.02)


def has_tone(samples: np.ndarray, hertz: float, rate: int = 8000) -> bool:
    """Whether a tone is heard loudly for a tenth of a second."""
    return goertzel_db(samples, hertz * 8000 / rate, rate // 10) > -20


def lacks_tone(samples: np.ndarray, hertz: float, rate: int = 8000) -> bool:
    """Whether a tone is heard nowhere at all."""
    return goertzel_db(samples, hertz * 8000 / rate, rate // 10) < -40


def check_sides(
    recording: Recording, left: float = CUSTOMER_HZ, right: float = OFFICER_HZ
) -> None:
    """The customer's tone is left and the officer's right; nothing else is there."""
    rate = recording.manifest.audio.sample_rate
    customer, officer = channels(recording.wav)
    assert has_tone(customer, left, rate)
    assert lacks_tone(customer, right, rate)
    assert has_tone(officer, right, rate)
    assert lacks_tone(officer, left, rate)
    assert lacks_tone(customer, NOTICE_HZ, rate)
    assert lacks_tone(officer, NOTICE_HZ, rate)


async def check_recorded(
    daemon: Daemon, cause: str, *, officer: str = "201"
) -> Recording:
    """One call, one recording, both tones on their side."""
    recording = await recorded(daemon, cause, officer=officer)
    check_sides(recording)
    return recording


async def officer_ends(daemon: Daemon, caller: SoftPhone, officer: Phone) -> Recording:
    """Our phone answers another's call, both talk, and ours hangs up."""
    await officer.connected.wait()
    await talk(daemon, officer)
    officer.hang_up()
    await caller.closed()
    return await check_recorded(daemon, "officer-hangup")


def check_held(daemon: Daemon, recording: Recording) -> None:
    """Held and resumed once, both channels silent meanwhile and whole around it."""
    assert len(daemon.log("held")) == len(daemon.log("resumed")) == 1
    gaps = [gap for gap in recording.manifest.gaps if gap.reason == "hold"]
    assert {gap.leg for gap in gaps} == {0, 1}
    for gap in gaps:
        samples = channels(recording.wav)[gap.leg]
        rate = recording.manifest.audio.sample_rate // 1000
        start = (gap.start_ms + 40) * rate
        end = (gap.start_ms + gap.duration_ms - 40) * rate
        assert gap.duration_ms > 500
        assert np.abs(samples[start:end]).max() < 0.001
        hertz = (CUSTOMER_HZ, OFFICER_HZ)[gap.leg]
        assert has_tone(samples[:start], hertz, rate * 1000)
        assert has_tone(samples[end:], hertz, rate * 1000)
