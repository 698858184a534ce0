"""`archive.toml`: where a person's keys are, and how central storage is reached.

It holds no secret: keys are files it names, passphrases are asked for.
"""

import re
from pathlib import Path
from typing import Final

import msgspec

from agent.common.regions import RegionConfig
from agent.common.strict_toml import ConfigError, decode_struct, read_toml
from agent.identity.config import RosterConfig
from agent.identity.numbers import IdentityConfig
from agent.upload.config import StorageConfig

HINT: Final = "Correct the file; `recording-agent archive init` writes one to fill in."
_PERSON: Final = re.compile(r"p-[a-z0-9-]{1,38}")


class PersonConfig(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """`[person]`: who works here."""

    id: str = ""
    "As in the roster, `p-…`; it stands on copies and annotations."
    identities: tuple[str, ...] = ()
    "Files with secret keys in age's own format; with a passphrase it is asked for."
    signing_key: str = ""
    "An OpenSSH Ed25519 private key that signs the sheet of a copy; empty: unsigned."

    def __post_init__(self) -> None:
        if self.id and _PERSON.fullmatch(self.id) is None:
            raise ValueError("id must be p- and 1 to 38 of a-z, 0-9 and -")


class GateClientConfig(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """`[gate]`: the service that gives envelopes out, and how it knows the person."""

    url: str
    "`https://host:port`."
    certificate: str
    "The person's certificate, PEM; the roster has its key's digest."
    key: str
    "The certificate's private key, PEM."
    ca: str
    "Who vouches for the gate's own certificate, PEM."
    region: str = ""
    "Where the gate stands; empty: where this is."

    def __post_init__(self) -> None:
        if re.fullmatch(r"https://[^/?#@]+/?", self.url) is None:
            raise ValueError("url must be https://host:port")


class IndexKeyConfig(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """`[index]`: what quality staff need to find a number where there is no gate."""

    keys: str = ""
    "File of the index keys, or of their root; empty: manifests are opened instead."


class PlayerConfig(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """`[player]`: what plays a recording from a pipe."""

    command: tuple[str, ...] = ()
    "Program and arguments, reading standard input; empty: ffplay, mpv or aplay."


class ControllerConfig(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """`[controller]`: what a person is told who asks; the agency's own words."""

    name: str = ""
    contact: str = ""
    data_protection_officer: str = ""
    legal_basis: str = ""
    "Of the recording, like `GDPR 6(1)(e), 1050/2018 section 4`."
    purpose: str = ""
    supervisory_authority: str = ""


class ArchiveConfig(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """The whole file."""

    storage: tuple[StorageConfig, ...]
    person: PersonConfig = PersonConfig()
    roster: RosterConfig = RosterConfig()
    gate: GateClientConfig | None = None
    index: IndexKeyConfig = IndexKeyConfig()
    identity: IdentityConfig = IdentityConfig()
    player: PlayerConfig = PlayerConfig()
    region: RegionConfig = RegionConfig()
    controller: ControllerConfig = ControllerConfig()


def load(path: Path) -> ArchiveConfig:
    """Read a person's configuration.

    Raises ConfigError with every mistake, each by its path in the file.
    """
    try:
        raw = read_toml(path)
        mistakes: list[str] = []
        config = decode_struct(ArchiveConfig, raw, "", mistakes)
        if config is not None and not config.storage:
            mistakes.append("storage: at least one is needed")
    except ConfigError as error:
        raise ConfigError(error.mistakes, hint=HINT) from error
    if mistakes or config is None:
        raise ConfigError(mistakes, hint=HINT)
    return config
