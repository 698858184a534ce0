"""A daemon that is a session recording server, and the clients it knows.

Each of `SOURCES` is a peer of its own, at an address of its own; how its sessions are
recognised and what shows that the parties were told is in its `[[siprec]]` entry.
"""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.model.media import Address
from tests.integration.conftest import tone
from tests.lab.daemon import Daemon
from tests.lab.secure import secured
from tests.lab.siprec.src import Client
from tests.ports import free_ports

STATEMENT = "the client plays the notice before it connects"
EXEMPT = "0409999999"
_TOLD = f'notice = "statement:{STATEMENT}"\n'
_HEADER = 'notice = "header:X-Notice=played*"\n'
_INBOUND = 'direction = "inbound"\n'
SOURCES = {
    "sbc": f"{_TOLD}{_INBOUND}",
    # Its metadata tells who is recorded, and who rang whom.
    "broadworks": f'{_TOLD}recognise = "legacy"\n',
    # Takes all that its peer sends for recording sessions.
    "legacy": f'{_TOLD}recognise = "legacy"\n{_INBOUND}',
    "oracle": f"{_TOLD}"
    'officer = ["extension:callingParty=false"]\n'
    'calling = ["extension:callingParty=true"]\n',
    "avaya": f'{_TOLD}officer = ["label:20"]\n{_INBOUND}',
    "header": f"{_HEADER}{_INBOUND}",
    "metadata": f'notice = "extension:announcement=played"\n{_INBOUND}',
    "careless": f'{_HEADER}{_INBOUND}on_notice_failure = "record"\n',
}
"What is in the entry of each beside its name and its peer."


@dataclass(frozen=True)
class Site:
    """The daemon, and the clients' side of its configuration."""

    daemon: Daemon
    tls_port: int
    tls: ssl.SSLContext

    def client(self, source: str = "sbc", **more: Any) -> Client:
        """A client of a source; over TLS it is one by its certificate."""
        remote = self.daemon.sip
        if more.get("transport") == "tls":
            more["tls"], remote = self.tls, self.tls_port
        return client_of(source, remote, **more)

    def stop(self) -> None:
        """End the daemon in good order."""
        self.daemon.stop()


def client_of(source: str, remote: int, **more: Any) -> Client:
    """A client of a source, whose server listens at the port `remote`."""
    [port] = free_ports(1)
    return Client(Address(host_of(source), port), remote, **more)


def host_of(source: str) -> str:
    """Where the clients of a source are."""
    return f"127.0.1.{[*SOURCES].index(source) + 1}"


def recording_server(root: Path, **options: Any) -> Site:
    """One, not started yet."""
    options.setdefault("recording", f'exempt = ["{EXEMPT}"]')
    daemon = Daemon(root, notice=tone(600, 0.4), **options)
    secure = secured(with_sources(daemon))
    daemon.amend(
        "[[routes]]",
        '[[peers]]\nname = "secure"\nmatch = ["tls:src.example"]\nsrtp = "require"\n'
        "[[routes]]",
    ).amend("[officers]", f"{_entry('secure', SOURCES['sbc'])}[officers]")
    certificate = secure.authority.issue("src.example")
    return Site(daemon, secure.port, certificate.client())


def with_sources(daemon: Daemon) -> Daemon:
    """Have a daemon know all sources, before it starts."""
    peers = entries = ""
    for name, keys in SOURCES.items():
        match = f'match = ["{host_of(name)}"]\ntrusted = true'
        peers += f'[[peers]]\nname = "{name}"\n{match}\n'
        entries += _entry(name, keys)
    daemon.amend("[[routes]]", f"{peers}[[routes]]")
    return daemon.amend("[officers]", f"{entries}[officers]")


def _entry(name: str, keys: str) -> str:
    return f'[[siprec]]\nname = "beside-{name}"\nfrom = "{name}"\n{keys}'
