"""gate.toml: strict, every mistake named at once; its paths start at its folder."""

from pathlib import Path
from typing import Final, Literal

import msgspec

from agent.archive.store_log import Form
from agent.common.logs import Level
from agent.common.outgoing import Outgoing
from agent.common.regions import RegionConfig
from agent.common.strict_toml import ConfigError, decode_struct, read_toml
from agent.formats.age import KeyKind
from agent.gate.limits import Counted, Limit
from agent.identity.config import RosterConfig
from agent.retention.config import RetentionConfig
from agent.upload.config import StorageConfig

HINT: Final = "Correct the file; `recording-agent-gate check-config` reads it again."
OWN_LOG: Final = "gate"
"What the buckets' policies keep hosts out of (agent.upload.policies)."


class GateConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[gate]`: this service."""

    name: str = "gate"
    "Under which it writes its audit log; no other is taken."
    listen: str = "127.0.0.1:8443"
    "Address and port."
    state: str
    "Directory of what it must remember beside storage: serials it has seen."

    def __post_init__(self) -> None:
        if self.name != OWN_LOG:
            raise ValueError(
                f"name must be {OWN_LOG}: in that log alone no host may write"
            )
        host, port = self.address
        if not host or not 0 <= port <= 65535:
            raise ValueError("listen must be address:port")

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port) if port.isdecimal() else -1


class GateTlsConfig(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """`[tls]`: PEM files."""

    certificate: str
    key: str
    "A file that nobody else can read, or `credential:NAME`."
    issuers: str
    "Who vouches for people's certificates; or those certificates themselves."


class KeyringConfig(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """`[keyring]`: the gate's keys."""

    folder: str
    identity: str
    "age identity file of the gate, or `credential:NAME`: what the keyring opens by."
    passphrase: str = ""
    "Where the identity is protected: file whose first line it is, or `credential:…`."
    kind: Literal["pq", "classic"] = "pq"
    "Of the day keys it makes."
    days_ahead: int = 60
    "For so many days there are keys: so long may hosts record without the gate."

    def __post_init__(self) -> None:
        if not 7 <= self.days_ahead <= 400:
            raise ValueError("days_ahead must be 7 to 400")

    @property
    def key_kind(self) -> KeyKind:
        """The kind of the day keys."""
        return KeyKind.CLASSIC if self.kind == "classic" else KeyKind.POST_QUANTUM


class LimitsConfig(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """`[limits]`: of one person in one hour."""

    releases: int = 200
    "More are refused."
    releases_alarm: int = 50
    finds: int = 500
    finds_alarm: int = 200
    audits: int = 200
    audits_alarm: int = 100
    denials: int = 200
    "After so many tries that were denied nothing is answered any more."
    denials_alarm: int = 20

    def __post_init__(self) -> None:
        for name, limit in self.limits().items():
            if not 0 < limit.alarm <= limit.refuse <= 100_000:
                raise ValueError(
                    f"{name} and {name}_alarm: 1 to 100000, the alarm not above"
                )

    def limits(self) -> dict[Counted, Limit]:
        """By what is counted."""
        return {
            Counted.RELEASES: Limit(self.releases, self.releases_alarm),
            Counted.FINDS: Limit(self.finds, self.finds_alarm),
            Counted.AUDITS: Limit(self.audits, self.audits_alarm),
            Counted.DENIALS: Limit(self.denials, self.denials_alarm),
        }


class StoreLogConfig(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """`[store_log]`: the object store's own log of who read what."""

    files: tuple[str, ...] = ()
    "What the store wrote of the last days; empty: nobody compares."
    form: Form = Form.RGW
    users: tuple[str, ...] = ()
    "By which the store knows this gate."


class GateLogConfig(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """`[log]`: JSON lines on stdout."""

    level: Level = "info"


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file."""

    gate: GateConfig
    tls: GateTlsConfig
    keyring: KeyringConfig
    roster: RosterConfig
    storage: tuple[StorageConfig, ...]
    region: RegionConfig = RegionConfig()
    retention: RetentionConfig = RetentionConfig()
    limits: LimitsConfig = LimitsConfig()
    store_log: StoreLogConfig = StoreLogConfig()
    log: GateLogConfig = GateLogConfig()


def load(path: Path) -> Config:
    """Read and judge a gate's configuration. Raises ConfigError with every mistake."""
    raw = read_toml(path, hint=HINT)
    if "sip" in raw or "routes" in raw:
        raise ConfigError(
            [f"{path}: this is a telephony host's configuration"],
            hint="The gate runs at central storage, never on a telephony host.",
        )
    mistakes: list[str] = []
    config = decode_struct(Config, raw, "", mistakes)
    if config is not None:
        if not config.storage:
            mistakes.append("storage: at least one [[storage]] is needed")
        names = [one.name or f"[{n}]" for n, one in enumerate(config.storage)]
        if len(set(names)) < len(names):
            mistakes.append("storage: two have the same name")
        mistakes += Outgoing(config.region).judge(
            one.destination(index) for index, one in enumerate(config.storage)
        )
        if config.store_log.files and not (
            config.store_log.users and config.storage and config.storage[0].is_s3
        ):
            mistakes.append(
                "store_log.files: the first storage must be an object store, and users"
                " must say who the gate is there"
            )
        if not config.roster.path:
            mistakes.append("roster.path: the gate knows nobody without a roster")
    if mistakes or config is None:
        raise ConfigError(mistakes, hint=HINT)
    return config
