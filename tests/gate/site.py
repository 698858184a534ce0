"""A gate's files on disk: configuration, roster, keys, certificates, directories."""

import os
from dataclasses import dataclass
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from agent.formats.age import KeyKind, generate_identity, identity_file
from agent.formats.roster import GateEntry, Role
from agent.formats.sshsig import PublicKey
from agent.gate.config import Config, load
from agent.gate.server import spki_of
from agent.signalling.secrets import Secrets
from tests.formats.rosters import ROOT, person, roster, signed


@dataclass
class GateSite:
    """Where everything is; `name_gate` completes the roster."""

    folder: Path
    issuer: trustme.CA
    spki: str
    "Of p-quinn's certificate, quinn.pem with quinn.key."
    serial: int = 6
    "Of the newest roster."

    @property
    def path(self) -> Path:
        return self.folder / "gate.toml"

    def config(self) -> Config:
        return load(self.path)

    def secrets(self) -> Secrets:
        return Secrets(self.folder, None)

    def name_gate(self, *keys: PublicKey | str) -> None:
        people = (
            person("quinn", Role.QUALITY, approver=True, certificates=(self.spki,)),
            person("adam", Role.ADMIN, approver=True),
        )
        self.serial += 1
        made = roster(
            people=people,
            gate=tuple(GateEntry(key=str(key)) for key in keys),
            serial=self.serial,
        )
        (self.folder / "roster.signed").write_bytes(signed(made))


def gate_site(folder: Path, port: int = 0) -> GateSite:
    issuer = trustme.CA()
    issuer.cert_pem.write_to_path(folder / "issuer.pem")
    gate = issuer.issue_cert("127.0.0.1")
    gate.cert_chain_pems[0].write_to_path(folder / "gate.pem")
    quinn = issuer.issue_cert("quinn@gate.test")
    quinn.cert_chain_pems[0].write_to_path(folder / "quinn.pem")
    identity = identity_file(generate_identity(KeyKind.CLASSIC, os.urandom))
    secrets = {
        "gate.key": gate.private_key_pem.bytes(),
        "quinn.key": quinn.private_key_pem.bytes(),
        "identity.txt": identity.encode(),
    }
    for name, data in secrets.items():
        (folder / name).touch(0o600)
        (folder / name).write_bytes(data)
    for name in ("locked", "state"):
        (folder / name).mkdir()
    (folder / "gate.toml").write_text(
        f"""
        [gate]
        listen = "127.0.0.1:{port}"
        state = "memory"
        [tls]
        certificate = "gate.pem"
        key = "gate.key"
        issuers = "issuer.pem"
        [keyring]
        folder = "keyring"
        identity = "identity.txt"
        kind = "classic"
        days_ahead = 7
        [roster]
        path = "roster.signed"
        root = "{ROOT.public}"
        [[storage]]
        locked_url = "file://{folder}/locked"
        url = "file://{folder}/state"
        """
    )
    pem = quinn.cert_chain_pems[0].bytes()
    der = x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)
    return GateSite(folder, issuer, spki_of(der))


def on_buckets(site: GateSite, endpoint: str, access: str, secret: str) -> None:
    """Have it answer from the buckets `gate-locked` and `gate-state`."""
    (site.folder / "s3.ini").touch(0o600)
    (site.folder / "s3.ini").write_text(
        f"[default]\naws_access_key_id = {access}\naws_secret_access_key = {secret}\n"
    )
    text = site.path.read_text()
    for name in ("locked", "state"):
        text = text.replace(f"file://{site.folder}/{name}", f"s3://gate-{name}")
    site.path.write_text(
        text.replace(
            "[[storage]]",
            f'[[storage]]\nendpoint = "{endpoint}"\nregion = "FI"\n'
            'credentials = "s3.ini"',
        )
    )
