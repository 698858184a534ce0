"""What tests of single calls share: phones of our own, and what must be true after."""

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

import soundfile

from agent.cli.phone import Phone
from agent.formats.codecs.g711 import (
    encode_alaw,
    encode_ulaw,
)
from agent.formats.container import SampleFormat, read_wav
from agent.model.media import Address
from agent.recording.ledger import LedgerRow
from agent.signalling.sip import core as sip
from tests.integration.conftest import tone
from tests.lab.daemon import SERVICE, Daemon, Recording
from tests.patience import PATIENCE
from tests.ports import free_ports

CUSTOMER = "+358401234567"


P = TypeVar("P", bound=Phone)


def phone(port: int, user: str, frequency: float, kind: type[P] = Phone) -> P:
    samples = tone(frequency, 30)
    return kind(
        Address("127.0.0.1", port),
        free_ports(1)[0],
        user,
        answer_after=0.2,
        speech={"PCMA": encode_alaw(samples), "PCMU": encode_ulaw(samples)},
    )


class TalkativePhone(Phone):
    """A phone that goes on sending while it is held."""

    def _on_sip(self, event: sip.Event) -> None:
        agreed = self.audio
        super()._on_sip(event)
        if isinstance(event, sip.OfferReceived):
            self.audio = agreed


@asynccontextmanager
async def talking(daemon: Daemon, caller: Phone, officer: Phone) -> AsyncIterator[None]:
    """A call between two phones of our own, both speaking; the caller hangs up."""
    await caller.start()
    await officer.start()
    try:
        async with asyncio.timeout(PATIENCE):
            await caller.call(daemon.number())
            await officer.connected.wait()
            await daemon.logged("recording_begun")
            caller.speak()
            officer.speak()
            yield
            caller.hang_up()
            await officer.ended.wait()
    finally:
        await caller.close()
        await officer.close()


def heard(party: Phone) -> bytes:
    return b"".join(h.packet.payload for h in party.heard)


def frames(pcm16: bytes) -> list[memoryview]:
    """20 ms of samples each."""
    samples = memoryview(pcm16).cast("h")
    return [samples[i : i + 160] for i in range(0, len(samples), 160)]


def channel(recording: Recording, index: int) -> bytes:
    """One channel's samples, as the container has them; 16-bit out of a FLAC file."""
    if recording.wav.startswith(b"fLaC"):
        pairs, _ = soundfile.read(io.BytesIO(recording.wav), dtype="int16")
        return bytes(pairs[:, index].tobytes())
    wav = read_wav(recording.wav)
    if wav.format == SampleFormat.PCM16:
        pairs = memoryview(wav.samples).cast("h")
        return bytes(pairs[index::2].tobytes())
    return wav.samples[index::2]


async def ended(daemon: Daemon, outcome: str, cause: str | None = "") -> LedgerRow:
    """The only call's ledger row, which its log line must agree with."""
    line = await daemon.logged("ended")
    assert line["outcome"] == outcome
    async with asyncio.timeout(PATIENCE):
        while (row := daemon.rows()[0]).outcome is None:
            await asyncio.sleep(0.02)
    assert len(daemon.rows()) == len(daemon.log("ended")) == 1
    assert (row.call_id, row.outcome) == (line["call_id"], outcome)
    assert row.cause == (line["cause"] or "") == (cause or "")
    assert row.sip_status == line["sip_status"]
    assert not daemon.log("call_failed") + daemon.log("task_failed")
    return row


async def recorded(daemon: Daemon, cause: str, *, officer: str = "201") -> Recording:
    """The only recording of the only call; its tags are checked."""
    row = await ended(daemon, "recorded", cause)
    await daemon.logged("stored")
    [recording] = daemon.recordings()
    manifest = recording.manifest
    assert [r.recording_id for r in row.recordings] == [recording.id]
    assert manifest.outcome == "recorded"
    assert manifest.end_cause == cause
    assert manifest.service == SERVICE
    assert [o.number for o in manifest.officers] == [officer]
    assert [n.sent_ms for n in manifest.notices] == [400]
    return recording
