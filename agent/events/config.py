"""`[mqtt]`: the broker that events go to, and whose commands are taken."""

import ipaddress
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

import msgspec

from agent.common.outgoing import Destination

PORTS: Final = {"mqtts": 8883, "mqtt": 1883}
Command = Literal["pause", "resume", "stop-recording", "drain", "status"]


class MqttConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Without a URL no event is written, and no command taken."""

    url: str = ""
    "mqtts://host[:port]; mqtt:// only on this host."
    region: str = ""
    "Where the broker is: a country, or a provider's name of a region."
    ca: str = ""
    "PEM file of who vouches for the broker; empty: whom the system believes."
    certificate: str = ""
    "PEM file of the client certificate that is shown to the broker …"
    key: str = ""
    "… and its key: a file that only we can read, or `credential:NAME`."
    user: str = ""
    password: str = ""
    "File whose first line is the password, or `credential:NAME`."
    numbers: Literal["none", "masked", "full"] = "masked"
    "How much of telephone numbers events show."
    status_interval: Annotated[float, msgspec.Meta(ge=1, le=3600)] = 60.0
    "Seconds between two states of the host."
    max_events: Annotated[int, msgspec.Meta(ge=1000, le=10_000_000)] = 200_000
    "Events that wait for the broker at most; beyond, the oldest are dropped."
    max_age_days: Annotated[float, msgspec.Meta(gt=0, le=35)] = 7.0
    "Likewise those that are older."
    commands: tuple[Command, ...] = ("pause", "resume", "status")
    "Commands that are taken, if signed by somebody of the roster who may."

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        parts = urlsplit(self.url)
        return parts.port or PORTS[parts.scheme]

    @property
    def is_tls(self) -> bool:
        return self.url.startswith("mqtts:")

    @property
    def destination(self) -> Destination:
        """What is connected to."""
        return Destination("mqtt", self.url, self.region)

    def __post_init__(self) -> None:
        if not self.url:
            return
        _check_url(self.url)
        if bool(self.certificate) != bool(self.key):
            raise ValueError("certificate and key come together")
        if bool(self.user) != bool(self.password):
            raise ValueError("user and password come together")
        if not self.is_tls and (self.ca or self.certificate):
            raise ValueError("ca and certificate are for mqtts:// URLs")


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = 0
    if (
        parts.scheme not in PORTS
        or not parts.hostname
        or port == 0
        or parts.path.strip("/")
        or parts.query
        or parts.fragment
        or "@" in parts.netloc
    ):
        raise ValueError("url must be mqtts://host[:port]")
    if parts.scheme == "mqtt" and not _is_loopback(parts.hostname):
        raise ValueError("url must be mqtts://…; mqtt:// only on this host")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
