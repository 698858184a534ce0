"""What the verbs take from the live configuration, and how they show that they work."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from agent.access.config import ArchiveConfig
from agent.access.facts import Place, Sources
from agent.cli.terminal import console
from agent.common.strict_toml import ConfigError, decode_struct, read_toml
from agent.formats.roster import Roster
from agent.retention.config import RetentionConfig
from agent.retention.facts import retention_facts


def sources(
    config: ArchiveConfig, roster: Roster | None, today: date, retention: Path | None
) -> Sources:
    """What the report of facts is made of. Raises ConfigError."""
    return Sources(
        today=today,
        controller=config.controller,
        places=_places(config),
        allowed=config.region.allowed,
        keeping=None if retention is None else _keeping(retention, config),
        roster=roster,
        gate=config.gate is not None,
    )


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error, where that is a terminal; gives what moves it."""
    columns = (
        TextColumn(what),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, all_: bar.update(task, completed=done, total=all_)


def _places(config: ArchiveConfig) -> list[Place]:
    places = []
    for one in config.storage:
        # A directory is where this computer is.
        where = one.region or ("" if one.is_s3 else config.region.here)
        at = f" at {one.endpoint}" if one.endpoint else ""
        places += [
            Place("audio, manifests, log", one.locked_url + at, where),
            Place("envelopes, index, states", one.url + at, where),
        ]
    if config.gate is not None:
        places.append(Place("gate", config.gate.url, config.gate.region))
    return places


def _keeping(path: Path, person: ArchiveConfig) -> dict[str, str]:
    """`[retention]` of the gate's configuration, or of a host's."""
    mistakes: list[str] = []
    raw = read_toml(path).get("retention", {})
    config = decode_struct(RetentionConfig, raw, "retention", mistakes)
    if config is None:
        raise ConfigError(mistakes)
    facts = retention_facts(config, gate=person.gate is not None)
    return {name: _words(value) for name, value in facts.items()}


def _words(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(value)
    return str(value) or "-"
