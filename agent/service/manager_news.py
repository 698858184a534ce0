"""What the service manager is told while the daemon runs: that it lives, and its state.

A sign of life is given as long as `Health` finds nothing stuck, and by a task of the
loop that calls hang on: if that loop stands still, the service manager hears nothing.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from agent.common.clock import monotonic
from agent.common.service_manager import ServiceManager
from agent.service.health import Health
from agent.service.host_status import HostStatus

TURN_SECONDS: Final = 2.0
"Between two looks at the health, unless the service manager wants more."
SIGNS: Final = 4
"Signs of life in the time after which the service manager misses them."
STATUS_SECONDS: Final = 3.0
"At least, between two lines of state."
MAX_STATUS: Final = 300
"Characters of a line: `systemctl status` shows one."


class ManagerNews:
    """Tells `manager`, turn by turn; `line` says in a sentence how it stands."""

    def __init__(
        self, manager: ServiceManager, health: Health, line: Callable[[], str]
    ) -> None:
        self._manager = manager
        self._health = health
        self._line = line
        self._told = ""
        self._told_at = float("-inf")
        self._stuck: tuple[str, ...] = ()
        self._log = structlog.get_logger()

    async def run(self) -> None:
        """Go on for ever."""
        seconds = TURN_SECONDS
        if self._manager.watchdog:
            seconds = min(seconds, self._manager.watchdog / SIGNS)
        while True:
            self.turn(monotonic())
            await asyncio.sleep(seconds)

    def turn(self, now: float) -> None:
        """Look, and tell."""
        report = self._health.look(now)
        if report.alive:
            self._manager.mention("WATCHDOG=1")
            self._stuck = ()
        elif not self._stuck:
            # The service manager ends us before long: this says why.
            self._stuck = report.findings
            self._log.critical("health_lost", findings=list(report.findings))
        if now - self._told_at >= STATUS_SECONDS and (
            line := self._line()[:MAX_STATUS]
        ):
            self._told_at = now
            if line != self._told and self._manager.mention(f"STATUS={line}"):
                self._told = line


def state_of(calls: int, host: HostStatus | None, notes: tuple[str, ...] = ()) -> str:
    """A line of state: calls, spool, and whatever somebody should look at.

    `host` is None if the spool cannot be read.
    """
    parts = [f"{calls} call{'' if calls == 1 else 's'}"]
    if host is None:
        return "; ".join((*parts, "the spool cannot be read", *notes))
    if host.draining:
        parts.append("draining")
    parts.append(f"spool {host.spool_used * 100:.0f} % full")
    if host.to_finish:
        parts.append(f"{host.to_finish} to finish")
    parts.append(f"{host.to_store} to store")
    away = [storage.name for storage in host.storages if storage.away]
    if away:
        parts.append(f"storage away: {', '.join(away)}")
    down = sum(not worker.alive for worker in host.workers)
    if down:
        parts.append(f"{down} of {len(host.workers)} media workers down")
    return "; ".join((*parts, *notes))
