"""The server around the application: uvicorn, mutual TLS, and who is on the line.

An ASGI application does not see its client's certificate. The protocol here puts the
digest of its public key into the request's state; what that proves is decided by the
roster, not here: the handshake only asks for a certificate that our list of issuers
vouches for, and for the key that belongs to it.
"""

import asyncio
import contextlib
import functools
import hashlib
import logging
import ssl
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, cast

import structlog
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from uvicorn.protocols.http.h11_impl import H11Protocol

from agent.common.errors import AgentError
from agent.gate.connections import MAX_CONNECTIONS, Connections

CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
"Of TLS 1.2; all of 1.3 are as good."
MAX_HEAD: Final = 16 * 1024
"Bytes of a request's line and headers."
IDLE: Final = 15
"Seconds in which a connection must bring a whole head."
DRAIN: Final = 20
"Seconds for what is being answered when the gate stops."


class TlsError(AgentError):
    """The gate's certificate, key or list of issuers cannot be used."""

    hint = "Correct [tls] in gate.toml, or the files it names."


def tls_context(certificate: Path, key: Path, issuers: Path) -> ssl.SSLContext:
    """What the gate shows, and whom it listens to at all. Raises TlsError.

    `issuers` may hold certificates of authorities, or those of people themselves.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    # A session that is resumed shows the certificate of the first handshake: also
    # after the list of issuers has changed.
    context.num_tickets = 0
    context.options |= ssl.OP_NO_TICKET
    load_files(context, certificate, key, issuers)
    return context


def load_files(
    context: ssl.SSLContext, certificate: Path, key: Path, issuers: Path
) -> None:
    """Have new connections see renewed files; who was vouched for before, still is.

    Raises TlsError; the old certificate counts then.
    """
    try:
        context.load_cert_chain(certificate, key)
        context.load_verify_locations(issuers)
    except (OSError, ssl.SSLError) as error:
        raise TlsError(
            f"tls: {certificate.name}, {key.name} or {issuers.name}: {error}."
        ) from error


def spki_of(certificate: bytes) -> str:
    """`sha256:<hex>` of the public key in a DER certificate. Raises ValueError."""
    public = x509.load_der_x509_certificate(certificate).public_key()
    info = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"sha256:{hashlib.sha256(info).hexdigest()}"


class CertificateProtocol(H11Protocol):
    """HTTP/1.1 whose requests know the public key of their connection."""

    _watch: asyncio.TimerHandle | None = None
    _taken: tuple[str, str] | None = None
    "Whose this connection is counted as."

    def __init__(self, open_: Connections, **of_uvicorn: Any) -> None:
        super().__init__(**of_uvicorn)
        self._open = open_

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
        certificate = None if tls is None else tls.getpeercert(binary_form=True)
        spki = "" if certificate is None else spki_of(certificate)
        self.app_state = {**self.app_state, "spki": spki}
        whose = (spki, str((transport.get_extra_info("peername") or [""])[0]))
        if crowded := self._open.take(*whose):
            self._refuse(crowded, *whose)
            return
        self._taken = whose
        self._await_request()

    def _refuse(self, crowded: str, spki: str, address: str) -> None:
        of = spki if crowded == "certificate" else address
        if self._open.is_news(crowded, of):
            structlog.get_logger().warning(
                "connections_refused", what=crowded, source=of
            )
        self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._watch is not None:
            self._watch.cancel()
        if self._taken is not None:
            self._open.give_back(*self._taken)
            self._taken = None
        super().connection_lost(exc)

    def _await_request(self) -> None:
        """Give the next request's head its time; uvicorn knows no such limit."""
        self._watch = self.loop.call_later(IDLE, self._look, self.cycle)

    def _look(self, before: Any) -> None:
        cycle: Any = self.cycle  # None before the first request
        if cycle is before and (cycle is None or cycle.response_complete):
            self.transport.close()
        else:
            self._await_request()


class _Reticent(logging.Filter):
    """Tells of a fault of ours by its kind and place: its values may be personal."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            last = traceback.extract_tb(error.__traceback__)[-1:]
            places = [f"{Path(one.filename).name}:{one.lineno}" for one in last]
            record.msg = " at ".join((type(error).__name__, *places))
            record.args = None
            record.exc_info = None
        return True


class GateServer(uvicorn.Server):
    """Serves until it is told to stop; signals are its owner's business."""

    def __init__(self, application: Any, tls: ssl.SSLContext | None) -> None:
        config = uvicorn.Config(
            application,
            # A class is expected, and called as one.
            http=cast("Any", functools.partial(CertificateProtocol, Connections())),
            ws="none",
            lifespan="off",
            loop="none",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=MAX_CONNECTIONS,
            timeout_keep_alive=IDLE,
            timeout_graceful_shutdown=DRAIN,
            h11_max_incomplete_event_size=MAX_HEAD,
        )
        config.load()
        logging.getLogger("uvicorn.error").addFilter(_Reticent())
        config.ssl = tls
        super().__init__(config)
        self.stopping = asyncio.Event()
        "Set once it was told to stop."

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def stop(self) -> None:
        """Let what is being answered be answered, and end."""
        self.should_exit = True
        self.stopping.set()
