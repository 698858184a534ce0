"""`recording-agent archive facts`: what law asks to be told (Articles 30 and 35)."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from agent.access.desk_opening import read_roster
from agent.access.facts import gather, to_json, to_markdown
from agent.cli.archive.common import Config, local_day, memory, settings
from agent.cli.archive.live import sources


def command(
    *,
    json: Annotated[bool, Parameter(negative="")] = False,
    retention: Path | None = None,
    config: Config = None,
) -> None:
    """Report roles, purposes, keys, retention and places, as they are configured now.

    Args:
        json: Print JSON instead of Markdown.
        retention: The gate's or a host's configuration, whose [retention] is told.
        config: See above.
    """
    loaded, base = settings(config)
    roster = read_roster(loaded, base, memory())
    facts = gather(sources(loaded, roster, local_day(), retention))
    sys.stdout.buffer.write(to_json(facts) if json else to_markdown(facts).encode())
