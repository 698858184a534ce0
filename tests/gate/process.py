"""The gate as its own process, on directories: to be killed, and to be measured."""

import os
import socket
import ssl
import subprocess
import sys
from datetime import date
from pathlib import Path

import httpx

from agent.archive.keyring import Keyring
from agent.common.ids import new_id
from agent.formats.blind_index import blind
from agent.formats.day_keys import DayKey
from agent.formats.envelope import wrap
from agent.formats.layout import envelope_key, index_key, month_of
from agent.gate.opening import read_identities
from agent.upload.backend import StorageBackend
from tests.gate.rig import CALLER, inner_envelope
from tests.gate.site import GateSite
from tests.lab.process import started
from tests.patience import PATIENCE

READY_WITHIN = 60.0
PROGRAM = ("-c", "from agent.gate.main import main; main()", "run", "-c")


class GateProcess:
    """`recording-agent-gate run`, started and killed by its pid."""

    def __init__(self, site: GateSite) -> None:
        self._site = site
        self._process: subprocess.Popen[bytes] | None = None
        self.log = site.folder / "gate.log"

    def start(self) -> None:
        """Start it, and wait until it says that it is ready."""
        path = self._site.folder / "notify"
        path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
            told.bind(str(path))
            told.settimeout(READY_WITHIN)
            with self.log.open("ab") as log:
                self._process = started(
                    [sys.executable, *PROGRAM, str(self._site.path)],
                    env={**os.environ, "NOTIFY_SOCKET": str(path)},
                    stdout=log,
                    stderr=log,
                )
            try:
                assert told.recv(100) == b"READY=1"
            except TimeoutError:
                self.kill()
                raise AssertionError(self.log.read_text()[-2000:]) from None

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def cpu_seconds(self) -> float:
        """What it has used until now, user and system."""
        assert self._process is not None
        stat = Path(f"/proc/{self._process.pid}/stat").read_text()
        fields = stat.rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def client(self, connections: int = 8) -> httpx.AsyncClient:
        """As p-quinn, of the quality staff."""

        folder = self._site.folder
        tls = ssl.create_default_context(cafile=str(folder / "issuer.pem"))
        tls.load_cert_chain(folder / "quinn.pem", folder / "quinn.key")
        host, port = self._site.config().gate.address
        return httpx.AsyncClient(
            base_url=f"https://{host}:{port}",
            verify=tls,
            trust_env=False,
            timeout=PATIENCE,
            limits=httpx.Limits(max_connections=connections),
        )


async def prepare(
    site: GateSite, state: StorageBackend, day: date, count: int
) -> list[str]:
    """A keyring, a roster that names it, and so many recordings of a day; their ids."""
    config = site.config()
    folder = site.folder / config.keyring.folder
    identities = read_identities(config, site.secrets())
    keyring = await Keyring.create(folder, identities, kind=config.keyring.key_kind)
    site.name_gate(keyring.signing_key.public)
    await keyring.new_generation(day)
    recipient = str(keyring.day_identity(day, 1).recipient())
    key = DayKey(day=day.isoformat(), generation=1, recipient=recipient)
    month = keyring.index_key(month_of(day))
    named = blind(month, "caller", CALLER)
    inner = inner_envelope()
    ids = [new_id() for _ in range(count)]
    for one in ids:
        await state.put(envelope_key(day, one), wrap(inner, one, key, os.urandom))
        await state.put(index_key(month_of(day), "caller", named, one), b"")
    keyring.close()
    return ids


def widen_limits(path: Path) -> None:
    """Let one person release as often as a test likes."""
    text = path.read_text()
    path.write_text(f"{text}\n[limits]\nreleases = 100000\nreleases_alarm = 100000\n")
