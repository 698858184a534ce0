"""A daemon that also listens on TCP and TLS, and the certificates of its peers."""

from dataclasses import dataclass
from pathlib import Path

from tests.lab.certificates import Authority, Certificate
from tests.lab.daemon import Daemon
from tests.ports import free_ports

TRUNK = "trunk.example"
OFFICERS = "officers.example"


@dataclass(frozen=True)
class Site:
    """What peers of a daemon with TLS need to know."""

    daemon: Daemon
    port: int
    "Its TLS port."
    ca: Path
    "PEM of the authority both sides believe."
    trunk: Certificate
    officers: Certificate
    authority: Authority
    "Which made them, and the daemon's."


def secured(daemon: Daemon, *, officers: str = "tls") -> Site:
    """Give a daemon TCP and TLS listeners; who connects must show a certificate.

    `officers` is the transport of its officers' URIs. The trunk is whoever shows the
    certificate of trunk.example, or comes from its UDP port.
    """
    authority = Authority(daemon.root / "authority")
    mine = authority.issue("127.0.0.1", "agent.example")
    [port] = free_ports(1)
    daemon.amend(
        f'listen = ["udp:127.0.0.1:{daemon.sip}"]',
        f'listen = ["udp:127.0.0.1:{daemon.sip}", "tcp:127.0.0.1:{daemon.sip}",'
        f' "tls:127.0.0.1:{port}"]',
    )
    daemon.amend(
        "[media]",
        f'[tls]\ncertificate = "{mine.certificate}"\nkey = "{mine.key}"\n'
        f'ca = "{mine.ca}"\nverify_client = "required"\n[media]',
    )
    daemon.amend(
        f'match = ["127.0.0.1:{daemon.caller}"]',
        f'match = ["127.0.0.1:{daemon.caller}", "tls:{TRUNK}"]',
    )
    for index, officer in enumerate(daemon.officers):
        # baresip's TLS listener is one port above its others.
        to = officer + 1 if officers == "tls" else officer
        daemon.amend(
            f'"127.0.0.1:{officer}"', f'"127.0.0.1:{officer}", "127.0.0.1:{to}"'
        )
        daemon.amend(
            f'"sip:{201 + index}@127.0.0.1:{officer}"',
            f'"sip:{201 + index}@127.0.0.1:{to};transport={officers}"',
        )
    return Site(
        daemon,
        port,
        authority.pem,
        authority.issue(TRUNK, "127.0.0.1"),
        authority.issue(OFFICERS, "127.0.0.1"),
        authority,
    )
