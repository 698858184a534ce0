"""TLS as SIP uses it: contexts made of files, reloadable, and refusals in plain words.

RFC 3261 section 26.3.1, RFC 5922, RFC 9325 (suites and versions).
"""

import ssl
from pathlib import Path
from typing import Final

from agent.common.errors import AgentError
from agent.signalling.config import TlsConfig
from agent.signalling.secrets import SecretError, Secrets

CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
"Of TLS 1.2: forward secrecy and AEAD only (RFC 9325 section 4.2). 1.3 has no others."

_VERIFY: Final = {
    "off": ssl.CERT_NONE,
    "optional": ssl.CERT_OPTIONAL,
    "required": ssl.CERT_REQUIRED,
}
_EXPIRED: Final = 10
_NOT_YET_VALID: Final = 9
_REASONS: Final = {
    "HTTP_REQUEST": "plain text on the tls port",
    "WRONG_VERSION_NUMBER": "plain text on the tls port",
    "PACKET_LENGTH_TOO_LONG": "plain text on the tls port",
    "UNSUPPORTED_PROTOCOL": "tls older than 1.2",
    "VERSION_TOO_LOW": "tls older than 1.2",
    "TLSV1_ALERT_PROTOCOL_VERSION": "the peer refuses tls 1.2 and 1.3",
    "NO_SHARED_CIPHER": "no common cipher suite",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "the peer found no common cipher suite",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "no client certificate",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "the peer wants a client certificate",
    "TLSV1_ALERT_UNKNOWN_CA": "the peer does not trust our certificate",
    "SSLV3_ALERT_BAD_CERTIFICATE": "the peer does not trust our certificate",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "the peer does not trust our certificate",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "our certificate has expired",
    "UNEXPECTED_EOF_WHILE_READING": "the peer broke off the handshake",
}


class TlsError(AgentError):
    """The files of `[tls]` cannot be used."""

    hint = "Check [tls] certificate, key and ca."


class TlsContexts:
    """What both ends of TLS connections use; `load` may be called again at any time."""

    def __init__(
        self, config: TlsConfig, base: Path, secrets: Secrets | None = None
    ) -> None:
        """`base` is the directory that relative paths start at.

        `secrets` finds the key, by default beside the other files. Raises TlsError.
        """
        self._config = config
        self._base = base
        self._secrets = secrets or Secrets(base, None)
        self.load()

    def load(self) -> None:
        """Read the files. Raises TlsError, and goes on with what it had.

        Connections that are up stay as they are.
        """
        server = _context(ssl.PROTOCOL_TLS_SERVER)
        client = _context(ssl.PROTOCOL_TLS_CLIENT)
        # The name is compared by RFC 5922, which the ssl module does not know.
        client.check_hostname = False
        client.verify_mode = ssl.CERT_REQUIRED
        server.verify_mode = _VERIFY[self._config.verify_client]
        try:
            for context in (server, client):
                if self._config.certificate:
                    context.load_cert_chain(
                        self._base / self._config.certificate,
                        self._secrets.path(self._config.key),
                    )
                if self._config.ca:
                    context.load_verify_locations(self._base / self._config.ca)
                else:
                    context.load_default_certs(
                        ssl.Purpose.SERVER_AUTH
                        if context is client
                        else ssl.Purpose.CLIENT_AUTH
                    )
        except SecretError as error:
            raise TlsError(str(error), hint="") from error
        except (OSError, ssl.SSLError) as error:
            raise TlsError(f"the TLS files cannot be used: {error}.") from error
        self.server, self.client = server, client

    def become(self, other: "TlsContexts") -> None:
        """Use what `other` has read, for connections that are made from now on."""
        self.server, self.client = other.server, other.client


def _context(protocol: int) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    return context


def explain(error: BaseException) -> str:
    """Why a handshake failed, in words that name no one."""
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code == _EXPIRED:
            return "certificate expired"
        if error.verify_code == _NOT_YET_VALID:
            return "certificate not yet valid"
        return f"certificate not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        # Python leaves the attribute away where OpenSSL gave no reason.
        reason = getattr(error, "reason", None) or "unknown"
        return _REASONS.get(reason, reason.lower().replace("_", " "))
    if isinstance(error, TimeoutError) or "handshake" in str(error).lower():
        return "no handshake in time"
    return "the peer broke off the handshake"
