"""What a configuration says of its storages, as the commands on them need it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import msgspec

from agent.common.outgoing import Outgoing, StorageKeys
from agent.common.regions import RegionConfig
from agent.common.strict_toml import ConfigError, decode_struct, read_toml
from agent.retention.config import RetentionConfig
from agent.retention.policy import Period
from agent.service.material import credentials_directory
from agent.signalling.secrets import Secrets
from agent.upload.bucket_properties import LOCK_MARGIN, Wanted
from agent.upload.config import StorageConfig, bucket_of
from agent.upload.directories import Owner, owner_of
from agent.upload.policies import Dialect, Kind, Place, Role, Users, bucket_policy
from agent.upload.s3_credentials import parse_credentials

_FOUR_YEARS: Final = [date(2025, 1, 1) + timedelta(days) for days in range(1461)]
_AMAZON: Final = ".amazonaws.com"


class _Sections(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of the host's file, and of the gate's, which has the same ones."""

    storage: tuple[StorageConfig, ...]
    region: RegionConfig = RegionConfig()
    retention: RetentionConfig = RetentionConfig()


@dataclass(frozen=True, slots=True)
class Site:
    """The storages of one configuration file."""

    storages: tuple[StorageConfig, ...]
    outgoing: Outgoing
    lock_days: int
    role: Role
    "Whose file it is, and so whose credentials it names."
    host: str
    "The host's name; empty in another's file."
    base: Path
    "What relative paths are below: the file's directory."
    owner: Owner | None = None
    "Whose the directories are to be, if that is somebody else."

    def keys(self, storage: StorageConfig) -> StorageKeys:
        """The configured credentials. Raises AgentError."""
        secrets = Secrets(self.base, credentials_directory())
        return parse_credentials(secrets.read(storage.credentials))

    def client(self, index: int, keys: StorageKeys) -> Any:
        """A client of the `index`-th storage's server. Raises OutsideRegionError."""
        storage = self.storages[index]
        return self.outgoing.s3_client(
            storage.destination(index),
            keys,
            signing_region=storage.signing_region,
            ca=str(self.base / storage.ca) if storage.ca else "",
        )

    def wanted(
        self,
        storage: StorageConfig,
        users: Users,
        dialect: Dialect | None,
    ) -> Iterator[Wanted]:
        """Both buckets as they must be; a policy is asked for if users are named."""
        urls: tuple[tuple[Kind, str], ...] = (
            ("locked", storage.locked_url),
            ("state", storage.url),
        )
        for kind, url in urls:
            place = place_of(url)
            policy = None
            if users:
                spoken = dialect or dialect_of(storage)
                policy = bucket_policy(kind, place, users, dialect=spoken)
            yield Wanted(
                kind,
                place,
                lock=storage.lock,
                lock_days=self.lock_days,
                region=storage.region,
                signing_region=storage.signing_region,
                policy=policy,
            )

    def directories(self, storage: StorageConfig) -> tuple[Path, Path]:
        """Where a storage of the kind file: keeps both kinds of objects."""
        locked, state = (
            self.base / unquote(urlsplit(url).path)
            for url in (storage.locked_url, storage.url)
        )
        return locked, state


def read_site(path: Path) -> Site:
    """Read what a configuration says of storages. Raises ConfigError."""
    raw = read_toml(path)
    known = {field.name for field in msgspec.structs.fields(_Sections)}
    mistakes: list[str] = []
    ours = {name: section for name, section in raw.items() if name in known}
    sections = decode_struct(_Sections, ours, "", mistakes)
    if sections is not None:
        outgoing = Outgoing(sections.region)
        named = [s.destination(index) for index, s in enumerate(sections.storage)]
        mistakes += outgoing.judge(named)
        if not mistakes:
            period = Period.parse(sections.retention.period)
            lock_days = lock_days_of(period)
            # Only a host's file has this section.
            role = Role.HOST if "agent" in raw else Role.GATE
            host = _host_of(raw.get("agent"))
            base = path.resolve().parent
            owner = owner_of(base / _own_folder(raw))
            return Site(sections.storage, outgoing, lock_days, role, host, base, owner)
    raise ConfigError(mistakes)


def _host_of(section: object) -> str:
    """The name in `[agent]`, which is judged elsewhere."""
    return str(section.get("name", "")) if isinstance(section, dict) else ""


def _own_folder(raw: Mapping[str, object]) -> str:
    """What the service alone writes to: a host's spool, the gate's state."""
    for section, key in (("agent", "spool"), ("gate", "state")):
        found = raw.get(section)
        if isinstance(found, dict) and isinstance(found.get(key), str):
            return str(found[key])
    return ""


def lock_days_of(period: Period) -> int:
    """How long a bucket may lock at most, so that erasure finds it open."""
    shortest = min((period.after(day) - day).days for day in _FOUR_YEARS)
    return max(1, shortest - LOCK_MARGIN)


def place_of(url: str) -> Place:
    """The bucket and prefix of an s3:// URL, as policies name them."""
    bucket, prefix = bucket_of(url)
    return Place(bucket, f"{prefix}/" if prefix else "")


def dialect_of(storage: StorageConfig) -> Dialect:
    """What the server at an endpoint understands, as far as its name tells."""
    host = urlsplit(storage.endpoint).hostname or ""
    return Dialect.AMAZON if host.endswith(_AMAZON) else Dialect.CEPH
