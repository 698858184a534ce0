"""`recording-agent archive export`: copies for a case."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from agent.access.desk import Desk
from agent.access.exporting import export, parse_masks
from agent.access.files_out import open_place
from agent.cli.archive.common import Config, Identities, Why, at_desk, maker, warn
from agent.cli.terminal import console


def command(
    *recording: str,
    why: Why,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    recipient: str = "",
    basis: str = "",
    mask: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    config: Config = None,
    identity: Identities = (),
) -> None:
    """Copy recordings: standard audio, tags, and a sheet of what was copied and why.

    The audio's metadata say whose copy it is. A disclosure to somebody outside is
    refused without its recipient and its legal basis.

    Args:
        recording: Ids of the recordings.
        why: Why they are copied.
        out: A new folder, or a new file whose name ends in .zip.
        recipient: To whom it is disclosed, in one word, like `police`.
        basis: The law that it rests on, like `621/1999:29`.
        mask: Spans that are silent in the copy: `ID:START-END`, like `ID:1:02-1:10`.
        config: See above.
        identity: See above.
    """
    reason = why.reason(recipient=recipient, basis=basis)
    masks = parse_masks(mask)

    async def copy(desk: Desk) -> list[str]:
        with open_place(out) as place:
            return await export(
                desk, recording, maker(desk, reason), place, masks=masks
            )

    warn(at_desk(config, copy, identities=identity))
    console().print(out)
