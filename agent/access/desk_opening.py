"""From a person's configuration to their desk: keys, roster, gate."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import date
from pathlib import Path
from typing import Final

from agent.access.config import ArchiveConfig
from agent.access.desk import Desk, DeskError
from agent.access.gate_client import GateClient
from agent.access.identity_files import read_identities
from agent.common.files import make_private_directory
from agent.common.outgoing import Outgoing
from agent.formats.blind_index import KEY_SIZE, IndexKeys
from agent.formats.roster import Roster
from agent.formats.sshsig import SigningKey
from agent.identity.roster import load_roster, remember_roster, seen_document
from agent.signalling.secrets import Secrets
from agent.upload.targets import open_target

SERIAL_FILE: Final = "roster-serial"
"In the folder of what is remembered: the newest roster that was believed."


@asynccontextmanager
async def open_desk(
    config: ArchiveConfig,
    base: Path,
    *,
    today: date,
    memory: Path,
    ask: Callable[[str], str],
    identities: Sequence[Path] = (),
) -> AsyncIterator[Desk]:
    """A desk for the time of one command.

    Args:
        config: what the person's file says.
        base: its folder, from which relative paths in it start.
        today: the local day.
        memory: folder in which it is remembered which roster was the newest.
        ask: gives a passphrase for a prompt.
        identities: identity files beside those of the configuration.

    Raises IdentityFileError, AgeError, RosterError, SerialError, SecretError,
    IndexKeyError, SshKeyError, StorageError, GateError, OutsideRegionError.
    """
    secrets = Secrets(base, None)
    person = config.person
    paths = [*(base / name for name in person.identities), *identities]
    signing_key = None
    if person.signing_key:
        data = secrets.read(person.signing_key).encode()
        signing_key = SigningKey.from_private_file(data)
    outgoing = Outgoing(config.region)
    async with AsyncExitStack() as stack:
        gate = None
        if config.gate is not None:
            gate = await stack.enter_async_context(
                GateClient.opened(config.gate, base, outgoing)
            )
        yield Desk(
            targets=tuple(
                open_target(one, base, secrets, outgoing, index=index)
                for index, one in enumerate(config.storage)
            ),
            identities=read_identities(paths, ask),
            roster=read_roster(config, base, memory),
            gate=gate,
            index=read_index(config.index.keys, secrets),
            person=person.id,
            signing_key=signing_key,
            today=today,
        )


def read_roster(config: ArchiveConfig, base: Path, memory: Path) -> Roster | None:
    """The roster, if one is configured, and no older than any that was seen.

    Raises RosterError, SerialError, DeskError.
    """
    settings = config.roster
    if not settings.path:
        return None
    try:
        make_private_directory(memory)
    except OSError as error:
        raise DeskError(f"{memory} cannot be made: {error.strerror}.") from error
    path = memory / SERIAL_FILE
    seen = seen_document(path)
    roster = load_roster(base / settings.path, settings.root, seen=seen)
    remember_roster(path, roster)
    return roster


def read_index(name: str, secrets: Secrets) -> IndexKeys | bytes | None:
    """Keys of some months as a host holds them, or the root: one line of hexadecimal.

    Raises SecretError, IndexKeyError.
    """
    if not name:
        return None
    text = secrets.read(name)
    if text.lstrip().startswith("{"):
        return IndexKeys.parse(text.encode())
    try:
        root = bytes.fromhex(text.strip())
    except ValueError:
        root = b""
    if len(root) != KEY_SIZE:
        raise DeskError(f"{name} holds neither index keys nor their root.")
    return root
