"""`recording-agent-gate`: the service at central storage, and what its operator does.

0: done; 1: it failed, and the message says whose fault it is; 2: wrong usage.
"""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Final

import cyclopts
import msgspec
from cyclopts import Parameter

from agent import __version__
from agent.archive.keyring import Keyring, copy_keyring, read_index_keys
from agent.common.clock import utc_ns
from agent.common.crashes import tell_crashes
from agent.common.dumps import forbid_dumps
from agent.common.errors import AgentError
from agent.common.files import write_durably
from agent.common.logs import configure
from agent.formats.layout import day_of, month_of
from agent.gate.adopting import Adopted, adopt as adopt_documents
from agent.gate.config import load
from agent.gate.opening import (
    open_keyring,
    opened,
    read_identities,
)
from agent.gate.publishing import latest, publish as publish_list
from agent.gate.server import tls_context
from agent.gate.service import serve, service_manager, tls_files
from agent.gate.targets import open_targets
from agent.identity.roster import load_roster
from agent.retention.telephony_host import refuse_telephony_host
from agent.signalling.secrets import Secrets

app: Final = cyclopts.App(
    name="recording-agent-gate",
    version=__version__,
    help="Guards the recordings' central storage: who opens what, for what, and when "
    "it ends.",
)
keyring: Final = cyclopts.App(name="keyring", help="The gate's keys.")
app.command(keyring)

IDENTIFIER: Final = "recording-agent-gate"
"How journald names its lines."

ConfigFile = Annotated[Path, Parameter(name=["--config", "-c"])]


@app.command
def run(*, config: ConfigFile) -> None:
    """Serve until SIGTERM; log JSON lines on stdout.

    Args:
        config: gate.toml; relative paths in it start at its folder.
    """
    settings = load(config)
    configure(settings.log.level, identifier=IDENTIFIER)
    tell_crashes(IDENTIFIER)
    asyncio.run(serve(settings, _base(config), _secrets(config), service_manager()))


@app.command
def check_config(*, config: ConfigFile) -> None:
    """Judge the file, and the roster, keys and certificates that it names.

    Args:
        config: gate.toml.
    """
    settings = load(config)
    base, secrets = _base(config), _secrets(config)
    refuse_telephony_host()
    read_identities(settings, secrets)
    tls_context(*tls_files(settings, base, secrets))
    open_targets(settings, base, secrets)
    load_roster(base / settings.roster.path, settings.roster.root)
    print(f"{config}: no mistakes")


@app.command
def publish(*, config: ConfigFile, output: Path) -> None:
    """Make keys ahead and a signed list of them, while the gate is not running.

    A running gate does so by itself, and gives the newest list at /day-keys.

    Args:
        config: gate.toml.
        output: Where the list is written to, for the hosts' `[gate] day_keys`.
    """

    async def act() -> bytes:
        base, secrets = _base(config), _secrets(config)
        settings = load(config)
        targets = open_targets(settings, base, secrets)
        async with opened(settings, base, secrets, targets) as gate:
            today = gate.parts.today()
            until = today + timedelta(settings.keyring.days_ahead)
            await gate.parts.keyring.generate_until(until, today=today)
            await publish_list(gate.parts)
            return await latest(gate.parts.archive.state) or b""

    data = asyncio.run(act())
    try:
        write_durably(output, data, mode=0o644)
    except OSError as error:
        raise OutputError(f"{output} cannot be written: {error.strerror}.") from error


@app.command
def sweep(*, config: ConfigFile, dry_run: bool = True) -> None:
    """Tell what would be erased now, or erase it, while the gate is not running.

    A running gate sweeps by itself, and answers POST /sweep. Exit code 1 if something
    that is due is not complete.

    Args:
        config: gate.toml.
        dry_run: Tell only; `--no-dry-run` erases.
    """

    async def act() -> bool:
        settings = load(config)
        base, secrets = _base(config), _secrets(config)
        targets = open_targets(settings, base, secrets)
        policy = settings.retention.policy()
        async with opened(settings, base, secrets, targets) as gate:
            if not dry_run:
                report = await gate.sweep.run(utc_ns())
                _print(report.to_words())
                return not report.left
            due = False
            async for plan in gate.sweep.plan(utc_ns()):
                due = True
                _print(plan.to_words(policy))
            if not due:
                print("no day's time is over", file=sys.stderr)
        return True

    if not asyncio.run(act()):
        sys.exit(1)


@app.command
def adopt(*, config: ConfigFile) -> None:
    """Sign what was written before there was a gate, while it is not running.

    Documents of state and tombstones that nobody has signed are believed from then on:
    look first at who could have put them there (`archive show`, `archive find`).

    Args:
        config: gate.toml.
    """

    async def act() -> Adopted:
        settings = load(config)
        base, secrets = _base(config), _secrets(config)
        targets = open_targets(settings, base, secrets)
        async with opened(settings, base, secrets, targets) as gate:
            return await adopt_documents(gate.parts, gate.site)

    done = asyncio.run(act())
    print(f"signed: {done.records} records' states, {done.tombstones} tombstones")


@keyring.command
def init(*, config: ConfigFile) -> None:
    """Make an empty keyring, and print the key that the roster is to name.

    Args:
        config: gate.toml.
    """
    settings = load(config)

    async def act() -> str:
        made = await Keyring.create(
            _base(config) / settings.keyring.folder,
            read_identities(settings, _secrets(config)),
            kind=settings.keyring.key_kind,
        )
        try:
            return str(made.signing_key.public)
        finally:
            made.close()

    print(asyncio.run(act()))


@keyring.command
def backup(destination: Path, *, config: ConfigFile) -> None:
    """Copy the keyring, encrypted as it is; the gate's identity is kept apart.

    What is destroyed later is still in the copy: keep one, the newest, offline.

    Args:
        destination: A folder that does not exist yet.
        config: gate.toml.
    """
    folder = _base(config) / load(config).keyring.folder
    try:
        count = copy_keyring(folder, destination)
    except FileExistsError:
        raise BackupError(f"{destination} exists.") from None
    print(f"{destination}: {count} files")


@keyring.command
def new_signing_key(*, config: ConfigFile) -> None:
    """Make another key to sign by, while the gate is not running, and print it.

    The gate signs by it from its next start after the roster names it. The old one
    stays in the roster, with its last day: what it signed must verify.

    Args:
        config: gate.toml.
    """

    async def act(opened_: Keyring) -> str:
        return str((await opened_.new_signing_key()).public)

    print(_with_keyring(config, act))


@keyring.command
def reseal(*, config: ConfigFile) -> None:
    """Encrypt the keyring to a new identity of the gate, while it is not running.

    The identity file holds the new one first and the old one behind it; afterwards the
    old one may go. Backups from before open by the old one alone.

    Args:
        config: gate.toml.
    """

    async def act(opened_: Keyring) -> str:
        return f"{await opened_.reseal()} files"

    print(_with_keyring(config, act))


@keyring.command
def index_keys(*, config: ConfigFile) -> None:
    """Print this month's and the next month's index keys, for a host: secret.

    Args:
        config: gate.toml.
    """
    settings = load(config)
    today = day_of(utc_ns())
    keys = read_index_keys(
        _base(config) / settings.keyring.folder,
        read_identities(settings, _secrets(config)),
        [month_of(today), month_of(next_month(today))],
    )
    sys.stdout.buffer.write(keys.to_bytes())


class OutputError(AgentError):
    """The list cannot be written."""

    hint = "Name a file in a directory you may write; a running gate has the list too."


class BackupError(AgentError):
    """The backup cannot be made."""

    hint = "Name a folder that does not exist yet, on a medium that is kept offline."


def _with_keyring(config: Path, act: Callable[[Keyring], Awaitable[str]]) -> str:
    settings = load(config)

    async def opened_and_closed() -> str:
        held = await open_keyring(settings, _base(config), _secrets(config))
        try:
            return await act(held)
        finally:
            held.close()

    return asyncio.run(opened_and_closed())


def next_month(day: date) -> date:
    """A day of the next month."""
    return day.replace(day=1) + timedelta(31)


def _base(config: Path) -> Path:
    return config.resolve().parent


def _secrets(config: Path) -> Secrets:
    given = os.environ.get("CREDENTIALS_DIRECTORY")
    return Secrets(_base(config), Path(given) if given else None)


def _print(words: object) -> None:
    print(msgspec.json.encode(words).decode())


def main() -> None:
    """Entry point of the console script."""
    forbid_dumps()
    try:
        app(sys.argv[1:])
    except AgentError as error:
        print(f"recording-agent-gate: {error}", file=sys.stderr)
        sys.exit(1)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        print(f"recording-agent-gate: {place}{error.strerror}", file=sys.stderr)
        sys.exit(1)
