"""The configuration file: strict TOML, every mistake named at once.

Each package keeps its own section beside its code; this module only composes them.
Reading touches the file and nothing else: what needs disk or network to be judged
(notices, directories, keys) is `check`'s business.
"""

import tomllib
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from agent.call.config import PeerConfig, RouteConfig, ToneConfig
from agent.common.errors import AgentError
from agent.identity.config import DirectoryConfig
from agent.identity.numbers import IdentityConfig
from agent.media.config import MediaConfig
from agent.recording.config import RecordingConfig
from agent.signalling.config import SipConfig, TlsConfig
from agent.upload.config import StorageConfig

S = TypeVar("S", bound=msgspec.Struct)


class ConfigError(AgentError):
    """The configuration file is wrong; `mistakes` names every place."""

    hint = "Correct the file; `recording-agent check-config` reads it again."

    def __init__(self, mistakes: Sequence[str]) -> None:
        super().__init__("; ".join(mistakes) + ".")
        self.mistakes = tuple(mistakes)


class AgentConfig(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """`[agent]`: this host."""

    name: str
    "Told in manifests; not a person's name."
    spool: str
    "Directory of journals, envelopes, the ledger and what waits for upload."


class LogConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[log]`: what the log shows."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    numbers: Literal["masked", "full"] = "masked"


class RetentionConfig(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """`[retention]`: how long central storage keeps a recording."""

    period: str = "P1Y"
    timezone: str = "Europe/Helsinki"


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file."""

    agent: AgentConfig
    sip: SipConfig
    peers: tuple[PeerConfig, ...]
    routes: tuple[RouteConfig, ...]
    recording: RecordingConfig
    storage: tuple[StorageConfig, ...]
    tls: TlsConfig = TlsConfig()
    media: MediaConfig = MediaConfig()
    tones: ToneConfig = ToneConfig()
    officers: DirectoryConfig = DirectoryConfig()
    identity: IdentityConfig = IdentityConfig()
    log: LogConfig = LogConfig()
    retention: RetentionConfig = RetentionConfig()


def load(path: Path) -> Config:
    """Read and judge a configuration file.

    Raises ConfigError with every mistake, each by its path in the file.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: cannot be read: {error}"]) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([f"{path}: {error}"]) from error
    return decode(raw)


def decode(raw: dict[str, object]) -> Config:
    """Turn parsed TOML into a Config. Raises ConfigError with every mistake."""
    mistakes: list[str] = []
    config = _struct(Config, raw, "", mistakes)
    if config is not None:
        mistakes += _cross_check(config)
    if mistakes or config is None:
        raise ConfigError(mistakes)
    return config


def _struct(type_: type[S], raw: object, path: str, mistakes: list[str]) -> S | None:
    """Decode one table field by field, so that one mistake hides no other."""
    if not isinstance(raw, dict):
        mistakes.append(f"{path}: a table is expected")
        return None
    before = len(mistakes)
    values: dict[str, object] = {}
    fields = {field.encode_name: field for field in msgspec.structs.fields(type_)}
    mistakes += [f"{_join(path, name)}: unknown key" for name in raw.keys() - fields]
    for name, field in fields.items():
        here = _join(path, name)
        if name not in raw:
            if field.required:
                mistakes.append(f"{here}: missing")
            continue
        values[field.name] = _value(field.type, raw[name], here, mistakes)
    if len(mistakes) > before:
        return None
    try:
        return type_(**values)
    except (ValueError, TypeError) as error:
        mistakes.append(f"{path or 'the file'}: {error}")
        return None


def _value(type_: object, raw: object, path: str, mistakes: list[str]) -> object:
    arguments = typing.get_args(type_)
    if isinstance(type_, type) and issubclass(type_, msgspec.Struct):
        return _struct(type_, raw, path, mistakes)
    if (
        typing.get_origin(type_) is tuple
        and arguments
        and isinstance(arguments[0], type)
        and issubclass(arguments[0], msgspec.Struct)
    ):
        if not isinstance(raw, list):
            mistakes.append(f"{path}: an array of tables is expected")
            return None
        return tuple(
            _struct(arguments[0], item, f"{path}[{index}]", mistakes)
            for index, item in enumerate(raw)
        )
    try:
        return msgspec.convert(raw, typing.cast("type[object]", type_))
    except msgspec.ValidationError as error:
        mistakes.append(f"{path}: {error}")
        return None


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


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
    if not config.tls.certificate and any(
        entry.startswith("tls:") for entry in config.sip.listen
    ):
        mistakes.append("tls.certificate: a tls listener needs a certificate and key")
    if not config.storage:
        mistakes.append("storage: at least one [[storage]] is needed")
    low, high = config.media.ports
    if not 1024 <= low < high <= 65535:
        mistakes.append("media.ports: two port numbers, 1024 to 65535, are expected")
    return mistakes
