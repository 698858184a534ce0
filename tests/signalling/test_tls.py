import ssl
from pathlib import Path

import pytest

from agent.signalling.config import TlsConfig
from agent.signalling.secrets import Secrets
from agent.signalling.tls import CIPHERS, TlsContexts, TlsError, explain
from tests.lab.certificates import Authority


def test_contexts_of_files(tmp_path: Path) -> None:
    issued = Authority(tmp_path).issue("pbx.example")
    contexts = TlsContexts(
        TlsConfig(
            certificate=issued.certificate.name,
            key=issued.key.name,
            ca=issued.ca.name,
            verify_client="required",
        ),
        tmp_path,
    )
    assert contexts.server.verify_mode is ssl.CERT_REQUIRED
    assert contexts.client.verify_mode is ssl.CERT_REQUIRED
    for context in (contexts.server, contexts.client):
        assert context.minimum_version is ssl.TLSVersion.TLSv1_2
        suites = context.get_ciphers()
        assert suites
        assert all(suite["aead"] for suite in suites)
    assert "CBC" not in CIPHERS


def test_without_files_the_systems_authorities_are_believed() -> None:
    contexts = TlsContexts(TlsConfig(), Path("/nonexistent"))
    assert contexts.server.verify_mode is ssl.CERT_NONE
    assert contexts.client.verify_mode is ssl.CERT_REQUIRED


def test_files_that_are_no_good_leave_what_was(tmp_path: Path) -> None:
    issued = Authority(tmp_path).issue("pbx.example")
    config = TlsConfig(certificate=str(issued.certificate), key=str(issued.key))
    contexts = TlsContexts(config, tmp_path)
    before = contexts.server
    contexts.load()
    renewed = contexts.server
    assert renewed is not before
    issued.certificate.write_text("junk")
    with pytest.raises(TlsError, match="cannot be used") as caught:
        contexts.load()
    assert "[tls]" in caught.value.hint
    assert contexts.server is renewed
    with pytest.raises(TlsError):
        TlsContexts(TlsConfig(ca="nowhere.pem"), tmp_path)


def test_a_key_that_others_can_read_is_none(tmp_path: Path) -> None:
    issued = Authority(tmp_path).issue("pbx.example")
    config = TlsConfig(certificate=issued.certificate.name, key=issued.key.name)
    issued.key.chmod(0o640)
    with pytest.raises(TlsError, match=r"pbx\.example-key\.pem.*0640.*chmod 600"):
        TlsContexts(config, tmp_path)
    issued.key.chmod(0o600)
    contexts = TlsContexts(config, tmp_path)
    before = contexts.server
    issued.key.chmod(0o604)
    with pytest.raises(TlsError, match="lets others read it"):
        contexts.load()
    assert contexts.server is before


def test_a_key_may_be_a_credential_of_the_service_manager(tmp_path: Path) -> None:
    issued = Authority(tmp_path).issue("pbx.example")
    given = tmp_path / "credentials"
    given.mkdir()
    issued.key.rename(given / "sip.key").chmod(0o440)
    config = TlsConfig(certificate=str(issued.certificate), key="credential:sip.key")
    assert TlsContexts(config, tmp_path, Secrets(tmp_path, given)).server


def test_refusals_in_plain_words() -> None:
    def failed(reason: str) -> ssl.SSLError:
        error = ssl.SSLError(1, reason)
        error.reason = reason
        return error

    def untrusted(code: int) -> ssl.SSLError:
        error = ssl.SSLCertVerificationError(1, "no")
        error.verify_code, error.verify_message = code, "self-signed certificate"
        return error

    assert explain(failed("UNSUPPORTED_PROTOCOL")) == "tls older than 1.2"
    assert explain(failed("SOMETHING_NEW")) == "something new"
    assert explain(ssl.SSLError("?")) == "unknown"
    assert explain(untrusted(10)) == "certificate expired"
    assert explain(untrusted(9)) == "certificate not yet valid"
    assert explain(untrusted(18)) == "certificate not trusted: self-signed certificate"
    assert explain(TimeoutError()) == "no handshake in time"
    assert explain(ConnectionAbortedError("SSL handshake is taking longer")) == (
        "no handshake in time"
    )
    assert explain(ConnectionResetError()) == "the peer broke off the handshake"
