"""`retention.toml`: what `recording-agent sweep` works on where there is no gate."""

from pathlib import Path
from typing import Final

import msgspec

from agent.common.regions import RegionConfig
from agent.common.strict_toml import ConfigError, decode_struct, read_toml
from agent.retention.config import RetentionConfig
from agent.retention.telephony_host import (
    SPOOL,
    TelephonyHostError,
    refuse_telephony_host,
)
from agent.upload.config import StorageConfig

HINT: Final = "Correct the file; config/retention.toml shows all it may hold."


class AuditKeyConfig(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """`[audit]`: the sweep's own audit log, beside the recordings."""

    key: str = ""
    "OpenSSH Ed25519 private key file, or `credential:NAME`; empty: there is no log."
    writer: str = "sweep"
    "The log's name."


class SweepConfig(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """The whole file."""

    storage: tuple[StorageConfig, ...]
    retention: RetentionConfig = RetentionConfig()
    region: RegionConfig = RegionConfig()
    audit: AuditKeyConfig = AuditKeyConfig()

    def __post_init__(self) -> None:
        if not self.storage:
            raise ValueError("at least one [[storage]] is needed")


def read_sweep_file(path: Path, *, spool: Path = SPOOL) -> SweepConfig:
    """Read and judge the file.

    Raises TelephonyHostError: it is an agent's configuration, or an agent has its
    spool here; ConfigError with every mistake.
    """
    raw = read_toml(path, hint=HINT)
    if "sip" in raw:
        raise TelephonyHostError(f"{path} is a telephony host's configuration.")
    refuse_telephony_host(spool)
    mistakes: list[str] = []
    config = decode_struct(SweepConfig, raw, "", mistakes)
    if config is None:
        raise ConfigError(mistakes, hint=HINT)
    return config
