"""Other people's phones: pyVoIP and its fork rfcvoip, each in a process of its own."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from agent.cli.phone import Phone
from agent.formats.codecs.g711 import encode_alaw, encode_ulaw
from agent.formats.container import decode_to_pcm16, read_wav
from agent.model.media import Address
from tests.integration.conftest import tone
from tests.lab.daemon import CALLER, ROOT, SERVICE, Daemon, Recording
from tests.lab.scenes import talk
from tests.patience import PATIENCE
from tests.ports import free_ports

pytestmark = pytest.mark.integration

LIBRARIES = ("pyVoIP", "rfcvoip")
SCRIPT = ROOT / "tests/lab/voip_phone.py"
OURS = 1700
THEIRS = 800


def _answers(library: str) -> pytest.MarkDecorator:
    return pytest.mark.interop(
        library, "as an officer: rings, answers, customer hangs up"
    )


class Foreign:
    """What a phone of another make says."""

    def __init__(self, process: asyncio.subprocess.Process, folder: Path) -> None:
        self._process = process
        self._heard = folder / "heard.raw"
        self.said: list[str] = []

    async def says(self, event: str) -> None:
        """Wait until it has said so."""
        assert self._process.stdout is not None
        while event not in self.said:
            line = await self._process.stdout.readline()
            assert line, f"it ended after {self.said}, before {event}"
            if line.startswith(b"{"):
                self.said.append(json.loads(line)["event"])

    @property
    def heard(self) -> np.ndarray:
        samples = np.frombuffer(self._heard.read_bytes(), np.uint8)
        return samples.astype(float) - 128


@asynccontextmanager
async def foreign(
    daemon: Daemon,
    folder: Path,
    library: str,
    role: str,
    port: int,
    *,
    user: str,
    number: str = SERVICE,
    seconds: float = 2,
) -> AsyncIterator[Foreign]:
    """A phone in a process of its own, killed at the end if it still runs."""
    errors = (folder / f"{library}.err").open("wb")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-W",
        "ignore",
        str(SCRIPT),
        *(library, role, str(daemon.sip), str(port), str(free_ports(3)[0])),
        *(user, number, str(seconds), str(folder)),
        stdout=asyncio.subprocess.PIPE,
        stderr=errors,
    )
    errors.close()
    try:
        yield Foreign(process, folder)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def ours(port: int, user: str) -> Phone:
    samples = tone(OURS, 10)
    return Phone(
        Address("127.0.0.1", port),
        free_ports(1)[0],
        user,
        answer_after=0.3,
        speech={"PCMA": encode_alaw(samples), "PCMU": encode_ulaw(samples)},
    )


def has_tone(samples: np.ndarray, hertz: float) -> bool:
    """Whether half a second of a tone stands out somewhere."""
    size = 4000
    for start in range(0, len(samples) - size + 1, size // 2):
        spectrum = np.abs(np.fft.rfft(samples[start : start + size]))
        spectrum[0] = 0
        near = spectrum[round(hertz * size / 8000) - 2 :][:5]
        if near.max() > 1000 and near.max() == spectrum.max():
            return True
    return False


def channels(recording: Recording) -> tuple[np.ndarray, np.ndarray]:
    samples = np.frombuffer(decode_to_pcm16(read_wav(recording.wav)).samples, "<i2")
    return samples[0::2].astype(float), samples[1::2].astype(float)


@pytest.mark.parametrize(
    "library", [pytest.param(name, marks=_answers(name)) for name in LIBRARIES]
)
async def test_it_answers_as_the_officer(
    daemon_at: Callable[..., Daemon], tmp_path: Path, library: str
) -> None:
    # pyVoIP labels its mu-law as PCMA where that is chosen: let it speak PCMU.
    daemon = daemon_at(route='codecs = ["PCMU", "PCMA"]').start()
    caller = ours(daemon.caller, CALLER)
    await caller.start()
    try:
        async with (
            asyncio.timeout(20),
            foreign(
                daemon, tmp_path, library, "answer", daemon.officers[0], user="201"
            ) as officer,
        ):
            await officer.says("ready")
            await caller.call(daemon.number())
            await talk(daemon, caller, seconds=2.5)
            caller.hang_up()
            await officer.says("ended")
            await daemon.logged("stored")
            assert has_tone(officer.heard, OURS)
    finally:
        await caller.close()
    [recording] = daemon.recordings()
    customer, officer_side = channels(recording)
    assert has_tone(customer, OURS)
    assert has_tone(officer_side, THEIRS)
    assert not has_tone(customer, THEIRS)
    assert recording.manifest.end_cause == "caller-hangup"
    assert [o.name for o in recording.manifest.officers] == ["Officer One"]
    assert daemon.rows()[0].outcome == "recorded"
    assert not daemon.log("call_failed") + daemon.log("task_failed")


@pytest.mark.interop("rfcvoip", "as the customer: notice, talk, hang up")
async def test_rfcvoip_calls_as_the_customer(daemon: Daemon, tmp_path: Path) -> None:
    officer = ours(daemon.officers[0], "201")
    await officer.start()
    try:
        async with (
            asyncio.timeout(20),
            foreign(
                daemon,
                tmp_path,
                "rfcvoip",
                "call",
                daemon.caller,
                user=CALLER,
                seconds=3,
            ) as caller,
        ):
            await caller.says("ready")
            await officer.connected.wait()
            await daemon.logged("recording_begun")
            officer.speak()
            await caller.says("hung_up")
            await officer.ended.wait()
            await daemon.logged("stored")
            assert has_tone(caller.heard, OURS)
    finally:
        await officer.close()
    [recording] = daemon.recordings()
    customer, officer_side = channels(recording)
    assert has_tone(customer, THEIRS)
    assert has_tone(officer_side, OURS)
    assert recording.manifest.caller == "+358401234567"
    assert recording.manifest.end_cause == "caller-hangup"
    assert daemon.rows()[0].outcome == "recorded"
    assert not daemon.log("call_failed") + daemon.log("task_failed")


@pytest.mark.interop(
    "pyVoIP", "as the customer: its ACK belongs to no dialog; others unharmed"
)
async def test_a_caller_that_cannot_acknowledge_harms_nobody(
    daemon: Daemon, tmp_path: Path
) -> None:
    """pyVoIP makes up a new To tag for its ACK, so that it belongs to no dialog."""
    caller_port = daemon.caller
    officer = ours(daemon.officers[0], "201")
    await officer.start()
    try:
        async with asyncio.timeout(PATIENCE):
            async with foreign(
                daemon, tmp_path, "pyVoIP", "call", caller_port, user=CALLER
            ) as broken:
                await broken.says("ready")
                await broken.says("hung_up")
                ended = await daemon.logged("ended")
            assert ended["outcome"] == "abandoned"
            assert daemon.log("officer_answered") == []
            # The next call, from the same address, goes as it should.
            caller = ours(caller_port, CALLER)
            await caller.start()
            try:
                await caller.call(daemon.number())
                await daemon.logged("recording_begun")
                caller.hang_up()
                await daemon.logged("ended", count=2)
                await daemon.logged("stored")
            finally:
                await caller.close()
    finally:
        await officer.close()
    assert not daemon.log("call_failed") + daemon.log("task_failed")
