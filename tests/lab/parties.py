"""The two ends of a call, and what can be said about the audio between them."""

import asyncio
import contextlib
import io
import math
import random
import struct
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass

import numpy as np
import soundfile

from agent.cli.phone import Phone
from agent.formats.codecs.g711 import decode_alaw, encode_alaw, encode_ulaw
from agent.formats.container import decode_to_pcm16, read_wav
from agent.model.media import Address
from agent.recording.ledger import LedgerRow
from tests.lab.daemon import CALLER, SERVICE, Daemon
from tests.patience import PATIENCE
from tests.ports import free_ports

RATE = 8000
FRAME = 160


def sine(
    frequency: float, seconds: float, amplitude: int = 9000, rate: int = RATE
) -> bytes:
    """16-bit samples, whole 20 ms frames."""
    count = round(seconds * 50) * (rate // 50)
    step = 2 * math.pi * frequency / rate
    values = (round(amplitude * math.sin(step * n)) for n in range(count))
    return b"".join(struct.pack("<h", value) for value in values)


def noise(seconds: float, seed: int) -> bytes:
    """A-law bytes no two frames of which are alike."""
    return random.Random(seed).randbytes(round(seconds * RATE))


def tone_phone(port: int, user: str, frequency: float) -> Phone:
    """A phone that says a tone for half a minute when told to speak."""
    phone = Phone(Address("127.0.0.1", port), free_ports(1)[0], user)
    say(phone, frequency)
    return phone


def say(phone: Phone, frequency: float, seconds: float = 30.0) -> None:
    """Change what a phone says from its next `speak` on."""
    pcm = sine(frequency, seconds)
    phone.speech = {"PCMA": encode_alaw(pcm), "PCMU": encode_ulaw(pcm)}


@dataclass
class Parties:
    """A caller and an officer, and the daemon between them."""

    daemon: Daemon
    caller: Phone
    officer: Phone

    async def ring(self, number: str = SERVICE) -> None:
        """The caller dials; returns at once."""
        await self.caller.call(f"sip:{number}@127.0.0.1:{self.daemon.sip}")

    async def connect(self) -> None:
        """Dial, wait for the officer's answer, both begin to speak."""
        await self.ring()
        await until(self.officer.connected)
        self.caller.speak()
        self.officer.speak()

    async def talk(self, seconds: float) -> None:
        """Connect, and speak for so long."""
        await self.connect()
        await asyncio.sleep(seconds)

    async def hang_up(self) -> None:
        """The caller hangs up; returns when the officer has heard of it."""
        self.caller.hang_up()
        await until(self.officer.ended)


@contextlib.asynccontextmanager
async def parties(
    daemon: Daemon,
    *,
    answer_after: float | None = 0.05,
    caller: float = 1000,
    officer: float = 1700,
) -> AsyncIterator[Parties]:
    """A caller at the trunk and the first officer, started and closed at the end."""
    first = tone_phone(daemon.caller, CALLER, caller)
    second = tone_phone(daemon.officers[0], "201", officer)
    second.answer_after = answer_after
    await first.start()
    await second.start()
    try:
        yield Parties(daemon, first, second)
    finally:
        await first.close()
        await second.close()
        # A transport lets its port go in the loop's next turn.
        await asyncio.sleep(0.01)


async def until(event: asyncio.Event, seconds: float = PATIENCE) -> None:
    """Wait for an event, not for ever."""
    async with asyncio.timeout(seconds):
        await event.wait()


async def closed_row(daemon: Daemon, seconds: float = PATIENCE) -> LedgerRow:
    """The newest call's ledger row, once it is closed."""
    async with asyncio.timeout(seconds):
        while (row := daemon.rows()[0]).outcome is None:
            await asyncio.sleep(0.02)
    return row


def audio_of(phone: Phone, since_ns: int = 0) -> bytes:
    """The payloads a phone received."""
    return b"".join(h.packet.payload for h in phone.heard if h.arrival_ns >= since_ns)


def channels(audio: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Left and right of a recording's audio file, full scale 1.0."""
    if audio.startswith(b"RIFF"):
        pcm = decode_to_pcm16(read_wav(audio))
        samples = np.frombuffer(pcm.samples, dtype="<i2").reshape(-1, 2) / 32768.0
    else:
        samples, _ = soundfile.read(io.BytesIO(audio), always_2d=True)
    return samples[:, 0], samples[:, 1]


def alaw(data: bytes) -> np.ndarray:
    """A-law as samples, full scale 1.0."""
    return np.frombuffer(decode_alaw(data), dtype="<i2") / 32768.0


def goertzel_db(samples: np.ndarray, frequency: float, window: int = 800) -> float:
    """The loudest a frequency ever is, in dB of a full-scale sine.

    Over half-overlapping Hann windows of 100 ms: a tone counts also where it is short.
    """
    shape = np.hanning(window)
    turn = np.exp(-2j * math.pi * frequency / RATE * np.arange(window)) * shape
    padded = np.concatenate([samples, np.zeros(window)])
    levels = [
        abs(np.dot(padded[start : start + window], turn)) * 2 / shape.sum()
        for start in range(0, len(samples), window // 2)
    ]
    return 20 * math.log10(max([*levels, 1e-9]))


def tone_seconds(samples: np.ndarray, frequency: float, above_db: float = -20) -> float:
    """For how long a frequency is heard, to 20 ms."""
    return 0.02 * sum(
        goertzel_db(samples[start : start + FRAME], frequency, FRAME) > above_db
        for start in range(0, len(samples) - FRAME + 1, FRAME)
    )


def tone_frames(payloads: Iterable[bytes], frequency: float) -> int:
    """How many frames carry a frequency."""
    return sum(goertzel_db(alaw(p), frequency, len(p)) > -20 for p in payloads if p)
