"""`recording-agent archive annotate`: a statement that stays with a recording."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from agent.access.annotating import (
    MAX_TEXT,
    AnnotationError,
    Kind,
    Statement,
    annotate,
)
from agent.cli.archive.common import Config, Identities, Why, at_desk
from agent.cli.terminal import console
from agent.common.clock import utc_now


def command(
    recording: str,
    /,
    *,
    why: Why,
    kind: Kind = "statement",
    file: Annotated[Path | None, Parameter(name=["--file", "-f"])] = None,
    config: Config = None,
    identity: Identities = (),
) -> None:
    """Add a person's statement to a recording, for those who may open it (Article 16).

    The text comes from a file or from standard input, never as an argument.

    Args:
        recording: The recording's id.
        why: Why: most often `subject-request`.
        kind: What it is: a statement, or a correction of a tag.
        file: Where the text is; standard input if absent, until its end.
        config: See above.
        identity: See above.
    """
    reason = why.reason()
    statement = Statement(kind, _text(file))
    number = at_desk(
        config,
        lambda desk: annotate(desk, recording, statement, reason, utc_now()),
        identities=identity,
    )
    console().print(f"annotation {number}")


def _text(file: Path | None) -> str:
    try:
        if file is not None:
            with file.open(encoding="utf-8") as opened:
                return opened.read(MAX_TEXT + 1)
        if sys.stdin.isatty():
            print("The statement; end it with Ctrl-D:", file=sys.stderr)
        return sys.stdin.read(MAX_TEXT + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise AnnotationError("the text cannot be read.") from error
