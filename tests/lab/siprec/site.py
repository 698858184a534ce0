"""A daemon that is a session recording server, and the clients it knows.

Each client of `SOURCES` is a peer of its own, by its ports; how it is recognised and
what shows that the parties were told is in its `[[siprec]]` entry.
"""

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.integration.conftest import tone
from tests.lab.daemon import Daemon
from tests.lab.secure import secured
from tests.lab.siprec.src import Client
from tests.ports import free_ports

STATEMENT = "the client plays the notice before it connects"
EXEMPT = "0409999999"
_TOLD = f'notice = "statement:{STATEMENT}"\n'
SOURCES = {
    "sbc": _TOLD,
    # Takes all that its peer sends for recording sessions.
    "legacy": f'{_TOLD}recognise = "legacy"\ndirection = "inbound"\n',
    "oracle": f"{_TOLD}"
    'officer = ["extension:callingParty=false"]\n'
    'calling = ["extension:callingParty=true"]\n',
    "avaya": f'{_TOLD}officer = ["label:20"]\ndirection = "inbound"\n',
    "header": 'notice = "header:X-Notice=played*"\n',
    "metadata": 'notice = "extension:announcement=played"\n',
    "careless": 'notice = "header:X-Notice=played*"\non_notice_failure = "record"\n',
}
"What is in the entry of each beside its name and its peer."
PORTS = 24
"Of each source: as many clients may stand at once."


@dataclass
class Site:
    """The daemon, and the clients' side of its configuration."""

    daemon: Daemon
    tls_port: int
    tls: ssl.SSLContext
    _ports: dict[str, list[int]] = field(default_factory=dict)

    def client(self, source: str = "sbc", **more: Any) -> Client:
        """A client of a source, at a port that no other has."""
        transport = more.setdefault("transport", "udp")
        if transport == "tls":
            [port] = free_ports(1)
            return Client(port, self.tls_port, tls=self.tls, **more)
        return Client(self.port(source), self.daemon.sip, **more)

    def port(self, source: str) -> int:
        """A port at which a client is of that source."""
        return self._ports[source].pop()

    def stop(self) -> None:
        """End the daemon in good order."""
        self.daemon.stop()


def recording_server(root: Path, **options: Any) -> Site:
    """One, not started yet."""
    options.setdefault("recording", f'exempt = ["{EXEMPT}"]')
    daemon = Daemon(root, notice=tone(600, 0.4), **options)
    # Who comes with the certificate of the trunk is a client over TLS.
    secure = secured(daemon)
    daemon.amend(
        '[[peers]]\nname = "officers"',
        '[[peers]]\nname = "secure"\nmatch = ["tls:src.example"]\nsrtp = "require"\n'
        '[[peers]]\nname = "officers"',
    )
    ports = {name: free_ports(PORTS) for name in SOURCES}
    entries = [_entry("secure", SOURCES["sbc"])]
    peers = ""
    for name, keys in SOURCES.items():
        matches = ", ".join(f'"127.0.0.1:{port}"' for port in ports[name])
        peers += f'[[peers]]\nname = "{name}"\nmatch = [{matches}]\ntrusted = true\n'
        entries.append(_entry(name, keys))
    daemon.amend(
        '[[peers]]\nname = "secure"', f'{peers}[[peers]]\nname = "secure"'
    ).amend("[officers]", f"{''.join(entries)}[officers]")
    files = secure.authority.issue("src.example")
    return Site(daemon, secure.port, files.client(), ports)


def _entry(name: str, keys: str) -> str:
    return f'[[siprec]]\nname = "beside-{name}"\nfrom = "{name}"\n{keys}'
