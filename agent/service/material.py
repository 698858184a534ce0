"""What the configuration names and the disk holds, read and judged at start."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from agent.common.errors import AgentError
from agent.common.strict_toml import ConfigError
from agent.formats.age import KeyKind, Recipient, parse_recipient
from agent.identity.directory import Directory
from agent.media.sound import Sound
from agent.media.sounds import SoundError, load_notice
from agent.service.config import Config
from agent.service.credentials import Credentials, read_credentials
from agent.signalling.secrets import Secrets
from agent.signalling.tls import TlsContexts

MIN_QUALITY_RECIPIENTS: Final = 2
"One of them the offline recovery key: with fewer, one lost key loses everything."


@dataclass(frozen=True, slots=True)
class Material:
    """What the configuration names and the disk holds, read and judged."""

    quality: tuple[Recipient, ...]
    directory: Directory
    notices: dict[str, Sound]
    notice_files: dict[str, bytes] = field(repr=False)
    tls: TlsContexts | None = None
    credentials: Credentials = field(default_factory=Credentials)
    warnings: tuple[str, ...] = ()


def read_material(config: Config, base: Path) -> Material:
    """Read keys, directory and notices; `base` is the configuration's directory.

    Raises ConfigError with every mistake. A notice that cannot be read is a mistake
    of the file, not of a call: the daemon does not start with it.
    """
    mistakes: list[str] = []
    quality: list[Recipient] = []
    for index, text in enumerate(config.recording.recipients):
        try:
            quality.append(parse_recipient(text))
        except AgentError as error:
            mistakes.append(f"recording.recipients[{index}]: {error}")
    if len(set(config.recording.recipients)) < MIN_QUALITY_RECIPIENTS:
        mistakes.append(
            "recording.recipients: at least two are needed, one of them the offline"
            " recovery key"
        )
    kinds = {recipient.kind for recipient in quality}
    if len(kinds) > 1:
        names = ", ".join(
            f"[{index}] is {recipient.kind}" for index, recipient in enumerate(quality)
        )
        mistakes.append(
            f"recording.recipients: classic and post-quantum keys are mixed ({names})"
        )
    directory, warnings = _read_directory(config, base, quality, mistakes)
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
    credentials = read_credentials(config.peers, secrets, mistakes)
    if mistakes:
        raise ConfigError(mistakes)
    return Material(
        tuple(quality), directory, notices, files, tls, credentials, tuple(warnings)
    )


def credentials_directory() -> Path | None:
    """Where the service manager puts the unit's credentials, if it does."""
    given = os.environ.get("CREDENTIALS_DIRECTORY")
    return Path(given) if given else None


def _read_directory(
    config: Config, base: Path, quality: list[Recipient], mistakes: list[str]
) -> tuple[Directory, list[str]]:
    if not config.officers.directory:
        return Directory(()), ["officers.directory is empty: no officer has a name"]
    try:
        path = base / config.officers.directory
        directory = Directory.load(path, config=config.identity)
    except (AgentError, OSError) as error:
        mistakes.append(f"officers.directory: {error}")
        return Directory(()), []
    kind = quality[0].kind if quality else KeyKind.POST_QUANTUM
    without = wrong = 0
    for entry in directory:
        if not entry.recipient:
            without += 1
            continue
        try:
            wrong += parse_recipient(entry.recipient).kind is not kind
        except AgentError:
            wrong += 1
    warnings = []
    if without:
        warnings.append(f"{without} officers have no key: quality staff only")
    if wrong:
        warnings.append(
            f"{wrong} officers' keys are not {kind} keys: they open nothing"
        )
    return directory, warnings
