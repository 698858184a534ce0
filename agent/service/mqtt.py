"""Events to the broker and commands from it: the parts, put together.

Without `[mqtt]` there is nothing of it: no event is written, and nothing runs.
"""

import dataclasses
import os
import random
from collections.abc import Callable, Coroutine

import msgspec
import structlog

from agent import __version__
from agent.call.control import CallControl
from agent.call.telling import Telling
from agent.common.clock import utc_ns
from agent.common.errors import AgentError
from agent.common.tasks import TaskSet
from agent.events.broker import Broker, Message
from agent.events.host_state import HostState, Life
from agent.events.numbers import Numbers
from agent.events.publisher import Publisher
from agent.events.topics import ROOT, Topics, level
from agent.identity.numbers import IdentityConfig, mask, normalise
from agent.identity.people import People
from agent.recording.ledger import Ledger
from agent.recording.outbox import Outbox
from agent.service.alarm_events import AlarmEvents, Board
from agent.service.broker_access import BrokerAccess
from agent.service.command_desk import Audit, CommandDesk
from agent.service.commands import Commands
from agent.service.config import Config
from agent.service.host_status import HostStatus
from agent.service.material import Material
from agent.service.people import today


class Mqtt:
    """What the agent has to do with its broker, from `start` to `close`."""

    def __init__(
        self,
        host: str,
        access: BrokerAccess,
        outbox: Outbox,
        identity: IdentityConfig,
    ) -> None:
        self._host = host
        self._access = access
        self._outbox = outbox
        self._identity = identity
        self._topics = Topics(host)
        self._numbers = Numbers()
        self._started = utc_ns()
        self._look: Callable[[], tuple[int, bool, HostStatus]] | None = None
        self._log = structlog.get_logger()
        self._board: Board | None = None
        self._tasks = TaskSet(self._task_failed)
        self.desk: CommandDesk | None = None
        "Takes commands, once there is something to command."
        self.publisher = Publisher(
            outbox,
            self._connection,
            self._topics,
            config=access.config,
            state=self._state,
            answer=self._answer,
            numbers=self._numbers,
            rng=random.Random(os.urandom(8)),  # noqa: S311 - jitter
        )

    def start(
        self,
        look: Callable[[], tuple[int, bool, HostStatus]],
        commands: Commands,
        people: People,
        audit: Audit,
    ) -> None:
        """Begin to send, and to take commands of those whom `people` know.

        `look` tells of calls, of draining, and of the host. It may raise OSError: the
        spool cannot be read.
        """
        self._look = look
        self.desk = CommandDesk(
            self._host,
            self._topics,
            taken=self._access.config.commands,
            roster=lambda: people.roster,
            today=today,
            first_seen=self._outbox.first_seen,
            commands=commands,
            audit=audit,
        )
        self.publisher.start()

    def follow(self, board: Board) -> None:
        """Tell the alarms of a board, too."""
        self._board = board
        AlarmEvents(self._outbox, board, self._spawn).start()

    def _spawn(self, coroutine: Coroutine[object, object, None]) -> None:
        self._tasks.spawn(coroutine, name="alarm-event")

    def _task_failed(self, name: str, error: BaseException) -> None:
        self._log.critical("task_failed", task=name, exc_info=error)

    async def close(self) -> None:
        """Send the last, and say good-bye."""
        self._look = None
        await self._tasks.drain(1.0)
        await self._tasks.close()
        await self.publisher.close()

    # -- numbers ----------------------------------------------------------------------

    def show(self, number: str) -> str:
        """As much of a number as may stand in an event on disk."""
        if self._access.config.numbers == "none":
            return ""
        return mask(normalise(number, self._identity))

    def remember(self, call_id: str, field: str, number: str) -> None:
        """Keep a whole number in memory, if events may show it."""
        if self._access.config.numbers == "full":
            whole = normalise(number, self._identity)
            self._numbers.remember(call_id, field, whole)

    # -- for the publisher ------------------------------------------------------------

    def _connection(self, will: bytes) -> Broker:
        try:
            # Certificates and passwords are renewed while we run.
            self._access = self._access.read_again()
        except AgentError as error:
            self._log.error("broker_access_unreadable", reason=str(error))
        # One name for the host: a daemon that starts anew takes the old one's place.
        name = f"{ROOT}-{level(self._host)}"
        return self._access.broker(name, (self._topics.status, will))

    def _state(self, life: Life) -> HostState:
        bare = HostState(
            host=self._host,
            state=life,
            utc_ns=utc_ns(),
            started_utc_ns=self._started,
            version=__version__,
        )
        if self._look is None or life is not Life.ONLINE:
            return bare
        try:
            calls, draining, host = self._look()
        except OSError as error:
            self._log.warning("host_state_unknown", reason=str(error))
            return bare
        stats = self.publisher.stats
        alarms = () if self._board is None else self._board.active()
        return HostState(
            host=self._host,
            state=life,
            utc_ns=bare.utc_ns,
            started_utc_ns=self._started,
            version=__version__,
            calls=calls,
            draining=draining,
            spool_used=round(host.spool_used, 4),
            to_finish=host.to_finish,
            to_store=host.to_store,
            storage_away=host.storage_away,
            alarms=tuple(sorted({alarm.event for alarm in alarms})),
            events_waiting=stats.waiting,
            events_dropped=stats.dropped,
        )

    async def _answer(self, message: Message) -> tuple[str, bytes] | None:
        return None if self.desk is None else await self.desk.answer(message)


def build_mqtt(config: Config, material: Material, ledger: Ledger) -> Mqtt | None:
    """What there is to be done with a broker, if one is configured."""
    access = material.broker
    if access is None or ledger.outbox is None:
        return None
    if material.roster is None:
        # Nobody would be believed: nothing is to be heard.
        deaf = msgspec.structs.replace(access.config, commands=())
        access = dataclasses.replace(access, config=deaf)
    return Mqtt(config.agent.name, access, ledger.outbox, config.identity)


def build_telling(ledger: Ledger, control: CallControl, mqtt: Mqtt | None) -> Telling:
    """What calls tell of themselves; numbers only as far as events show them."""
    if mqtt is None:
        return Telling(ledger, control.spawn)
    return Telling(ledger, control.spawn, show=mqtt.show, remember=mqtt.remember)
