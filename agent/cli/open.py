"""`recording-agent open`: what someone entitled does with a recording.

Runs where the key is, not on the telephony host. What it writes is in the clear, with
mode 0600, in the directory it is told, and only after all of it was verified.
"""

import asyncio
import getpass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from agent.access.opening import (
    OpenError,
    collect,
    from_files,
    open_found,
)
from agent.cli.quality_table import quality_table
from agent.cli.session_rows import session_rows
from agent.cli.terminal import console, printable
from agent.cli.working import Working
from agent.common.files import write_durably
from agent.common.strict_toml import ConfigError
from agent.formats.age import Identity, is_protected, open_identity_file
from agent.formats.roster import Roster
from agent.identity.roster import load_roster
from agent.service.config import Config, load
from agent.service.material import credentials_directory
from agent.service.storages import open_storages
from agent.signalling.secrets import Secrets
from agent.upload.targets import Target, open_store


def command(
    target: str,
    /,
    *,
    identity: Annotated[tuple[Path, ...], Parameter(name=["--identity", "-i"])],
    config: Annotated[Path | None, Parameter(name=["--config", "-c"])] = None,
    locked_url: str = "",
    url: str = "",
    roster: Path | None = None,
    root: str = "",
    out: Annotated[Path, Parameter(name=["--out", "-o"])] = Path(),
) -> None:
    """Decrypt a recording to ID.json and ID.wav, ID.flac or ID.opus; show its quality.

    Args:
        target: The recording's id, or one of its files, the others beside it.
        identity: Files with your secret keys.
        config: A configuration whose [[storage]] is searched for the id, and whose
            [roster] says which hosts are believed.
        locked_url: Where audio and manifests are, if no configuration is given.
        url: Where the key envelopes are, if no configuration is given.
        roster: The signed roster, if no configuration is given.
        root: The public key that must have signed it, "ssh-ed25519 AAAA…".
        out: The directory the opened files go to.
    """
    identities = [key for path in identity for key in read_identities(path)]
    if not identities:
        raise OpenError("no key was given.", hint="Name an identity file with -i.")
    settings = None if config is None else load(config)
    base = Path() if config is None else config.resolve().parent
    believed = _roster(settings, base, roster, root)
    if Path(target).is_file():
        found = from_files(Path(target))
    else:
        targets = _targets(settings, base, locked_url, url)
        with Working("fetching it from storage …"):
            found = asyncio.run(collect(target, targets))
    opened = open_found(found, identities, believed)
    for warning in opened.warnings:
        console(stderr=True).print(f"warning: {warning}", soft_wrap=True)
    out.mkdir(parents=True, exist_ok=True)
    files = {
        f"{opened.id}.{opened.suffix}": opened.audio,
        f"{opened.id}.json": opened.facts,
    }
    for name, data in files.items():
        write_durably(out / name, data)
        console().print(out / name)
    for name, text in session_rows(opened.manifest):
        console().print(f"{name}: {printable(text)}", soft_wrap=True)
    console().print(quality_table(opened.manifest), soft_wrap=False)


def read_identities(path: Path) -> list[Identity]:
    """The keys of a file; asks for its passphrase if it has one. Raises OpenError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise OpenError(f"{path} cannot be read: {error.strerror}.") from error
    passphrase = None
    if is_protected(data):
        passphrase = getpass.getpass(f"Passphrase of {path}: ")
    return open_identity_file(data, passphrase)


def _roster(
    settings: Config | None, base: Path, path: Path | None, root: str
) -> Roster | None:
    """Who is believed; None if nobody said. Raises RosterError, OpenError."""
    if path is None and settings is not None and settings.roster.path:
        path = base / settings.roster.path
        root = root or settings.roster.root
    if path is None:
        return None
    if not root:
        raise OpenError(
            "a roster is believed for the key that has signed it.",
            hint='Give --root "ssh-ed25519 AAAA…" as well.',
        )
    return load_roster(path, root)


def _targets(
    settings: Config | None, base: Path, locked_url: str, url: str
) -> list[Target]:
    """The storages to be searched. Raises OpenError, ConfigError."""
    targets = []
    if locked_url and url:
        targets.append(Target(open_store(locked_url, base), open_store(url, base)))
    if settings is not None:
        mistakes: list[str] = []
        secrets = Secrets(base, credentials_directory())
        targets += open_storages(settings, base, secrets, mistakes)
        if mistakes:
            raise ConfigError(mistakes)
    if not targets:
        raise OpenError(
            "no storage was named.", hint="Give --config, or --locked-url and --url."
        )
    return targets
