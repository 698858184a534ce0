"""How the broker is got at: who vouches for it, and as whom we come."""

import ssl
from dataclasses import dataclass, field
from pathlib import Path

from agent.common.errors import AgentError
from agent.common.ids import new_id
from agent.common.outgoing import Outgoing
from agent.common.regions import RegionConfig
from agent.events.broker import Broker, BrokerError
from agent.events.config import MqttConfig
from agent.signalling.secrets import Secrets


class BrokerAccessError(AgentError):
    """A certificate or key cannot be used."""

    hint = (
        "Check mqtt.ca, mqtt.certificate and mqtt.key: PEM files that belong together."
    )


@dataclass(frozen=True, slots=True)
class BrokerAccess:
    """What the files say that `[mqtt]` names; read again for every connection."""

    config: MqttConfig
    region: RegionConfig
    tls: ssl.SSLContext | None = None
    password: str = field(default="", repr=False)
    files: tuple[Path, Secrets] | None = None
    "Where they are, for `read_again`."

    def read_again(self) -> "BrokerAccess":
        """What the files say now. Raises SecretError, BrokerAccessError."""
        if self.files is None:
            return self
        base, secrets = self.files
        found = read_broker_access(self.config, self.region, base, secrets)
        return self if found is None else found

    def broker(self, identifier: str, will: tuple[str, bytes] | None = None) -> Broker:
        """A connection that is still to be made. Raises OutsideRegionError."""
        return Broker(
            self.config,
            Outgoing(self.region),
            identifier=identifier,
            tls=self.tls,
            password=self.password,
            will=will,
        )


def read_broker_access(
    config: MqttConfig, region: RegionConfig, base: Path, secrets: Secrets
) -> BrokerAccess | None:
    """Read the files; None without a broker.

    Raises SecretError for a key or password, BrokerAccessError for a certificate.
    """
    if not config.url:
        return None
    tls = None
    if config.is_tls:
        try:
            tls = ssl.create_default_context(
                cafile=str(base / config.ca) if config.ca else None
            )
            tls.minimum_version = ssl.TLSVersion.TLSv1_2
            if config.certificate:
                key = secrets.path(config.key)
                tls.load_cert_chain(base / config.certificate, key)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise BrokerAccessError(f"A PEM file cannot be used: {reason}.") from error
    password = secrets.password(config.password) if config.password else ""
    return BrokerAccess(config, region, tls, password, (base, secrets))


async def probe_broker(
    config: MqttConfig, region: RegionConfig, base: Path, secrets: Secrets
) -> None:
    """Connect once, and go: whether the daemon could. Raises AgentError."""
    access = read_broker_access(config, region, base, secrets)
    if access is None:
        raise BrokerError("No broker is configured.", hint="Set mqtt.url.")
    # A name of its own: with the daemon's it would take that one's place.
    async with access.broker(f"recording-agent-probe-{new_id()}"):
        pass
