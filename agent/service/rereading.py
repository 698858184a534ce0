"""What is read again while calls are carried: at a signal, or when a file changed."""

import asyncio
from pathlib import Path

import structlog

from agent.common.errors import AgentError
from agent.common.tasks import TaskSet
from agent.identity.people import People
from agent.service.config import Config
from agent.service.people import reread_roster
from agent.service.protection import Renewal, remember_day_keys
from agent.service.witness import Witness


class Rereading:
    """Reads roster and lists again; what is of no use is told and changes nothing."""

    def __init__(
        self,
        config: Config,
        base: Path,
        *,
        people: People,
        renewal: Renewal,
        witness: Witness,
        tasks: TaskSet,
    ) -> None:
        """`base` is the configuration's directory; `tasks` do the reading."""
        self._config = config
        self._base = base
        self._people = people
        self._renewal = renewal
        self._witness = witness
        self._tasks = tasks

    def __call__(self) -> None:
        """Begin to."""
        self._tasks.spawn(self._reread(), name="reread")

    async def _reread(self) -> None:
        # The lists are judged by the roster, so that comes first.
        await reread_roster(
            self._people, self._config, self._base, self._witness.problem
        )
        self._renewal()
        found, spool = self._renewal.protection, self._base / self._config.agent.spool
        try:
            await asyncio.to_thread(remember_day_keys, found, spool)
        except AgentError as error:
            structlog.get_logger().error("serial_not_remembered", reason=str(error))
