"""`recording-agent top`: live calls and the host, on one screen."""

import contextlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter
from cyclopts.types import PositiveFloat
from rich.console import Console, Group
from rich.live import Live

from agent.cli.asking import RefusedError
from agent.cli.keyboard import Keyboard
from agent.cli.top_frame import Scene, frame
from agent.common.clock import monotonic, utc_ns
from agent.common.errors import AgentError
from agent.model.call import Outcome
from agent.recording.database import LedgerError
from agent.recording.ledger import count_outcomes
from agent.service.commands import StatusRequest
from agent.service.config import load
from agent.service.control import ask

HOUR_NS: Final = 3600 * 1_000_000_000
SIZE: Final = (80, 24)
"Of a frame that is printed and not shown on a terminal."


@dataclass(frozen=True, slots=True)
class Source:
    """Where the figures come from: the daemon, and the ledger beside it."""

    name: str
    spool: Path

    def scene(self) -> Scene:
        """How it stands now; a daemon that does not answer is part of it."""
        now = utc_ns()
        try:
            outcomes = count_outcomes(self.spool / "ledger.sqlite", now - HOUR_NS)
        except LedgerError:
            # None was begun yet, or it is another version's: the daemon says more.
            outcomes = dict[Outcome, int]()
        try:
            reply = ask(self.spool / "run", StatusRequest())
            if reply.error:
                raise RefusedError(reply.error)
        except AgentError as error:
            return Scene(name=self.name, utc_ns=now, outcomes=outcomes, away=str(error))
        return Scene(
            name=self.name,
            utc_ns=now,
            calls=reply.calls,
            host=reply.host,
            outcomes=outcomes,
        )


def command(
    *,
    config: Annotated[Path, Parameter(name=["--config", "-c"])],
    every: PositiveFloat = 2.0,
    once: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Show calls, their legs' quality, outcomes, spool, queue and peers, live.

    Keys: q quits, n and p turn pages. No number and no name is shown.

    Args:
        config: The configuration file of the daemon.
        every: Seconds between two looks.
        once: Print one frame and end; 1 if the daemon does not answer.
    """
    settings = load(config)
    source = Source(settings.agent.name, config.resolve().parent / settings.agent.spool)
    out = Console(highlight=False)
    if once or not out.is_terminal:
        scene = source.scene()
        width, height = out.size if out.is_terminal else SIZE
        for line in frame(scene, width=width, height=height).lines:
            out.print(line, no_wrap=True, crop=True)
        if scene.away:
            sys.exit(1)
        return
    with (
        contextlib.suppress(KeyboardInterrupt),
        Keyboard() as keyboard,
        Live(console=out, screen=True, auto_refresh=False) as live,
    ):
        watch(source.scene, live, keyboard.key, every)


def watch(
    scene_now: Callable[[], Scene],
    live: Live,
    key: Callable[[float], str],
    every: float,
) -> None:
    """Show frame after frame until q."""
    page, due, scene = 0, monotonic(), scene_now()
    while True:
        width, height = live.console.size
        shown = frame(scene, width=width, height=height, page=page)
        page = shown.page
        live.update(Group(*shown.lines), refresh=True)
        match key(max(0.0, due + every - monotonic())):
            case "q" | "Q":
                return
            case "n" | " ":
                page += 1
            case "p":
                page = max(0, page - 1)
            case _:
                pass
        if monotonic() >= due + every:
            due, scene = monotonic(), scene_now()
