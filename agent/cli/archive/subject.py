"""`recording-agent archive subject`: a person's whole request (Article 15)."""

import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from agent.access.desk import Desk
from agent.access.exporting import parse_masks
from agent.access.facts import gather
from agent.access.files_out import open_place
from agent.access.finding import Window
from agent.access.purposes import Purpose
from agent.access.reason import Reason
from agent.access.subject import Contents, SubjectRequest, answer
from agent.cli.archive.common import (
    Config,
    Identities,
    ask_line,
    at_desk,
    local_day,
    maker,
    settings,
    warn,
)
from agent.cli.archive.find import DAYS
from agent.cli.archive.live import progress, sources
from agent.cli.terminal import console
from agent.identity.numbers import normalise


def command(
    *,
    reference: str,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    first: Annotated[date | None, Parameter(name="--from")] = None,
    last: Annotated[date | None, Parameter(name="--to")] = None,
    mask: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    hold: date | None = None,
    officer: Annotated[bool, Parameter(negative="")] = False,
    retention: Path | None = None,
    config: Config = None,
    identity: Identities = (),
) -> None:
    """Answer a person's request: all recordings of their number, typed when asked for.

    A copy of each with its tags, what was noted, when and why it was used without
    names, and the facts of Article 15(1). Exit code 1 if a recording could not be
    given; it is named.

    Args:
        reference: Number of the case.
        out: A new folder, or a new file whose name ends in .zip.
        first: First day; a year ago if absent.
        last: Last day; today if absent.
        mask: Spans where another's secret is spoken: `ID:START-END`.
        hold: Hold everything that is found, and think again on this day; the holds
            are printed, for `archive release`.
        officer: The person is an officer, the number theirs.
        retention: The gate's or a host's configuration, whose [retention] is told.
        config: See above.
        identity: See above.
    """
    loaded, _ = settings(config)
    today = local_day()
    reason = Reason(purpose=Purpose.SUBJECT_REQUEST, reference=reference)
    asked = SubjectRequest(
        number=normalise(ask_line("Number: "), loaded.identity),
        domain="officer" if officer else "caller",
        window=Window(first or today - timedelta(DAYS), last or today),
        masks=parse_masks(mask),
        hold_until=hold,
    )

    async def give(desk: Desk) -> Contents:
        facts = gather(sources(loaded, desk.roster, today, retention))
        with open_place(out) as place, progress("recordings") as step:
            return await answer(
                desk, asked, maker(desk, reason), facts, place, on_progress=step
            )

    contents = at_desk(config, give, identities=identity)
    if not contents.uses_told:
        warn(["when and why the recordings were used is not told: ask whoever may."])
    missing = [one for one in contents.recordings if one.why_not]
    console().print(out)
    console().print(f"{len(contents.recordings) - len(missing)} recordings were copied")
    for one in contents.recordings:
        if one.hold:
            console().print(f"held: {one.id} {one.hold}")
    for one in missing:
        console(stderr=True).print(f"{one.id}: {one.why_not}", style="red")
    if missing:
        sys.exit(1)
