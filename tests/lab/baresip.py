"""baresip as a phone, one process for each, steered over its control port."""

import asyncio
import contextlib
import json
import wave
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np

from tests.lab.certificates import Certificate
from tests.lab.daemon import wav_file
from tests.lab.parties import sine
from tests.lab.peers import BARESIP
from tests.lab.process import Process, bound, running
from tests.patience import PATIENCE
from tests.ports import free_ports

_CONFIG = """\
poll_method epoll
sip_listen 127.0.0.1:{port}
sip_verify_server yes
call_local_timeout 60
call_max_calls 4
audio_path {folder}
audio_player aubridge,nobody
audio_source aufile,{folder}/speech.wav
audio_alert aufile,{folder}/alert.wav
ausrc_srate {rate}
auplay_srate {rate}
ausrc_channels {channels}
auplay_channels {channels}
audio_level no
ausrc_format s16
auplay_format s16
auenc_format s16
audec_format s16
audio_buffer 20-160
rtp_ports {rtp}-{rtp_last}
rtcp_mux no
net_interface 127.0.0.1
opus_bitrate 28000
module_path {modules}
module g711.so
module g722.so
module opus.so
module aufile.so
module aubridge.so
module sndfile.so
snd_path {folder}
module srtp.so
module_app account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen 127.0.0.1:{control}
{more}
"""


class Baresip:
    """One baresip: what it is told and what it tells."""

    def __init__(self, folder: Path, port: int, process: Process) -> None:
        self.folder = folder
        self._process = process
        self.port = port
        self._events: list[dict[str, Any]] = []
        self._answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._changed = asyncio.Condition()
        self._writer: asyncio.StreamWriter | None = None

    async def attend(self, control: int) -> None:
        """Listen at its control port until it closes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", control)
        self._writer = writer
        try:
            while True:
                length = int((await reader.readuntil(b":"))[:-1])
                message = json.loads((await reader.readexactly(length + 1))[:-1])
                if message.get("event"):
                    async with self._changed:
                        self._events.append(message)
                        self._changed.notify_all()
                else:
                    self._answers.put_nowait(message)
        finally:
            writer.close()

    async def tell(self, command: str, parameters: str = "") -> str:
        """Carry out one command; returns its answer."""
        while self._writer is None:
            await asyncio.sleep(0.01)
        message = json.dumps({"command": command, "params": parameters}).encode()
        self._writer.write(b"%d:%s," % (len(message), message))
        async with asyncio.timeout(PATIENCE):
            answer = await self._answers.get()
        # It resumes, and says that it could not.
        assert answer["ok"] or command == "resume", answer
        return str(answer["data"])

    async def happens(self, kind: str, *, count: int = 1, seconds: float = 15) -> None:
        """Wait until an event of this type has been told `count` times."""

        def told() -> bool:
            return sum(event["type"] == kind for event in self._events) >= count

        try:
            async with asyncio.timeout(seconds), self._changed:
                await self._changed.wait_for(told)
        except TimeoutError:
            kinds = [event["type"] for event in self._events]
            raise AssertionError(f"baresip told {kinds}, not {kind}") from None

    async def dial(self, uri: str) -> None:
        await self.tell("dial", uri)

    async def answer(self) -> None:
        """Let it ring, then answer."""
        await self.happens("CALL_INCOMING")
        await self.tell("accept")
        await self.happens("CALL_ESTABLISHED")

    async def hang_up(self) -> None:
        await self.tell("hangup")
        await self.closed()

    async def closed(self) -> None:
        """Wait until its call is over."""
        await self.happens("CALL_CLOSED")

    async def hold(self) -> None:
        await self.tell("hold")

    async def resume(self) -> None:
        await self.tell("resume")

    async def transfer(self, uri: str) -> None:
        """Hand its call on, blind."""
        await self.tell("transfer", uri)

    def spoke(self, transport: str) -> bool:
        """Whether its trace shows messages over TCP, TLS or UDP."""
        return f"{transport} 127.0.0.1:" in self._process.said

    @property
    def heard(self) -> np.ndarray:
        """What it heard in its last call, full scale 1.0; whole once that is over."""
        dumps = self.folder.glob("dump-*-dec.wav")
        latest = max(dumps, key=lambda path: path.stat().st_mtime)
        with wave.open(str(latest)) as file:
            data = file.readframes(file.getnframes())
            channels = file.getnchannels()
        return np.frombuffer(data, "<i2")[::channels] / 32768.0


def shows(certificate: Certificate) -> str:
    """Settings of TLS: what it shows, and whose certificates it believes."""
    both = certificate.key.with_suffix(".both")
    both.write_text(certificate.certificate.read_text() + certificate.key.read_text())
    return f"sip_certificate {both}\nsip_cafile {certificate.ca}\n"


@contextlib.asynccontextmanager
async def baresip(
    root: Path,
    *,
    port: int,
    user: str,
    agent: int,
    hertz: float,
    codecs: str = "pcma",
    account: str = "",
    more: str = "",
) -> AsyncIterator[Baresip]:
    """A phone at `port` that says a tone; `account` is more of its account's line."""
    folder = root / f"baresip-{user}-{port}"
    folder.mkdir()
    control, rtp, *_, rtp_last = free_ports(6)
    rate = 48000 if "opus" in codecs else 16000 if "g722" in codecs.lower() else 8000
    # Opus is always said to be stereo (RFC 7587 section 7); it takes nothing less.
    channels = 2 if "opus" in codecs else 1
    speech = np.frombuffer(sine(hertz, 30, rate=rate), "<i2")
    wav_file(folder / "speech.wav", speech.repeat(channels).tobytes(), rate, channels)
    (folder / "config").write_text(
        _CONFIG.format(
            port=port,
            folder=folder,
            rate=rate,
            channels=channels,
            rtp=min(rtp, rtp_last),
            rtp_last=max(rtp, rtp_last),
            modules=BARESIP.root / "usr/lib/baresip/modules",
            control=control,
            more=more,
        )
    )
    (folder / "accounts").write_text(
        f"<sip:{user}@127.0.0.1:{agent}>;regint=0;answermode=manual"
        f";audio_codecs={codecs}{account}\n"
    )
    (folder / "contacts").touch()
    command = [*BARESIP.command, "-f", str(folder), "-s"]
    with running("baresip", folder, command, HOME=str(folder)) as process:
        await process.ready(lambda: bound(control, "tcp") and bound(port))
        phone = Baresip(folder, port, process)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(phone.attend(control))
            yield phone
            task.cancel()
