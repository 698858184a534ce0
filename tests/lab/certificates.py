"""Certificates for tests: authorities, servers, clients, and those to be refused."""

import datetime as dt
import ssl
import warnings
from dataclasses import dataclass
from pathlib import Path

import trustme

from agent.common.clock import utc_now


@dataclass(frozen=True)
class Certificate:
    """One end's files, as a configuration names them."""

    certificate: Path
    "PEM, leaf first."
    key: Path
    ca: Path
    "PEM of the authority that made it."

    def server(self, *, mutual: bool = False) -> ssl.SSLContext:
        """For a test peer that is connected to."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        if mutual:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.ca)
        return context

    def client(self, *, ca: Path | None = None) -> ssl.SSLContext:
        """For a test peer that connects, showing its certificate when asked."""
        context = ssl.create_default_context(cafile=str(ca or self.ca))
        context.load_cert_chain(self.certificate, self.key)
        return context


class Authority:
    """One certificate authority, whose files go under `directory`."""

    def __init__(self, directory: Path) -> None:
        self._ca = trustme.CA()
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self.pem = directory / "ca.pem"
        self._ca.cert_pem.write_to_path(str(self.pem))

    def issue(self, *names: str, expired: bool = False) -> Certificate:
        """A certificate for host names and IP addresses."""
        now = utc_now()
        leaf = self._ca.issue_cert(
            *names,
            not_before=now - dt.timedelta(days=2) if expired else None,
            not_after=now - dt.timedelta(days=1) if expired else None,
        )
        stem = names[0].replace("*", "any").replace(":", "-")
        base = self._directory / (f"{stem}-expired" if expired else stem)
        certificate = base.with_name(f"{base.name}.pem")
        key = base.with_name(f"{base.name}-key.pem")
        certificate.unlink(missing_ok=True)
        key.unlink(missing_ok=True)
        for index, blob in enumerate(leaf.cert_chain_pems):
            blob.write_to_path(str(certificate), append=index > 0)
        leaf.private_key_pem.write_to_path(str(key))
        key.chmod(0o600)
        return Certificate(certificate, key, self.pem)


def outdated(context: ssl.SSLContext) -> ssl.SSLContext:
    """Have a context speak TLS 1.1 and nothing else."""
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1_1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context
