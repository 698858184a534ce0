"""linphone as a phone, one process for each, steered by its console."""

import asyncio
import contextlib
import wave
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np

from tests.lab.daemon import wav_notice
from tests.lab.parties import sine
from tests.lab.peers import LINPHONE
from tests.lab.process import Process, bound, running
from tests.lab.secure import Site
from tests.ports import free_ports

_CONFIG = """\
[sip]
sip_port={port}
contact=sip:{user}@127.0.0.1
guess_hostname=0
use_ipv6=0
ipv6_migration_done=1
bind_address=127.0.0.1
register_only_when_network_is_up=0
{sip}
[rtp]
audio_rtp_port={rtp}
bind_address=127.0.0.1
[sound]
echocancellation=0
[audio_codec_0]
mime={codec}
rate={rate}
channels={channels}
enabled=1
{more}
"""


def shown(site: Site) -> str:
    """Settings of TLS: what it shows as the trunk, and whom it believes."""
    return (
        "sip_tcp_port=-1\nsip_tls_port=-1\n"
        f"root_ca={site.ca}\nclient_cert_chain={site.trunk.certificate}\n"
        f"client_cert_key={site.trunk.key}\n"
        # It compares no address with those of a certificate.
        "verify_server_cn=0"
    )


class Linphone:
    """One linphone: what is typed and what it shows."""

    def __init__(self, folder: Path, process: Process) -> None:
        self._folder = folder
        self._process = process

    def type(self, line: str) -> None:
        self._process.type(line)

    async def shows(self, text: str, *, count: int = 1, seconds: float = 15) -> None:
        """Wait until its console has shown a text `count` times."""
        async with asyncio.timeout(seconds):
            while self._process.said.count(text) < count:
                await asyncio.sleep(0.02)

    async def answer(self) -> None:
        """Let it ring, then answer."""
        await self.shows("Receiving new incoming call")
        self.type("answer")
        await self.shows("Media streams established")

    async def dial(self, uri: str) -> None:
        self.type(f"call {uri}")

    async def hang_up(self) -> None:
        self.type("terminate")
        await self.closed()

    async def closed(self) -> None:
        """Wait until its call is over."""
        await self.shows("ended")

    async def hold(self) -> None:
        self.type("pause")

    async def resume(self) -> None:
        self.type("resume")

    async def transfer(self, uri: str) -> None:
        """Hand its call on, blind."""
        self.type(f"transfer {uri}")

    @property
    def heard(self) -> np.ndarray:
        """What it heard, full scale 1.0; whole once the call is over."""
        with wave.open(str(self._folder / "heard.wav")) as file:
            data = file.readframes(file.getnframes())
        return np.frombuffer(data, "<i2") / 32768.0


@contextlib.asynccontextmanager
async def linphone(
    root: Path,
    *,
    port: int,
    user: str,
    hertz: float,
    codec: tuple[str, int, int] = ("PCMA", 8000, 1),
    sip: str = "sip_tcp_port=0\nsip_tls_port=0",
    more: str = "",
) -> AsyncIterator[Linphone]:
    """A phone at `port` that says a tone in calls of one codec."""
    folder = root / f"linphone-{user}-{port}"
    folder.mkdir()
    # Its grammars are looked for at an absolute place or below the folder it runs in.
    (folder / ".local/share/linphone").mkdir(parents=True)
    (folder / "share").symlink_to(LINPHONE.root / "usr/share")
    wav_notice(folder / "speech.wav", sine(hertz, 30))
    name, rate, channels = codec
    (folder / "rc").write_text(
        _CONFIG.format(
            port=port,
            user=user,
            rtp=free_ports(1)[0],
            codec=name,
            rate=rate,
            channels=channels,
            sip=sip,
            more=more,
        )
    )
    command = [*LINPHONE.command, "-c", str(folder / "rc"), "-d", "6"]
    command += ["-l", str(folder / "linphone.trace")]
    with running("linphone", folder, command, HOME=str(folder)) as process:
        await process.ready(lambda: bound(port))
        phone = Linphone(folder, process)
        phone.type("soundcard use files")
        phone.type(f"play {folder}/speech.wav")
        phone.type(f"record {folder}/heard.wav")
        yield phone
