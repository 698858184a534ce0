"""What a check finds, and what it is given to look at."""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec

from agent.service.commands import Reply
from agent.service.config import Config
from agent.service.material import Material
from agent.signalling.secrets import Secrets

_STATE: Final = Path("/var/lib")
"Where StateDirectory= is below."


class Verdict(StrEnum):
    """How it stands with one matter."""

    RIGHT = "right"
    WARNING = "warning"
    "It works, and somebody should know."
    WRONG = "wrong"
    "Calls, recordings or people suffer from it, or will."


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One matter: no number, no name, no secret."""

    check: str
    "Which check has found it."
    verdict: Verdict
    text: str
    remedy: str = ""
    "What to do, as an imperative sentence; empty where all is right."


@dataclass(frozen=True, slots=True)
class Findings:
    """Makes findings of one check."""

    check: str

    def right(self, text: str) -> Finding:
        """All is as it should be."""
        return Finding(check=self.check, verdict=Verdict.RIGHT, text=text)

    def warning(self, text: str, remedy: str) -> Finding:
        """It works for now."""
        return Finding(
            check=self.check, verdict=Verdict.WARNING, text=text, remedy=remedy
        )

    def wrong(self, text: str, remedy: str) -> Finding:
        """It does not work, or soon will not."""
        return Finding(
            check=self.check, verdict=Verdict.WRONG, text=text, remedy=remedy
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """The host, as far as it was looked at before any check."""

    file: Path
    "The configuration."
    config: Config
    secrets: Secrets = field(repr=False)
    material: Material | None = None
    "What the configuration names; None if the daemon would not start with it."
    reply: Reply | None = None
    "What the daemon said of itself; None if it does not answer."
    silence: str = ""
    "Why it does not."
    unit: dict[str, str] | None = None
    "Properties of its unit; None where no service manager knows of one."
    proc: Path = Path("/proc")
    sys: Path = Path("/sys")

    @property
    def base(self) -> Path:
        """What relative paths start at."""
        return self.file.resolve().parent

    @property
    def spool(self) -> Path:
        """Where the daemon keeps what it has."""
        return self.base / self.config.agent.spool

    @property
    def made_by_unit(self) -> tuple[Path, ...]:
        """Directories that the unit makes when it starts."""
        names = (self.unit or {}).get("StateDirectory", "").split()
        return tuple(_STATE / name for name in names)

    @property
    def running(self) -> bool:
        """Whether the daemon answers."""
        return self.reply is not None
