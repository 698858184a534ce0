"""From a configuration to a gate: everything it needs is opened, and proven, at start.

A gate that comes up has read its roster, opened every key, found its log's end and
written a row behind it. Else it says what is wrong, and does not come up.
"""

import functools
import hashlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog
from fastapi import FastAPI

from agent import __version__
from agent.archive.audit_log import AuditLog
from agent.archive.audit_mark import Mark
from agent.archive.documents import SignedDocuments
from agent.archive.key_files import KeyringError, Kind
from agent.archive.keyring import Keyring
from agent.archive.reconciling import Place
from agent.archive.states import States
from agent.archive.store import Archive
from agent.archive.store_log import StoreLog
from agent.archive.tombstones import Erased
from agent.archive.witness import Witness
from agent.common.clock import utc_ns
from agent.common.errors import AgentError
from agent.common.files import make_private_directory
from agent.formats.age import Identity, open_identity_file
from agent.formats.audit import Act
from agent.formats.day_keys import DayKeysError, verify_day_keys
from agent.formats.layout import day_of
from agent.formats.sshsig import PublicKey
from agent.gate.admission import Admission
from agent.gate.adopting import adopt_nothing
from agent.gate.app import make_app
from agent.gate.approvals import Approvals
from agent.gate.config import Config
from agent.gate.erasing import Erasing
from agent.gate.limits import Limits
from agent.gate.memory import destroy_again, recall, remember
from agent.gate.parts import Parts
from agent.gate.publishing import latest, latest_serial
from agent.gate.roster_file import RosterFile
from agent.gate.schedule import Schedule, Works
from agent.retention.erasure import Erasure
from agent.retention.site import Place as RetentionPlace, Site
from agent.retention.sweep import Sweep
from agent.retention.telephony_host import SPOOL, refuse_telephony_host
from agent.signalling.secrets import Secrets
from agent.upload.backend import StorageBackend
from agent.upload.config import bucket_of
from agent.upload.targets import Target

AUDIT_MARK: Final = "audit-mark"
"In the gate's state: how far its log has come, which storage alone could hide."


class UnknownGateError(AgentError):
    """The roster does not name this gate's key."""

    hint = "Have the key put into the roster's `gate`, signed, and start again."


@dataclass(frozen=True, slots=True)
class Opened:
    """A gate that may serve."""

    app: FastAPI
    parts: Parts
    schedule: Schedule
    roster: RosterFile
    sweep: Sweep
    site: Site


def read_identities(config: Config, secrets: Secrets) -> list[Identity]:
    """The gate's own keys, by which its keyring opens. Raises SecretError, AgeError."""
    keyring = config.keyring
    passphrase = secrets.password(keyring.passphrase) if keyring.passphrase else None
    return open_identity_file(secrets.read(keyring.identity).encode(), passphrase)


async def open_keyring(config: Config, base: Path, secrets: Secrets) -> Keyring:
    """Open it, as the only one. Raises KeyringError, SecretError, AgeError."""
    return await Keyring.open(
        base / config.keyring.folder,
        read_identities(config, secrets),
        kind=config.keyring.key_kind,
    )


@asynccontextmanager
async def opened(
    config: Config,
    base: Path,
    secrets: Secrets,
    targets: Mapping[str, Target],
    *,
    clock: Callable[[], int] = utc_ns,
    spool: Path = SPOOL,
) -> AsyncIterator[Opened]:
    """A gate, as long as the context lasts; it answers from the first target.

    Raises AgentError, OSError: what could not be opened or proven.
    """
    refuse_telephony_host(spool)
    state = base / config.gate.state
    make_private_directory(state)
    roster = RosterFile(base / config.roster.path, config.roster.root, state)
    keyring = await open_keyring(config, base, secrets)
    try:
        trusted = roster().gate_keys()
        own = keyring.sign_by(roster().gate_keys(day_of(clock())))
        if own is None:
            known = keyring.signing_keys[0].public
            raise UnknownGateError(
                f"The roster has no gate with the key {known} today."
            )
        archives = {
            name: Archive(target.locked, target.state, clock=clock)
            for name, target in targets.items()
        }
        first = next(iter(archives.values()))
        await check_published(keyring, first.state, trusted)
        witness = await recall(state, first.locked, config.gate.name, trusted)
        log = AuditLog(
            first.locked, config.gate.name, own, clock,
            trusted=trusted, mark=Mark(state / AUDIT_MARK), follow=witness.take,
        )  # fmt: skip
        await log.start(at_least=witness.row)
        try:
            gate = _assembled(
                config, roster, keyring, log, witness,
                archives=archives, state=state, clock=clock,
                store_log=store_log_of(config, base),
            )  # fmt: skip
            await gate.parts.erased.load()
            # Before anybody is served: a keyring from a backup has them again.
            await destroy_again(gate.site, keyring, witness, clock())
            remember(state, witness)
            await log.append(
                config.gate.name,
                Act.START,
                detail={"version": __version__, "config": config_digest(config)},
            )
            await adopt_nothing(gate.parts, gate.site)
            yield gate
            await log.append(config.gate.name, Act.STOP)
            remember(state, witness)
        finally:
            await log.close()
    finally:
        keyring.close()


def _assembled(
    config: Config,
    roster: RosterFile,
    keyring: Keyring,
    log: AuditLog,
    witness: Witness,
    *,
    archives: dict[str, Archive],
    state: Path,
    clock: Callable[[], int],
    store_log: StoreLog | None,
) -> Opened:
    first, *others = archives.values()
    places = tuple(RetentionPlace.of([*archives.values()], [*archives]))
    heads = {place.name: place.archive.locked for place in places[1:]}
    documents = SignedDocuments(keyring.signing_key, lambda: roster().gate_keys())
    states = States(first.state, documents, witness)
    parts = Parts(
        name=config.gate.name,
        archive=first,
        copies=heads,
        others=tuple(others),
        states=states,
        erased=Erased(first),
        log=log,
        keyring=keyring,
        witness=witness,
        roster=roster,
        limits=Limits(config.limits.limits()),
        store_log=store_log,
        clock=clock,
    )
    site = Site(places, states, log, keyring, config.gate.name, documents)
    policy = config.retention.policy()
    sweep = Sweep(site, policy, wait=config.retention.wait)
    erasure = Erasure(
        site,
        late_uploads=config.retention.late_uploads,
        approved=Approvals(parts, Admission(parts)).approved,
    )
    erasing = functools.partial(Erasing, sweep=sweep, erasure=erasure, policy=policy)
    works = Works(
        parts=parts,
        site=site,
        sweep=sweep,
        erasure=erasure,
        heads=heads,
        reload=roster.reload,
        days_ahead=config.keyring.days_ahead,
        state=state,
    )
    app = make_app(parts, erasing)
    return Opened(app, parts, Schedule(works), roster, sweep, site)


def store_log_of(config: Config, base: Path) -> StoreLog | None:
    """Where the first storage's own log is; None where it is not told."""
    told = config.store_log
    if not told.files:
        return None
    bucket, prefix = bucket_of(config.storage[0].url)
    files = tuple(base / name for name in told.files)
    return StoreLog(files, told.form, Place(bucket, prefix, frozenset(told.users)))


def config_digest(config: Config) -> str:
    """What the log says of the configuration: that it changed, not what is in it."""
    return f"sha256:{hashlib.sha256(repr(config).encode()).hexdigest()}"


async def check_published(
    keyring: Keyring, state: StorageBackend, trusted: Iterable[PublicKey]
) -> None:
    """Hold the keyring against what it once published.

    Raises KeyringError: it is older than that, as one from a backup is, and hosts may
    have used keys that it lacks.
    """
    serial = await latest_serial(state)
    if serial > await keyring.serial():
        raise KeyringError(
            f"The keyring is older than the list {serial} that it has published.",
            hint=(
                "Bring the newest backup back. If there is no newer one, write that"
                " number into the keyring's file `serial`: what hosts encrypted to"
                " keys that are lost stays unreadable, and is named at start."
            ),
        )
    signed = await latest(state)
    if signed is None:
        return
    try:
        published = verify_day_keys(signed, trusted)
    except DayKeysError as error:
        raise KeyringError(
            f"The list of day keys in storage is not this gate's: {error}",
            hint="Find out who could write it; hosts refuse it too.",
        ) from error
    gone = {done.name for done in await keyring.destroyed() if done.kind is Kind.DAY}
    held = {f"{day}.{n}" for day in keyring.days() for n in keyring.generations(day)}
    names = {f"{key.day}.{key.generation}" for key in published.keys}
    if lost := sorted(names - gone - held):
        structlog.get_logger().error("day_keys_lost", keys=lost)
