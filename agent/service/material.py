"""What the configuration names and the disk holds, read and judged at start."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from agent.common.errors import AgentError
from agent.common.strict_toml import ConfigError
from agent.formats.roster import Roster
from agent.identity.people import People
from agent.media.sound import Sound
from agent.media.sounds import SoundError, load_notice
from agent.service.broker_access import BrokerAccess, read_broker_access
from agent.service.config import Config
from agent.service.credentials import Credentials, read_credentials
from agent.service.people import read_people
from agent.service.protection import Protection, read_protection, unprotected
from agent.service.storages import open_storages, untold_regions
from agent.signalling.secrets import Secrets
from agent.signalling.tls import TlsContexts
from agent.upload.targets import Target


@dataclass(frozen=True, slots=True)
class Material:
    """What the configuration names and the disk holds, read and judged."""

    people: People
    notices: dict[str, Sound]
    notice_files: dict[str, bytes] = field(repr=False)
    tls: TlsContexts | None = None
    credentials: Credentials = field(default_factory=Credentials)
    warnings: tuple[str, ...] = ()
    protection: Protection = field(default_factory=Protection)
    storages: tuple[Target, ...] = ()
    broker: BrokerAccess | None = None

    @property
    def roster(self) -> Roster | None:
        """The newest roster that was believed; None where none is configured."""
        return self.people.roster


def read_material(
    config: Config, base: Path, *, storages: tuple[Target, ...] | None = None
) -> Material:
    """Read roster, keys, officers and notices; `base` is the configuration's directory.

    Raises ConfigError with every mistake. A notice that cannot be read is a mistake
    of the file, not of a call: the daemon does not start with it. `storages` are those
    that are open already.
    """
    mistakes: list[str] = []
    people, warnings = read_people(config, base, mistakes)
    notices: dict[str, Sound] = {}
    files: dict[str, bytes] = {}
    for index, route in enumerate(config.routes):
        for name in route.notice:
            if name in notices:
                continue
            try:
                notices[name] = load_notice(base / name)
                files[notices[name].sha256] = (base / name).read_bytes()
            except (SoundError, OSError) as error:
                mistakes.append(f"routes[{index}].notice: {error}")
    secrets = Secrets(base, credentials_directory())
    tls = None
    if any(entry.startswith("tls:") for entry in config.sip.listen):
        try:
            tls = TlsContexts(config.tls, base, secrets)
        except AgentError as error:
            mistakes.append(f"tls: {error}")
    credentials = read_credentials(
        config.peers,
        secrets,
        mistakes,
        recorded={entry.from_ for entry in config.siprec},
    )
    if storages is None:
        storages = open_storages(config, base, secrets, mistakes)
    broker = None
    try:
        broker = read_broker_access(config.mqtt, config.region, base, secrets)
    except AgentError as error:
        mistakes.append(f"mqtt: {error}")
    protection = read_protection(config, base, secrets, people.roster, mistakes)
    warnings += [*unprotected(config), *untold_regions(config)]
    if mistakes:
        raise ConfigError(mistakes)
    return Material(
        people,
        notices,
        files,
        tls,
        credentials,
        tuple(warnings),
        protection,
        storages,
        broker,
    )


def credentials_directory() -> Path | None:
    """Where the service manager puts the unit's credentials, if it does."""
    given = os.environ.get("CREDENTIALS_DIRECTORY")
    return Path(given) if given else None
