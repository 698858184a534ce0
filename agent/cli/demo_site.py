"""The demo's throw-away site: keys, notice, signed roster, configuration."""

import os
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.cli.speech import speak, wav_file
from agent.common.clock import utc_now
from agent.common.errors import AgentError
from agent.common.moments import moment_text
from agent.formats.age import Identity, KeyKind, generate_identity, identity_file
from agent.formats.roster import Host, Person, Role, Roster
from agent.formats.signed import sign_document
from agent.formats.sshsig import Namespace, PublicKey, SigningKey

NOTICE: Final = "Tervetuloa. Tämä puhelu nauhoitetaan."
SERVICE_NUMBER: Final = "0295000000"
STATEMENT: Final = "The SBC plays the notice before it connects the parties."
CALLER_NUMBER: Final = "0401234567"
HOST: Final = "demo"
RTP_PORTS: Final = range(32100, 32200)
"Below the ephemeral ports, and not those of other agents of this host."
KEYS: Final = ("quality", "recovery", "officer-201", "officer-202")
_MADE: Final = (
    "agent.log",
    "agent.toml",
    "call.wav",
    "keys",
    "manifest.json",
    "notices",
    "officers.csv",  # of earlier versions
    "roster.signed",
    "spool",
    "storage",
    "waveform.png",
)

_TOML: Final = """\
[agent]
name = "{host}"
spool = "spool"
allow_swap = true

[sip]
listen = ["udp:127.0.0.1:{sip}"]

[media]
address = "127.0.0.1"
ports = [{rtp_low}, {rtp_high}]
workers = 1

[[peers]]
name = "trunk"
match = ["127.0.0.1:{caller}"]
uri = "sip:127.0.0.1:{caller}"
trusted = true

[[routes]]
name = "customer-service"
from = "trunk"
number = "{service}"
direction = "inbound"
to = ["sip:201@127.0.0.1:{officer}"]
notice = ["notices/fi.wav"]

# Who has us record beside its own calls; the demo with --siprec stands in its place.
[[peers]]
name = "sbc"
match = ["127.0.0.1:{sbc}"]

[[siprec]]
name = "beside-the-sbc"
from = "sbc"
recognise = "legacy"                     # The demo's client has no +sip.src.
direction = "inbound"
notice = "statement:{statement}"
service = "{service}"

[roster]
path = "roster.signed"
root = "{root}"

[signing]
key = "keys/host.key"

[recording]
spool_high_water = 1.0                   # It may take what room there is.

[[storage]]
locked_url = "{storage}/locked"
url = "{storage}/state"
"""


class DemoError(AgentError):
    """The demo cannot go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where everything of one demo run lies, and its ports on 127.0.0.1."""

    root: Path
    sip: int
    caller: int
    officer: int
    sbc: int
    caller_rtp: int
    officer_rtp: int

    @property
    def config(self) -> Path:
        return self.root / "agent.toml"

    @property
    def log(self) -> Path:
        return self.root / "agent.log"

    def key(self, name: str) -> Path:
        return self.root / "keys" / f"{name}.txt"


def build(root: Path, *, classic: bool) -> Site:
    """Make the site anew in `root`, removing what an earlier demo left there.

    Raises DemoError if `root` holds anything else.
    """
    root.mkdir(parents=True, exist_ok=True)
    strange = sorted(p.name for p in root.iterdir() if p.name not in _MADE)
    if strange:
        raise DemoError(
            f"{root} holds {strange[0]}, which is none of the demo's.",
            hint="Name an empty directory with --out.",
        )
    for name in _MADE:
        path = root / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    made = _make_keys(root, classic=classic)
    (root / "notices").mkdir()
    samples = speak(NOTICE, voice="fi", speed=165)
    (root / "notices" / "fi.wav").write_bytes(wav_file(samples))
    pinned = _sign_roster(
        root, {name: str(key.recipient()) for name, key in made.items()}
    )
    ports = _free_ports(6)
    site = Site(
        root=root,
        sip=ports[0],
        caller=ports[1],
        officer=ports[2],
        sbc=ports[3],
        caller_rtp=ports[4],
        officer_rtp=ports[5],
    )
    (root / "storage" / "locked").mkdir(parents=True)
    (root / "storage" / "state").mkdir()
    site.config.write_text(
        _TOML.format(
            sip=site.sip,
            caller=site.caller,
            officer=site.officer,
            sbc=site.sbc,
            statement=STATEMENT,
            rtp_low=RTP_PORTS[0],
            rtp_high=RTP_PORTS[-1],
            service=SERVICE_NUMBER,
            host=HOST,
            root=pinned,
            storage=f"file://{(root / 'storage').resolve()}",
        ),
        encoding="utf-8",
    )
    return site


def _make_keys(root: Path, *, classic: bool) -> dict[str, Identity]:
    kind = KeyKind.CLASSIC if classic else KeyKind.POST_QUANTUM
    (root / "keys").mkdir(mode=0o700)
    made = {}
    for name in KEYS:
        made[name] = generate_identity(kind, os.urandom)
        path = root / "keys" / f"{name}.txt"
        path.touch(mode=0o600)
        path.write_text(identity_file(made[name], utc_now()), encoding="ascii")
    return made


def _sign_roster(root: Path, recipients: dict[str, str]) -> PublicKey:
    """Say who is who, signed; the root's public key, whose secret half nobody keeps."""
    signer, host = (SigningKey.from_seed(os.urandom(32)) for _ in range(2))
    path = root / "keys" / "host.key"
    path.touch(mode=0o600)
    path.write_bytes(host.to_private_file())
    officers = tuple(
        Person(
            id=f"p-{number}",
            name=name,
            roles=(Role.OFFICER,),
            numbers=(number,),
            recipient=recipients[f"officer-{number}"],
        )
        for number, name in (("201", "Officer One"), ("202", "Officer Two"))
    )
    quality = Person(
        id="p-quality",
        name="Quality",
        roles=(Role.QUALITY,),
        recipient=recipients["quality"],
    )
    roster = Roster(
        serial=1,
        issued=moment_text(utc_now()),
        people=(quality, *officers),
        hosts=(Host(name=HOST, key=str(host.public)),),
        recovery=(recipients["recovery"],),
    )
    document = sign_document(roster.to_bytes(), [signer], Namespace.ROSTER)
    (root / "roster.signed").write_bytes(document)
    return signer.public


def _free_ports(count: int) -> list[int]:
    """UDP ports of 127.0.0.1 nobody uses now, below the ephemeral range."""
    found = []
    for port in range(23000, 30000, 2):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise DemoError("no free UDP ports on 127.0.0.1.")
