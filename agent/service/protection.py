"""What keeps stored recordings: the signing key, the gate's day keys, the index keys.

Read at start, where a mistake keeps the daemon from starting, and again at SIGHUP,
where what cannot be read stays as it was. The signing key stays for the process's life.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Final, Protocol

import structlog

from agent.common.clock import utc_ns
from agent.common.errors import AgentError
from agent.formats.blind_index import IndexKeys
from agent.formats.day_keys import MAX_LIST, DayKeyList, verify_day_keys
from agent.formats.layout import day_of, month_of
from agent.formats.roster import Roster
from agent.formats.sshsig import SigningKey
from agent.identity.roster import remember_serial, seen_document
from agent.recording.dispatch import Dispatch
from agent.service.config import Config
from agent.signalling.secrets import Secrets

EARLY: Final = timedelta(days=3)
"So long before a month begins its index key should be there."


@dataclass(frozen=True, slots=True)
class Protection:
    """All of it that is configured."""

    signing: SigningKey | None = None
    day_keys: DayKeyList | None = None
    index: IndexKeys | None = field(default=None, repr=False)


class Indexing(Protocol):
    """Who indexes."""

    index: IndexKeys | None


def read_protection(
    config: Config,
    base: Path,
    secrets: Secrets,
    roster: Roster | None,
    mistakes: list[str],
    *,
    floor: int = 0,
) -> Protection:
    """Read what is configured; what is wrong with it joins `mistakes`.

    A list of day keys is an old one if its serial is below `floor`, or below what
    `remember_day_keys` has noted.
    """
    signing = day_keys = index = None
    if config.signing.key:
        try:
            text = secrets.read(config.signing.key)
            signing = SigningKey.from_private_file(text.encode())
        except AgentError as error:
            mistakes.append(f"signing.key: {error}")
        else:
            mistakes += _unknown_host(config.agent.name, signing, roster)
    if config.gate.day_keys:
        if roster is None:
            mistakes.append(
                "gate.day_keys: a [roster] is needed, which says whose list it is"
            )
        else:
            try:
                data = _read(base / config.gate.day_keys)
                seen = seen_document(_memory(base / config.agent.spool))
                floor = max(floor, seen.serial)
                day_keys = verify_day_keys(
                    data, roster.gate_keys(day_of(utc_ns())), floor=floor
                )
            except (AgentError, OSError) as error:
                mistakes.append(f"gate.day_keys: {error}")
    if config.index.keys:
        try:
            index = IndexKeys.parse(secrets.read(config.index.keys).encode())
        except AgentError as error:
            mistakes.append(f"index.keys: {error}")
    return Protection(signing, day_keys, index)


def remember_day_keys(found: Protection, spool: Path) -> None:
    """From now on an older list of day keys is refused here. Raises SerialError.

    Its keys may be destroyed by now: what is encrypted to them nobody opens again.
    """
    if found.day_keys is not None:
        remember_serial(_memory(spool), found.day_keys.serial)


def unprotected(config: Config) -> list[str]:
    """What is not enforced, since its section is not there: a warning each."""
    warnings = []
    if not config.signing.key:
        warnings.append(
            "signing.key is empty: nobody notices a recording that was altered by"
            " somebody with its key, or removed"
        )
    if not config.gate.day_keys:
        warnings.append(
            "gate.day_keys is empty: who has a key opens its recordings, without a"
            " purpose or a log, for as long as storage keeps them"
        )
    if not config.index.keys:
        warnings.append(
            "index.keys is empty: recordings are found by opening their manifests"
        )
    return warnings


class Renewal:
    """Reads the lists again, and has them used."""

    def __init__(
        self,
        read: Callable[[list[str], int], Protection],
        protection: Protection,
        *,
        dispatch: Dispatch,
        indexing: Indexing,
        today: Callable[[], date],
        problem: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`read(mistakes, floor)` reads all of it; `problem` is told one in a word."""
        self._read = read
        self._now = protection
        self._dispatch = dispatch
        self._indexing = indexing
        self._today = today
        self._problem = problem
        self._log = structlog.get_logger()
        self.use(protection)

    @property
    def protection(self) -> Protection:
        """What is in use."""
        return self._now

    def __call__(self) -> None:
        """Read again what may change while calls are carried."""
        mistakes: list[str] = []
        known = self._now.day_keys
        found = self._read(mistakes, 0 if known is None else known.serial)
        if mistakes:
            self._log.error("protection_not_reloaded", reason="; ".join(mistakes))
            self._problem("protection-not-reloaded")
            return
        self.use(found)
        self._log.info("protection_reloaded")

    def use(self, found: Protection) -> None:
        """Go by what was read."""
        self._now = found
        if found.day_keys is not None:
            self._dispatch.renew(found.day_keys)
        self._indexing.index = found.index
        if found.index is not None:
            for day in (self._today(), self._today() + EARLY):
                if month_of(day) not in found.index.months:
                    self._log.error("index_key_missing", month=month_of(day))
                    self._problem("index-key-missing")
                    return


def _unknown_host(name: str, key: SigningKey, roster: Roster | None) -> list[str]:
    if roster is None or key.public in roster.host_keys(day_of(utc_ns())).get(name, ()):
        return []
    return [
        f"signing.key: the roster has no host {name!r} with the key"
        f" {key.public.fingerprint}: nobody would believe its seals"
    ]


def _memory(spool: Path) -> Path:
    """Where the highest serial stands that this host has seen."""
    return spool / "day-keys-serial"


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(2 * MAX_LIST + 1)
