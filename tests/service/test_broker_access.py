from pathlib import Path

import pytest

from agent.common.outgoing import OutsideRegionError
from agent.common.regions import RegionConfig
from agent.events.broker import BrokerError
from agent.events.config import MqttConfig
from agent.service.broker_access import (
    BrokerAccessError,
    probe_broker,
    read_broker_access,
)
from agent.signalling.secrets import SecretError, Secrets
from tests.lab.certificates import Authority
from tests.ports import free_ports

REGION = RegionConfig()


def secrets(path: Path) -> Secrets:
    return Secrets(path, None)


def secret(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o600)


def test_no_broker_is_configured(tmp_path: Path) -> None:
    assert read_broker_access(MqttConfig(), REGION, tmp_path, secrets(tmp_path)) is None


def test_certificate_password_and_authority_are_read(tmp_path: Path) -> None:
    issued = Authority(tmp_path / "ca").issue("agent")
    issued.key.chmod(0o600)
    secret(tmp_path / "password", "geheim\n")
    config = MqttConfig(
        url="mqtts://broker",
        region="FI",
        ca=str(issued.ca),
        certificate=str(issued.certificate),
        key=str(issued.key),
        user="agent",
        password="password",  # noqa: S106 - a file's name
    )
    access = read_broker_access(config, REGION, tmp_path, secrets(tmp_path))
    assert access is not None
    assert access.password == "geheim"  # noqa: S105
    assert access.tls is not None
    assert access.tls.check_hostname
    assert "geheim" not in repr(access)
    secret(tmp_path / "password", "neu\n")
    assert access.read_again().password == "neu"  # noqa: S105
    (tmp_path / "password").unlink()
    with pytest.raises(SecretError):
        access.read_again()


@pytest.mark.parametrize("broken", ["ca", "certificate"])
def test_files_that_are_of_no_use(tmp_path: Path, broken: str) -> None:
    issued = Authority(tmp_path / "ca").issue("agent")
    issued.key.chmod(0o600)
    (tmp_path / "broken.pem").write_text("no PEM")
    files = {
        "ca": str(issued.ca),
        "certificate": str(issued.certificate),
        "key": str(issued.key),
    }
    config = MqttConfig(url="mqtts://broker", **(files | {broken: "broken.pem"}))
    with pytest.raises(BrokerAccessError):
        read_broker_access(config, REGION, tmp_path, secrets(tmp_path))


def test_a_password_that_others_can_read(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("geheim\n")
    (tmp_path / "password").chmod(0o644)
    config = MqttConfig(url="mqtts://broker", user="u", password="password")  # noqa: S106
    with pytest.raises(SecretError):
        read_broker_access(config, REGION, tmp_path, secrets(tmp_path))


async def test_the_probe_says_why_not(tmp_path: Path) -> None:
    with pytest.raises(BrokerError, match="No broker"):
        await probe_broker(MqttConfig(), REGION, tmp_path, secrets(tmp_path))
    outside = MqttConfig(url="mqtts://broker", region="US")
    with pytest.raises(OutsideRegionError):
        await probe_broker(outside, REGION, tmp_path, secrets(tmp_path))
    [port] = free_ports(1)
    nobody = MqttConfig(url=f"mqtt://127.0.0.1:{port}", region="FI")
    with pytest.raises(BrokerError, match="cannot be reached"):
        await probe_broker(nobody, REGION, tmp_path, secrets(tmp_path))
