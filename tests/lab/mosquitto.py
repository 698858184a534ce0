"""A real mosquitto on 127.0.0.1: TLS with passwords or client certificates, an ACL.

The agent of host `host-a` is the user `agent`, or the certificate of that name;
`reader` sees everything, `operator` sends commands.
"""

import datetime
import signal
import socket
import subprocess
from pathlib import Path
from typing import Final

import trustme

from tests.lab.peers import MOSQUITTO, MOSQUITTO_PASSWD
from tests.lab.process import Process
from tests.ports import HOST, free_ports

PASSWORDS: Final = {
    "agent": "word-of-the-agent",
    "reader": "rpass",
    "operator": "opass",
}
ACL: Final = """
user agent
topic write recording-agent/#
topic read recording-agent/host-a/commands/#
user reader
topic read recording-agent/#
user operator
topic write recording-agent/+/commands/#
topic read recording-agent/+/answers/#
"""


class Mosquitto:
    """One broker, and its site in `folder`; it keeps its state there over a restart."""

    def __init__(self, folder: Path, *, acl: str = ACL, host: str = HOST) -> None:
        """`host` is where agents find it; who reads along finds it on this machine."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.host = host
        self.tls, self.mutual, self.plain = free_ports(3)
        self._authority = trustme.CA()
        self._authority.cert_pem.write_to_path(folder / "ca.pem")
        self.certify("server", host, "localhost")
        self.certify("client", "agent")
        for user, password in PASSWORDS.items():
            (folder / f"{user}.password").write_text(f"{password}\n")
            (folder / f"{user}.password").chmod(0o600)
        self._write_passwords()
        self.write_acl(acl)
        (folder / "data").mkdir(exist_ok=True)
        (folder / "mosquitto.conf").write_text(self._configuration())
        self._process: Process | None = None

    def certify(
        self, name: str, *names: str, not_after: datetime.datetime | None = None
    ) -> None:
        """Make `name`.pem and `name`.key, of the authority that both sides believe."""
        issued = self._authority.issue_cert(
            *names, common_name=names[0], not_after=not_after
        )
        issued.private_key_pem.write_to_path(self.folder / f"{name}.key")
        (self.folder / f"{name}.key").chmod(0o600)
        chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
        (self.folder / f"{name}.pem").write_bytes(chain)

    def write_acl(self, acl: str) -> None:
        """Who may do what; read at the start, and again at `reload`."""
        (self.folder / "acl").write_text(acl)
        (self.folder / "acl").chmod(0o600)

    def _write_passwords(self) -> None:
        path = self.folder / "passwords"
        path.write_text("".join(f"{u}:{p}\n" for u, p in PASSWORDS.items()))
        path.chmod(0o600)
        command = [*MOSQUITTO_PASSWD.command, "-U", str(path)]
        subprocess.run(command, check=True, capture_output=True)

    def _configuration(self) -> str:
        folder = self.folder
        return f"""
per_listener_settings true
persistence true
persistence_location {folder}/data/
autosave_on_changes true
autosave_interval 1
log_dest stdout
log_type all
user root
max_queued_messages 100000
max_inflight_messages 100
listener {self.plain} {HOST}
allow_anonymous false
password_file {folder}/passwords
acl_file {folder}/acl
listener {self.tls} {self.host}
allow_anonymous false
password_file {folder}/passwords
acl_file {folder}/acl
cafile {folder}/ca.pem
certfile {folder}/server.pem
keyfile {folder}/server.key
listener {self.mutual} {self.host}
allow_anonymous false
acl_file {folder}/acl
cafile {folder}/ca.pem
certfile {folder}/server.pem
keyfile {folder}/server.key
require_certificate true
use_identity_as_username true
"""

    async def start(self) -> None:
        """Start it, or start it again."""
        command = [*MOSQUITTO.command, "-c", str(self.folder / "mosquitto.conf")]
        self._process = Process("mosquitto", self.folder, command)
        await self._process.ready(self._listens)

    def _listens(self) -> bool:
        tls = ((self.host, self.tls), (self.host, self.mutual))
        for address in ((HOST, self.plain), *tls):
            with socket.socket() as probe:
                if probe.connect_ex(address):
                    return False
        return True

    def reload(self) -> None:
        """Have it read passwords and ACL again."""
        self._running.signal(signal.SIGHUP)

    def kill(self) -> None:
        """End it without a word."""
        self._running.signal(signal.SIGKILL)
        self.stop()

    def stop(self) -> None:
        """End it in good order."""
        if self._process is not None:
            self._process.stop()
            self._process = None

    def pause(self) -> None:
        """Let it answer nothing, and keep its connections."""
        self._running.signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._running.signal(signal.SIGCONT)

    @property
    def _running(self) -> Process:
        assert self._process is not None
        return self._process

    @property
    def said(self) -> str:
        """Its log so far."""
        return (self.folder / "mosquitto.log").read_text(errors="replace")

    def section(self) -> dict[str, str]:
        """`[mqtt]` of the agent, over TLS with a password."""
        return {
            "url": f"mqtts://{self.host}:{self.tls}",
            "region": "FI",
            "ca": str(self.folder / "ca.pem"),
            "user": "agent",
            "password": str(self.folder / "agent.password"),
        }
