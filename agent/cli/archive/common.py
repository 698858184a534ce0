"""What the verbs of the archive share: options, prompts, the desk."""

import asyncio
import getpass
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Final, TypeVar

import structlog
from cyclopts import Parameter

from agent.access.config import ArchiveConfig, load
from agent.access.copying import Maker
from agent.access.desk import Desk
from agent.access.desk_opening import open_desk
from agent.access.purposes import Purpose
from agent.access.reason import Reason
from agent.cli.terminal import console
from agent.common.clock import utc_now, utc_ns
from agent.common.errors import AgentError
from agent.formats.layout import day_of

T = TypeVar("T")

DEFAULT: Final = "~/.config/recording-agent/archive.toml"
MAX_NUMBER: Final = 64
"Characters that are taken as a number."


class AskError(AgentError):
    """What has to be typed was not."""


Config = Annotated[
    Path | None,
    Parameter(
        name=["--config", "-c"],
        help=f"Your configuration; {DEFAULT} if absent.",
    ),
]
Identities = Annotated[
    tuple[Path, ...],
    Parameter(
        name=["--identity", "-i"],
        negative="",
        help="Files with your secret keys, beside those of the configuration.",
    ),
]


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """Why it is done: it stands in the log."""

    purpose: Purpose
    "From the fixed list."
    reference: str = ""
    "Number of the case, where the purpose belongs to one."

    def reason(self, *, recipient: str = "", basis: str = "") -> Reason:
        """As the gate is told it. Raises ReasonError."""
        return Reason(
            purpose=self.purpose,
            reference=self.reference,
            recipient=recipient,
            basis=basis,
        )


def settings(config: Path | None) -> tuple[ArchiveConfig, Path]:
    """The configuration, and the folder its relative paths start from."""
    path = Path(DEFAULT).expanduser() if config is None else config
    return load(path), path.resolve().parent


def memory() -> Path:
    """Where it is remembered which roster was the newest."""
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(state).expanduser() / "recording-agent"


def at_desk(
    config: Path | None,
    act: Callable[[Desk], Awaitable[T]],
    *,
    identities: tuple[Path, ...] = (),
    quiet: bool = False,
) -> T:
    """Do something at the person's desk; says first what nobody enforces there."""
    loaded, base = settings(config)
    # Standard output is for what was asked for; it may be audio.
    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))

    async def run() -> T:
        async with open_desk(
            loaded,
            base,
            today=day_of(utc_ns()),
            memory=memory(),
            ask=getpass.getpass,
            identities=identities,
        ) as desk:
            if not quiet:
                warn(desk.warnings)
            return await act(desk)

    return asyncio.run(run())


def maker(desk: Desk, reason: Reason) -> Maker:
    """Who makes a copy, when, and why."""
    return Maker(
        person=desk.person, now=utc_now(), reason=reason, signing_key=desk.signing_key
    )


def warn(sentences: "list[str] | tuple[str, ...]") -> None:
    """Plain warnings, a line each, on standard error."""
    for sentence in sentences:
        console(stderr=True).print(f"warning: {sentence}", style="yellow")


def ask_line(prompt: str) -> str:
    """One line from the terminal, or from standard input. Raises AskError.

    Numbers and statements come this way and never as arguments: those stand in the
    shell's history and in everybody's list of processes.
    """
    if sys.stdin.isatty():
        print(prompt, end="", file=sys.stderr, flush=True)
    line = sys.stdin.readline(MAX_NUMBER + 2).strip()
    if not line or len(line) > MAX_NUMBER:
        raise AskError("nothing was typed, or too much.")
    return line


def local_day() -> date:
    """Today, where the recordings are made."""
    return day_of(utc_ns())
