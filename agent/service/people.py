"""Reads who opens recordings and who takes calls: at start, and on a hangup signal."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Final

import structlog

from agent.common.clock import utc_ns
from agent.common.errors import AgentError
from agent.formats.age import KeyKind, Recipient, parse_recipient, recipient_kind
from agent.formats.layout import day_of
from agent.formats.roster import Role, Roster, RosterError
from agent.identity.directory import Directory, DirectoryError
from agent.identity.officers_file import unsigned_changes
from agent.identity.people import People, directory_of, openers
from agent.identity.roster import (
    load_roster,
    remember_roster as remember,
    seen_document,
)
from agent.service.config import Config

MIN_QUALITY_RECIPIENTS: Final = 2
"One of them the offline recovery key: with fewer, one lost key loses everything."
_TOO_FEW: Final = "at least two are needed, one of them the offline recovery key"


def today() -> date:
    """The local day, Europe/Helsinki."""
    return day_of(utc_ns())


def read_people(
    config: Config, base: Path, mistakes: list[str]
) -> tuple[People, list[str]]:
    """Read them, with warnings; what is wrong is added to `mistakes`.

    Where a roster is configured it counts, and the other two places are held to it.
    """
    warnings: list[str] = []
    given = _read_recipients(config, mistakes)
    directory = _read_directory(config, base, mistakes, warnings)
    if not config.roster.path:
        warnings.append(
            "roster.path is empty: nobody vouches for recipients, officers and hosts"
        )
        _judge_recipients(config.recording.recipients, given, mistakes)
        warnings += _unusable(directory, given, _kind)
        people = People(given, directory, identity=config.identity, today=today)
        return people, warnings
    try:
        roster = _read_roster(config, base)
    except RosterError as error:
        mistakes += [f"roster: {mistake}" for mistake in error.mistakes]
        return People(today=today), warnings
    except AgentError as error:
        mistakes.append(f"roster: {error}")
        return People(today=today), warnings
    if config.recording.recipients:
        _compare_recipients(config.recording.recipients, roster, mistakes, warnings)
    changes = unsigned_changes(directory, roster, config.identity)
    mistakes += [f"officers.directory: {change}" for change in changes]
    officers = directory_of(roster, today(), config.identity)
    warnings += _unusable(officers, openers(roster, today()), recipient_kind)
    return People(roster=roster, identity=config.identity, today=today), warnings


def remember_roster(people: People, spool: Path) -> None:
    """From now on an older roster is refused here. Raises SerialError."""
    if people.roster is not None:
        remember(_memory(spool), people.roster)


async def reread_roster(
    people: People,
    config: Config,
    base: Path,
    problem: Callable[[str], None] = lambda _: None,
) -> None:
    """Read the roster again; one that cannot be used changes nothing, and is told.

    `problem` is told of it in a word.
    """
    log = structlog.get_logger()
    if people.roster is None:
        return
    try:
        roster = await asyncio.to_thread(_read_roster, config, base)
        spool = base / config.agent.spool
        await asyncio.to_thread(remember, _memory(spool), roster)
    except AgentError as error:
        log.error("roster_refused", serial=people.roster.serial, reason=str(error))
        problem("roster-refused")
        return
    # Another reading may have been faster, of a newer one.
    if roster.serial >= people.roster.serial:
        people.replace(roster)
        log.info("roster_read", serial=roster.serial)
    mistakes: list[str] = []
    directory = _read_directory(config, base, mistakes, [])
    mistakes += unsigned_changes(directory, roster, config.identity)
    for mistake in mistakes:
        log.warning("officers_file_not_of_roster", reason=mistake)


def _memory(spool: Path) -> Path:
    """Where the highest serial stands that this host has seen."""
    return spool / "roster-serial"


def _read_roster(config: Config, base: Path) -> Roster:
    seen = seen_document(_memory(base / config.agent.spool))
    path = base / config.roster.path
    roster = load_roster(path, config.roster.root, seen=seen)
    if len(openers(roster, today())) < MIN_QUALITY_RECIPIENTS:
        raise RosterError([f"of quality staff and recovery keys {_TOO_FEW}"])
    return roster


def _read_recipients(config: Config, mistakes: list[str]) -> list[Recipient]:
    recipients = []
    for index, text in enumerate(config.recording.recipients):
        try:
            recipients.append(parse_recipient(text))
        except AgentError as error:
            mistakes.append(f"recording.recipients[{index}]: {error}")
    return recipients


def _judge_recipients(
    texts: Sequence[str], given: Sequence[Recipient], mistakes: list[str]
) -> None:
    if len(set(texts)) < MIN_QUALITY_RECIPIENTS:
        mistakes.append(f"recording.recipients: {_TOO_FEW}")
    if len({recipient.kind for recipient in given}) > 1:
        names = ", ".join(
            f"[{index}] is {recipient.kind}" for index, recipient in enumerate(given)
        )
        mistakes.append(
            f"recording.recipients: classic and post-quantum keys are mixed ({names})"
        )


def _compare_recipients(
    given: Sequence[str], roster: Roster, mistakes: list[str], warnings: list[str]
) -> None:
    """What the configuration says beside a roster must be the same."""
    others = {
        person.recipient: person.id
        for person in roster.people
        if Role.QUALITY in person.roles
    }
    now = {
        recipient: others[recipient] for recipient in roster.quality_recipients(today())
    }
    now |= {text: f"recovery[{index}]" for index, text in enumerate(roster.recovery)}
    for index, text in enumerate(given):
        here = f"recording.recipients[{index}]"
        if text not in now and text in others:
            # Their first or last day is no reason not to start.
            warnings.append(f"{here}: {others[text]} opens nothing today")
        elif text not in now:
            mistakes.append(f"{here}: no quality member or recovery key of the roster")
    mistakes += [
        f"recording.recipients: the roster's key of {who} is missing"
        for text, who in now.items()
        if text not in given
    ]


def _read_directory(
    config: Config, base: Path, mistakes: list[str], warnings: list[str]
) -> Directory:
    if not config.officers.directory:
        if not config.roster.path:
            warnings.append("officers.directory is empty: no officer has a name")
        return Directory(())
    try:
        path = base / config.officers.directory
        return Directory.load(path, config=config.identity)
    except DirectoryError as error:
        mistakes.append(f"officers.directory: {error}")
        return Directory(())


def _unusable(
    directory: Directory,
    quality: Sequence[Recipient],
    kind_of: Callable[[str], KeyKind],
) -> list[str]:
    """How many officers cannot open their recordings."""
    kind = quality[0].kind if quality else KeyKind.POST_QUANTUM
    without = wrong = 0
    for entry in directory:
        if not entry.recipient:
            without += 1
            continue
        try:
            wrong += kind_of(entry.recipient) is not kind
        except AgentError:
            wrong += 1
    warnings = []
    if without:
        warnings.append(f"{without} officers have no key: quality staff only")
    if wrong:
        warnings.append(
            f"{wrong} officers' keys are not {kind} keys: they open nothing"
        )
    return warnings


def _kind(text: str) -> KeyKind:
    return parse_recipient(text).kind
