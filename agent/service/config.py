"""The configuration file: strict TOML, every mistake named at once.

Each package keeps its own section beside its code; this module only composes them.
Reading touches the file and nothing else: what needs disk or network to be judged
(notices, directories, keys) is `check`'s business.
"""

from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from agent.call.config import PeerConfig, RouteConfig, ToneConfig
from agent.call.siprec.config import SiprecConfig
from agent.common.logs import Level
from agent.common.outgoing import Outgoing
from agent.common.regions import RegionConfig
from agent.common.strict_toml import ConfigError, decode_struct, read_toml
from agent.events.config import MqttConfig
from agent.identity.config import DirectoryConfig, RosterConfig
from agent.identity.numbers import IdentityConfig
from agent.media.config import MediaConfig
from agent.recording.config import (
    GateConfig,
    IndexConfig,
    RecordingConfig,
    SigningConfig,
)
from agent.retention.config import RetentionConfig
from agent.service.metrics.config import MetricsConfig
from agent.signalling.config import SipConfig, TlsConfig
from agent.upload.config import StorageConfig

MAX_DRAIN: Final = 3600.0
"An hour; the unit's TimeoutStopSec= must be above what is configured."


class AgentConfig(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """`[agent]`: this host."""

    name: str
    "Told in manifests; not a person's name."
    spool: str
    "Directory of journals, envelopes, the ledger and what waits for upload."
    drain: Annotated[float, msgspec.Meta(ge=0, le=MAX_DRAIN)] = 120.0
    "Seconds a stop waits for the calls that are up, while no new one is taken."
    allow_swap: bool = False
    "Start although swap space could put keys and audio on a disk in the clear."


class LogConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[log]`: what the log shows."""

    level: Level = "info"
    numbers: Literal["masked", "full"] = "masked"


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file."""

    agent: AgentConfig
    sip: SipConfig
    peers: tuple[PeerConfig, ...]
    routes: tuple[RouteConfig, ...] = ()
    storage: tuple[StorageConfig, ...]
    siprec: tuple[SiprecConfig, ...] = ()
    recording: RecordingConfig = RecordingConfig()
    tls: TlsConfig = TlsConfig()
    media: MediaConfig = MediaConfig()
    tones: ToneConfig = ToneConfig()
    officers: DirectoryConfig = DirectoryConfig()
    roster: RosterConfig = RosterConfig()
    signing: SigningConfig = SigningConfig()
    gate: GateConfig = GateConfig()
    index: IndexConfig = IndexConfig()
    identity: IdentityConfig = IdentityConfig()
    log: LogConfig = LogConfig()
    retention: RetentionConfig = RetentionConfig()
    region: RegionConfig = RegionConfig()
    metrics: MetricsConfig = MetricsConfig()
    mqtt: MqttConfig = MqttConfig()


def load(path: Path) -> Config:
    """Read and judge a configuration file.

    Raises ConfigError with every mistake, each by its path in the file.
    """
    return decode(read_toml(path))


def decode(raw: dict[str, object]) -> Config:
    """Turn parsed TOML into a Config. Raises ConfigError with every mistake."""
    mistakes: list[str] = []
    config = decode_struct(Config, raw, "", mistakes)
    if config is not None:
        mistakes += _cross_check(config)
    if mistakes or config is None:
        raise ConfigError(mistakes)
    return config


def _cross_check(config: Config) -> list[str]:
    """What one section says about another."""
    mistakes = []
    names = [peer.name for peer in config.peers]
    for index, name in enumerate(names):
        if name in names[:index]:
            mistakes.append(f"peers[{index}].name: {name!r} is there twice")
    for index, route in enumerate(config.routes):
        here = f"routes[{index}]"
        if route.from_ not in names:
            mistakes.append(f"{here}.from: no peer is called {route.from_!r}")
        targets = [("to", t) for t in route.to]
        targets += [("overflow", route.overflow)] if route.overflow else []
        for key, target in targets:
            if target in names:
                if not config.peers[names.index(target)].uri:
                    mistakes.append(f"{here}.{key}: peer {target!r} has no uri")
            elif not target.startswith(("sip:", "sips:")):
                mistakes.append(
                    f"{here}.{key}: {target!r} is neither a sip URI nor a peer"
                )
    mistakes += _check_siprec(config, names)
    if not config.tls.certificate and any(
        entry.startswith("tls:") for entry in config.sip.listen
    ):
        mistakes.append("tls.certificate: a tls listener needs a certificate and key")
    if not config.storage:
        mistakes.append("storage: at least one [[storage]] is needed")
    stores = [store.name or f"storage[{n}]" for n, store in enumerate(config.storage)]
    for index, name in enumerate(stores):
        if name in stores[:index]:
            mistakes.append(f"storage[{index}].name: {name!r} is there twice")
    destinations = [store.destination(n) for n, store in enumerate(config.storage)]
    destinations += [config.mqtt.destination] if config.mqtt.url else []
    mistakes += Outgoing(config.region).judge(destinations)
    low, high = config.media.ports
    if not 1024 <= low < high <= 65535:
        mistakes.append("media.ports: two port numbers, 1024 to 65535, are expected")
    return mistakes


def _check_siprec(config: Config, peers: list[str]) -> list[str]:
    """What `[[siprec]]` says of peers and routes."""
    mistakes = []
    names = {route.name for route in config.routes}
    sources: set[str] = set()
    for index, entry in enumerate(config.siprec):
        here = f"siprec[{index}]"
        if entry.from_ not in peers:
            mistakes.append(f"{here}.from: no peer is called {entry.from_!r}")
        if entry.from_ in sources:
            mistakes.append(f"{here}.from: {entry.from_!r} has an entry already")
        if entry.name in names:
            mistakes.append(f"{here}.name: {entry.name!r} is there twice, or a route's")
        names.add(entry.name)
        sources.add(entry.from_)
    return mistakes
