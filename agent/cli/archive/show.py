"""`recording-agent archive show`: everything there is to see of a recording."""

import sys
from typing import Annotated

import msgspec
from cyclopts import Parameter
from rich.table import Table

from agent.access.desk import Desk
from agent.access.showing import Shown, show
from agent.cli.archive.common import Config, Identities, Why, at_desk, warn
from agent.cli.quality_table import quality_table
from agent.cli.session_rows import session_rows
from agent.cli.terminal import console, printable
from agent.formats.manifest import Manifest


def command(
    recording: str,
    /,
    *,
    why: Why,
    others: Annotated[bool, Parameter(negative="")] = False,
    json: Annotated[bool, Parameter(negative="")] = False,
    config: Config = None,
    identity: Identities = (),
) -> None:
    """Show tags, quality, state and annotations, after all of it was verified.

    Args:
        recording: The recording's id.
        why: Why it is looked at.
        others: Tell which other hosts have recorded the call, where a recording client
            sent it to several. What may be of it is opened, and logged, one by one.
        json: Print the manifest as JSON instead.
        config: See above.
        identity: See above.
    """
    reason = why.reason()

    async def look(desk: Desk) -> Shown:
        return await show(desk, recording, reason, others=others)

    shown = at_desk(config, look, identities=identity)
    warn(shown.opened.warnings)
    if json:
        told: dict[str, object] = {
            "manifest": shown.opened.manifest,
            "standing": shown.standing,
            "annotations": shown.annotations,
        }
        if others:
            told["others"] = shown.others
        sys.stdout.buffer.write(msgspec.json.encode(told) + b"\n")
        return
    _print(shown)
    if others and not shown.others:
        console().print("no other host is known to have recorded this call")


def _print(shown: Shown) -> None:
    manifest = shown.opened.manifest
    out = console()
    out.print(_tags(manifest), soft_wrap=False)
    out.print(quality_table(manifest), soft_wrap=False)
    for other in shown.others:
        out.print(f"also recorded by {printable(other.host)}: {other.id}")
    standing = shown.standing
    if standing.restricted:
        out.print("restricted: case handlers alone open it", style="red")
    for hold in standing.holds:
        out.print(
            f"held: {hold.kind}, by {hold.owner}, review {hold.review}, hold {hold.id}"
        )
    if standing.requests:
        out.print(f"open requests: {standing.requests}")
    for note in shown.annotations:
        out.print(f"{note.kind} of {note.at}, noted by {note.by or '?'}:")
        for line in note.text.splitlines():
            out.print(f"  {printable(line)}")


def _tags(manifest: Manifest) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), show_header=False)
    rows = [
        ("id", manifest.id),
        ("group, segment", f"{manifest.group}, {manifest.segment}"),
        ("direction", manifest.direction),
        ("caller", manifest.caller),
        ("service", manifest.service),
        *(("officer", f"{one.number} {one.name}") for one in manifest.officers),
        ("began", manifest.started["helsinki"]),
        ("ended", manifest.ended["helsinki"]),
        (
            "audio",
            f"{manifest.audio.format}, {manifest.audio.duration_ms / 1000:.1f} s",
        ),
        ("outcome", f"{manifest.outcome}, {manifest.end_cause}"),
        *(
            ("notice", f"{one.language or '?'}, {one.sent_ms} ms sent")
            for one in manifest.notices
        ),
        *(
            (
                "paused",
                f"at {_seconds(one.start_ms)}, for {_seconds(one.duration_ms)}",
            )
            for one in manifest.pauses
        ),
        *session_rows(manifest),
    ]
    for name, text in rows:
        table.add_row(name, printable(text))
    return table


def _seconds(ms: int) -> str:
    return f"{ms / 1000:.1f} s"
