"""A whole agency for a test: people, a root, a gate, a telephony host, central storage.

Everything is made as its people make it: the roster is filled in TOML and signed by the
offline root with ssh-keygen; the gate's keyring, lists and index keys come from its own
commands. Nothing here knows a format of storage.
"""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from agent.common.clock import utc_now
from agent.formats.age import KeyKind, generate_identity, identity_file
from tests.lab.ceph import Ceph
from tests.lab.certificates import Authority, Certificate
from tests.lab.daemon import ROOT, Daemon
from tests.lab.process import started
from tests.patience import PATIENCE
from tests.ports import free_ports

AGENT: Final = ("-m", "agent")
GATE: Final = ("-m", "agent.gate")
SECONDS: Final = 120.0
ROLES: Final = ("host", "gate", "reader")
PEOPLE: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...], bool]]] = {
    "quinn": (("quality",), (), True),
    "riku": (("admin",), (), True),
    "otso": (("officer",), ("201",), False),
    "meri": (("officer",), ("202",), False),
    "cara": (("case-handler", "quality"), (), False),
    "dan": (("dpo",), (), False),
}
"Roles, numbers, and whether their signature counts on requests."


@dataclass(frozen=True)
class Storage:
    """One `[[storage]]`, as each of those who use it has it in their configuration."""

    host: str
    gate: str
    reader: str
    admin: tuple[str, ...] = ()
    "What `storage init` is told besides."


def directories(folder: Path) -> Storage:
    """Two directories, the same for everybody."""
    folder.mkdir()
    text = f"""
[[storage]]
locked_url = "file://{folder}/locked"
url = "file://{folder}/state"
"""
    return Storage(text, text, text)


def buckets(ceph: Ceph, name: str, folder: Path) -> Storage:
    """Two buckets, `NAME-locked` and `NAME-state`; each role has a user of its own."""
    folder.mkdir()
    users = {role: ceph.user(f"{name}-{role}") for role in ("owner", *ROLES)}
    # Ceph's buckets' owners may not look at what others have put there.
    ceph.admin("user", "modify", f"--uid={users['owner'].user}", "--admin")
    files = {role: keys.write(folder / role) for role, keys in users.items()}
    texts = {
        role: f"""
[[storage]]
locked_url = "s3://{name}-locked"
url = "s3://{name}-state"
endpoint = "{ceph.tls_endpoint}"
ca = "{ceph.ca}"
region = "FI"
credentials = "{files[role]}"
lock = "governance"
"""
        for role in ROLES
    }
    named = {role: users[role].arn for role in ROLES}
    named["host"] = f"test={named['host']}"
    arns = [part for role in ROLES for part in (f"--{role}", named[role])]
    admin = ("--admin-credentials", str(files["owner"]), *arns)
    return Storage(**texts, admin=admin)


class Agency:
    """Everybody's files are under `folder/<name>`."""

    def __init__(self, folder: Path, storages: Iterable[Storage]) -> None:
        self.folder = folder
        self.storages = tuple(storages)
        folder.mkdir(parents=True, exist_ok=True)
        self.authority = Authority(folder / "certificates")
        self.certificates: dict[str, Certificate] = {}
        self.serial = 0
        self.left: dict[str, str] = {}
        "Last days of those who left."
        self.process: subprocess.Popen[bytes] | None = None
        (self.port,) = free_ports(1)
        self._ssh_keygen("root")
        for name in PEOPLE:
            self.home(name).mkdir()
            write_identity(self.identity(name))
            self._ssh_keygen(f"{name}/signing")
            self.certificates[name] = self.authority.issue(f"{name}.test")
        write_identity(self.folder / "recovery.txt")
        write_identity(self.folder / "gate-identity.txt")
        self.agent("keygen", "--signing", "-o", self.folder / "host-key")
        self._write_gate()
        for storage in self.storages:
            made = ("--config", self.gate_config, *storage.admin)
            self.agent("storage", "init", *made)
        self.gate_key = self.gate("keyring", "init").strip()
        self.sign_roster()
        self.renew_host_files()

    # -- who is who -----------------------------------------------------------------

    def home(self, name: str) -> Path:
        return self.folder / name

    def identity(self, name: str) -> Path:
        return self.home(name) / "age.txt"

    @property
    def root(self) -> str:
        """The pinned line of the root's public key."""
        return self._public("root")

    def sign_roster(self) -> None:
        """The next roster, filled and signed as its holder does."""
        self.serial += 1
        lines = [
            f"serial = {self.serial}",
            f'issued = "{time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}"',
            f"recovery = [{json.dumps(self._recipient(self.folder / 'recovery.txt'))}]",
        ]
        for name, (roles, numbers, approver) in PEOPLE.items():
            lines += [
                "[[people]]",
                f'id = "p-{name}"',
                f'name = "{name.capitalize()} Example"',
                f"roles = {json.dumps(roles)}",
                f"numbers = {json.dumps(numbers)}",
                f'recipient = "{self._recipient(self.identity(name))}"',
                f'certificates = ["{spki(self.certificates[name].certificate)}"]',
                f'signing_key = "{self._public(f"{name}/signing")}"',
                f"approver = {json.dumps(approver)}",
                f'until = "{self.left.get(name, "")}"',
            ]
        host = subprocess.run(
            ["ssh-keygen", "-y", "-f", self.folder / "host-key"],
            check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip
        lines += ["[[hosts]]", 'name = "test"', f'key = "{_bare(host)}"']
        lines += ["[[gate]]", f'key = "{self.gate_key}"', ""]
        (self.folder / "roster.toml").write_text("\n".join(lines))
        line = self.folder / "roster.json"
        line.unlink(missing_ok=True)
        self.agent("roster", "encode", self.folder / "roster.toml", "-o", line)
        signature = line.with_name("roster.json.sig")
        signature.unlink(missing_ok=True)
        subprocess.run(
            [
                *("ssh-keygen", "-q", "-Y", "sign", "-n", "recording-agent-roster"),
                *("-f", self.folder / "root", line),
            ],
            check=True, capture_output=True, timeout=SECONDS,
        )  # fmt: skip
        signed = self.folder / "roster.next"
        signed.unlink(missing_ok=True)
        self.agent("roster", "join", line, signature, "-o", signed)
        signed.replace(self.folder / "roster.signed")

    # -- the gate ---------------------------------------------------------------------

    @property
    def gate_config(self) -> Path:
        return self.folder / "gate.toml"

    def _write_gate(self) -> None:
        tls = self.authority.issue("127.0.0.1")
        self.gate_config.write_text(
            f"""
[gate]
listen = "127.0.0.1:{self.port}"
state = "{self.folder}/gate-state"
[tls]
certificate = "{tls.certificate}"
key = "{tls.key}"
issuers = "{self.authority.pem}"
[keyring]
folder = "{self.folder}/keyring"
identity = "{self.folder}/gate-identity.txt"
kind = "classic"
[roster]
path = "roster.signed"
root = "{self.root}"
[limits]
denials = 2000
{"".join(storage.gate for storage in self.storages)}
"""
        )

    def gate(self, *arguments: str) -> str:
        """What one of the gate's commands prints."""
        return run(GATE, *arguments, "--config", str(self.gate_config)).stdout

    def start_gate(self) -> None:
        path = self.folder / "gate.log"
        before = path.stat().st_size if path.exists() else 0
        log = path.open("ab")
        self.process = started(
            [sys.executable, *GATE, "run", "--config", str(self.gate_config)],
            stdout=log, stderr=subprocess.STDOUT, cwd=ROOT,
        )  # fmt: skip
        log.close()
        deadline = time.monotonic() + 30
        while b"gate_serves" not in path.read_bytes()[before:]:
            assert self.process.poll() is None, path.read_text()
            assert time.monotonic() < deadline, "the gate is not ready"
            time.sleep(0.05)

    def gate_log(self) -> list[dict[str, Any]]:
        lines = (self.folder / "gate.log").read_bytes().split(b"\n")[:-1]
        return [json.loads(line) for line in lines if line.startswith(b"{")]

    def reload_gate(self) -> None:
        """Have it read the roster again, and wait until it has."""
        assert self.process is not None
        self.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + PATIENCE
        while all(line.get("serial") != self.serial for line in self.gate_log()[-5:]):
            assert time.monotonic() < deadline, self.gate_log()[-3:]
            time.sleep(0.05)

    def stop_gate(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(timeout=30)

    # -- the host ---------------------------------------------------------------------

    def renew_host_files(self) -> None:
        """What an operator brings from the gate, which is not running, to the host."""
        self.gate("publish", "--output", str(self.folder / "day-keys.signed"))
        keys = self.folder / "index-keys.json"
        keys.touch(mode=0o600)
        keys.write_text(self.gate("keyring", "index-keys"))

    def daemon(self, notice: bytes) -> Daemon:
        """The telephony host's agent, configured to seal, index and wrap."""
        daemon = Daemon(self.folder / "host", notice=notice)
        text = daemon.config.read_text()
        head, _, _ = text.partition("[officers]")
        daemon.config.write_text(
            f"""{head}
[roster]
path = "{self.folder}/roster.signed"
root = "{self.root}"
[signing]
key = "{self.folder}/host-key"
[gate]
day_keys = "{self.folder}/day-keys.signed"
[index]
keys = "{self.folder}/index-keys.json"
{"".join(storage.host for storage in self.storages)}
"""
        )
        return daemon

    # -- people's tools ---------------------------------------------------------------

    def archive(
        self, name: str, *arguments: str, typed: str = "", gate: bool = True
    ) -> "subprocess.CompletedProcess[str]":
        """`recording-agent archive …` as one person at their own desk."""
        config = self.home(name) / ("archive.toml" if gate else "alone.toml")
        if not config.exists():
            config.write_text(self._desk(name, gate=gate))
        verb, *rest = arguments
        return run(
            AGENT, "archive", verb, *rest, "--config", str(config),
            typed=typed, check=False, state=self.home(name),
        )  # fmt: skip

    def _desk(self, name: str, *, gate: bool) -> str:
        mine = self.certificates[name]
        at_gate = f"""
[gate]
url = "https://127.0.0.1:{self.port}"
certificate = "{mine.certificate}"
key = "{mine.key}"
ca = "{self.authority.pem}"
region = "FI"
"""
        return f"""
{"".join(storage.reader for storage in self.storages)}
[person]
id = "p-{name}"
identities = ["{self.identity(name)}"]
signing_key = "{self.home(name)}/signing"
[roster]
path = "{self.folder}/roster.signed"
root = "{self.root}"
{at_gate if gate else ""}
[controller]
name = "The Agency"
contact = "The Street 1"
data_protection_officer = "dpo at the agency"
legal_basis = "GDPR 6(1)(e)"
purpose = "quality"
supervisory_authority = "the ombudsman"
"""

    def request(self, *arguments: str) -> Path:
        """A request that the two approvers have signed."""
        made = self.folder / f"request-{time.monotonic_ns()}"
        self.agent("request", "new", *arguments, "-o", made)
        for name in ("quinn", "riku"):
            signed = made.with_name(f"{made.name}-{name}")
            key = str(self.home(name) / "signing")
            self.agent("request", "sign", made, "--key", key, "-o", signed)
            made = signed
        return made

    def agent(self, *arguments: "str | Path") -> str:
        """What one of the agent's commands prints."""
        return run(AGENT, *map(str, arguments)).stdout

    # -- keys -------------------------------------------------------------------------

    def _ssh_keygen(self, name: str) -> None:
        subprocess.run(
            [
                *("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", ""),
                *("-f", self.folder / name),
            ],
            check=True, timeout=SECONDS,
        )  # fmt: skip

    def _public(self, name: str) -> str:
        return _bare((self.folder / f"{name}.pub").read_text())

    @staticmethod
    def _recipient(identity: Path) -> str:
        text = identity.read_text()
        return text.partition("# public key: ")[2].partition("\n")[0]


def run(
    program: tuple[str, ...],
    *arguments: str,
    typed: str = "",
    check: bool = True,
    state: Path | None = None,
) -> "subprocess.CompletedProcess[str]":
    """A command of the product, in a process of its own."""
    kept = {} if state is None else {"XDG_STATE_HOME": str(state / "state")}
    ran = subprocess.run(
        [sys.executable, *program, *arguments],
        input=typed, capture_output=True, text=True, cwd=ROOT, timeout=SECONDS,
        check=False, env=os.environ | kept,
    )  # fmt: skip
    assert not check or ran.returncode == 0, f"{arguments}:\n{ran.stdout}{ran.stderr}"
    return ran


def write_identity(path: Path) -> None:
    """A secret key, as `keygen` writes it."""
    path.touch(mode=0o600)
    identity = generate_identity(KeyKind.CLASSIC, os.urandom)
    path.write_text(identity_file(identity, utc_now()))


def spki(certificate: Path) -> str:
    """As a roster names a certificate: the digest of its public key."""
    public = x509.load_pem_x509_certificate(certificate.read_bytes()).public_key()
    info = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"sha256:{hashlib.sha256(info).hexdigest()}"


def _bare(line: str) -> str:
    """An OpenSSH public key without its comment."""
    return " ".join(line.split()[:2])
