"""Whether the daemon lives, and whether it should be sent calls: sans-IO.

It lives as long as nothing is stuck that a restart would free. What a restart does not
help (a full disk, storage that is away, a place without a worker) is found and told,
but no reason to end a process that carries calls.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

WORKER_SECONDS: Final = 20.0
"""Of a worker's silence. One that is hung is killed and replaced in less than half of
it: whoever is silent for longer could not be."""
JOURNAL_SECONDS: Final = 60.0
"Until what is journalled is durable: far beyond any disk that still answers."


class Place(Protocol):
    """What is looked at of one place for a media worker."""

    @property
    def up(self) -> bool: ...
    @property
    def seen_ns(self) -> int: ...
    @property
    def journal_lag(self) -> float: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Signs:
    """How it stands with the parts, at one moment."""

    workers: tuple[Place, ...] = ()
    no_room: str = ""
    "Why no recording could begin in the spool; empty if one could."
    away: tuple[str, ...] = ()
    "Storages that failed when they were last asked."
    day_keys_for: int | None = None
    "Days from today on that there are keys for; None without a gate."
    draining: bool = False
    "Whether no new call is taken."


@dataclass(frozen=True, slots=True)
class HealthReport:
    """What was found."""

    alive: bool
    "Whether nothing is stuck: else the process is to be restarted."
    ready: bool
    "Whether calls should be sent here."
    findings: tuple[str, ...] = ()
    "A sentence each, of all that is not as it should be; no name and no number."


class Health:
    """Judges the signs that `read` gives; not ready before `started` is set."""

    def __init__(self, read: Callable[[], Signs]) -> None:
        self._read = read
        self.started = False
        "Whether all that must be there for calls has been proven."

    def look(self, now: float) -> HealthReport:
        """How it stands at `now`, in monotonic seconds."""
        report = judge(self._read(), now)
        if self.started:
            return report
        return HealthReport(
            report.alive,
            ready=False,
            findings=(*report.findings, "The start is not over."),
        )


def judge(signs: Signs, now: float) -> HealthReport:
    """What the signs say at `now`, in monotonic seconds."""
    stuck: list[str] = []
    unfit: list[str] = []
    for number, worker in enumerate(signs.workers):
        if not worker.up:
            continue
        silent = now - worker.seen_ns / 1e9
        if silent > WORKER_SECONDS:
            stuck.append(
                f"Media worker {number} gave no sign of life for {silent:.0f} s."
            )
        if worker.journal_lag > JOURNAL_SECONDS:
            stuck.append(
                f"The journals of media worker {number} have not been durable for"
                f" {worker.journal_lag:.0f} s."
            )
    down = sum(not worker.up for worker in signs.workers)
    if down == len(signs.workers):
        unfit.append("No media worker is there.")
    if signs.no_room:
        unfit.append(f"No recording begins: {signs.no_room}")
    if signs.draining:
        unfit.append("No new call is taken: it is being drained.")
    told = []
    if 0 < down < len(signs.workers):
        told.append(f"{down} of {len(signs.workers)} media workers are not there.")
    if signs.away:
        told.append(f"Storage is away: {', '.join(signs.away)}.")
    if signs.day_keys_for == 0:
        told.append("There is no day key for today: recordings wait for one.")
    return HealthReport(
        alive=not stuck,
        ready=not stuck and not unfit,
        findings=(*stuck, *unfit, *told),
    )
