"""Brings events to the broker, for as long as it takes; the outbox is the queue.

A connection that breaks is made again, ever less often. Nothing here is waited for by
a call, and what waits is on disk.
"""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec
import structlog

from agent.common.clock import utc_ns
from agent.common.errors import AgentError
from agent.common.tasks import TaskSet
from agent.events.broker import REFUSED, Broker, Message, reason_name
from agent.events.config import MqttConfig
from agent.events.host_state import HostState, Life
from agent.events.numbers import Numbers
from agent.events.sending import Sending
from agent.events.topics import Topics, decode, is_retained, with_numbers
from agent.model.events import Backlog, CallEnded, OutboxRow

FIRST_DELAY: Final = 0.5
LONGEST_DELAY: Final = 60.0
"Seconds between attempts to connect, and between rounds through what was refused."
FORGET_WITHIN: Final = 1.0
"Seconds after which the outbox is told of what was sent, if nothing else is to be …"
FORGET_AT: Final = 100
"… and events after which it is told at once."
LEAVING_SECONDS: Final = 3.0
"For the last events at a stop; what is not sent then, the next start sends."
TRIM_INTERVAL: Final = 30.0
LOOK_INTERVAL: Final = 2.0
"Seconds for which it is believed how many events wait."
_OUTBOX_DELAY: Final = 5.0
_PUBLISHER: Final = "publisher"
_DAY_NS: Final = 24 * 3600 * 1_000_000_000

Answer = Callable[[Message], Awaitable[tuple[str, bytes] | None]]


class Outbox(Protocol):
    """Where events wait; agent.recording.outbox."""

    written: asyncio.Event
    "Set when there are rows that nobody has asked for."

    async def exchange(
        self, sent: list[int], *, after: int, limit: int
    ) -> list[OutboxRow]:
        """Delete what was sent, and give what stands behind `after`."""

    async def trim(self, *, max_rows: int, before_utc_ns: int) -> int:
        """Drop the oldest beyond the bounds, some at a time; how many went."""

    async def backlog(self) -> Backlog:
        """How much waits."""


@dataclass(slots=True)
class PublisherStats:
    """Since the start."""

    sent: int = 0
    "Events that the broker has acknowledged."
    refused: int = 0
    "Acknowledged with a failure, and kept."
    dropped: int = 0
    "Beyond mqtt.max_events or mqtt.max_age_days."
    connections: int = 0
    waiting: int = 0
    "In the outbox, a few seconds ago at most."


class Publisher:
    """Runs from `start` to `close`."""

    def __init__(
        self,
        outbox: Outbox,
        connect: Callable[[bytes], Broker],
        topics: Topics,
        *,
        config: MqttConfig,
        state: Callable[[Life], HostState],
        answer: Answer,
        numbers: Numbers,
        rng: random.Random,
    ) -> None:
        """`connect` makes a connection whose last will is given.

        `state` tells how it stands with the host; `answer` takes a command, and gives
        the topic and the payload of its answer, if it gets one.
        """
        self._outbox = outbox
        self._connect = connect
        self._topics = topics
        self._config = config
        self._state = state
        self._answer = answer
        self._numbers = numbers
        self._rng = rng
        self._sending = Sending()
        self._rounds_refused = 0
        self._leaving = asyncio.Event()
        self._left = asyncio.Event()
        self._retry_at: float | None = None
        "When what was refused is tried again."
        self._tasks = TaskSet(self._task_failed)
        self._log = structlog.get_logger()
        self.away: bool | None = None
        "Whether the broker is not there; None before the first attempt."
        self.away_reason = ""
        "Why it was away the last time."
        self.stats = PublisherStats()

    def start(self) -> None:
        """Begin."""
        self._tasks.spawn(self._connect_for_ever(), name=_PUBLISHER)
        self._tasks.spawn(self._bound_for_ever(), name="outbox-bounds")

    async def close(self) -> None:
        """Send what can be sent in a moment, and say good-bye."""
        self._leaving.set()
        if self.away is False:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(2 * LEAVING_SECONDS):
                    await self._left.wait()
        await self._tasks.close()

    # -- connections ------------------------------------------------------------------

    async def _connect_for_ever(self) -> None:
        failures = 0
        while not self._leaving.is_set():
            sent, reasons = self.stats.sent, ""
            try:
                await self._connection()
            except* _Leaving:
                self._left.set()
            except* AgentError as group:
                # Of the broker or, as we leave, of the outbox.
                reasons = _reasons(group)
            if reasons:
                failures = 1 if self.stats.sent > sent else failures + 1
                delay = self._delay_after(failures)
                self.away, self.away_reason = True, reasons
                self._log.error(
                    "broker_away",
                    reason=reasons,
                    retry_in=round(delay, 1),
                    waiting=self.stats.waiting,
                )
                await asyncio.sleep(delay)

    async def _connection(self) -> None:
        """One connection, until it breaks. Raises a group of AgentError."""
        will = msgspec.json.encode(self._state(Life.OFFLINE))
        async with self._connect(will) as broker:
            if self._config.commands:
                heard = await broker.subscribe(f"{self._topics.commands}/+")
                if not heard:
                    # Events are told all the same.
                    self._log.error("commands_not_heard")
            self.stats.connections += 1
            self.away = False
            self._log.info("broker_back", waiting=self.stats.waiting)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._receive(broker), name="broker-receive")
                group.create_task(self._report(broker), name="broker-report")
                group.create_task(self._feed(broker), name="broker-feed")
                group.create_task(self._leave(broker), name="broker-leave")

    def _delay_after(self, failures: int) -> float:
        """They double, with jitter, so that many hosts do not come back at once."""
        step = FIRST_DELAY * 2.0 ** min(failures - 1, 10)
        return min(step, LONGEST_DELAY) * self._rng.uniform(0.5, 1.0)

    async def _leave(self, broker: Broker) -> None:
        """Once we are to leave: after the last events, so that others know."""
        await self._leaving.wait()
        deadline = asyncio.get_running_loop().time() + LEAVING_SECONDS
        while asyncio.get_running_loop().time() < deadline:
            if self._sending.idle and not (await self._outbox.backlog()).rows:
                break
            self._outbox.written.set()
            await asyncio.sleep(0.05)
        await self._publish_state(broker, Life.STOPPED)
        raise _Leaving

    async def _receive(self, broker: Broker) -> None:
        async for message in broker.messages():
            answer = await self._answer(message)
            if answer is not None:
                code = await broker.publish(*answer)
                if code >= REFUSED:
                    self._log.error("answer_refused", reason=reason_name(code))

    async def _report(self, broker: Broker) -> None:
        while True:
            await self._publish_state(broker, Life.ONLINE)
            await asyncio.sleep(self._config.status_interval)

    async def _publish_state(self, broker: Broker, life: Life) -> None:
        state = msgspec.json.encode(self._state(life))
        code = await broker.publish(self._topics.status, state, retain=True)
        if code >= REFUSED:
            self._log.error("status_refused", reason=reason_name(code))

    # -- events -----------------------------------------------------------------------

    async def _feed(self, broker: Broker) -> None:
        """Rounds through the outbox, the first from its oldest event on."""
        self._sending = Sending(self._sending.take_accepted())
        self._retry_at = None
        async with asyncio.TaskGroup() as group:
            while True:
                news = await self._exchange()
                self._send(broker, group)
                if not news and not self._begin_round():
                    await self._wait()

    async def _exchange(self) -> bool:
        """Tell the outbox what was sent; whether to ask again for what it has."""
        sending = self._sending
        sent = sending.take_accepted()
        try:
            rows = await self._outbox.exchange(
                sent, after=sending.cursor, limit=sending.room
            )
        except AgentError as error:
            sending.not_forgotten(sent)
            self._log.error("outbox_unreadable", reason=str(error))
            await asyncio.sleep(_OUTBOX_DELAY)
            return True
        sending.add(rows)
        return bool(rows)

    async def _wait(self) -> None:
        """Until there is more to send or to forget, or it is time to try again."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0 if self._sending.refused else None):
                await self._outbox.written.wait()

    def _begin_round(self) -> bool:
        """Try what was refused again, if its time has come; new events go meanwhile."""
        sending, now = self._sending, asyncio.get_running_loop().time()
        if not sending.idle:
            return False
        if not sending.refused:
            if self._rounds_refused:
                self._rounds_refused = 0
                self._log.info("events_accepted")
            return False
        if self._retry_at is None:
            self._rounds_refused += 1
            self._retry_at = now + self._delay_after(self._rounds_refused + 3)
        if now < self._retry_at:
            return False
        self._retry_at = None
        self._sending = Sending(sending.take_accepted())
        return True

    def _send(self, broker: Broker, group: asyncio.TaskGroup) -> None:
        while (row := self._sending.next()) is not None:
            sent = self._send_one(broker, group, self._sending, row)
            group.create_task(sent, name=f"event-{row.position}")

    async def _send_one(
        self,
        broker: Broker,
        group: asyncio.TaskGroup,
        sending: Sending,
        row: OutboxRow,
    ) -> None:
        try:
            event = decode(row.body)
        except msgspec.DecodeError:
            # A later version wrote it, and may be back; what it says may be personal.
            if not sending.refused:
                self._log.error("event_unreadable")
            sending.refuse(row.position)
            self._forget_soon(sending, at_once=True)
            self._send(broker, group)
            return
        topic = self._topics.of(event)
        if self._config.numbers == "full":
            event = with_numbers(event, self._numbers.of(row.line))
        payload = msgspec.json.encode(event)
        code = await broker.publish(topic, payload, retain=is_retained(event))
        if code < REFUSED:
            sending.accepted(row.position)
            self.stats.sent += 1
            if isinstance(event, CallEnded):
                self._numbers.forget(row.line)
        else:
            if not sending.refused:
                # Once a round: mostly they are refused all together.
                kind = type(event).__struct_config__.tag
                self._log.error("event_refused", kind=kind, reason=reason_name(code))
            sending.refuse(row.position)
            self.stats.refused += 1
        self._forget_soon(sending, at_once=code >= REFUSED)
        self._send(broker, group)

    def _forget_soon(self, sending: Sending, *, at_once: bool) -> None:
        """Have the outbox told, several events at a time: each time is a commit."""
        if at_once or sending.to_forget >= FORGET_AT:
            self._outbox.written.set()
        elif sending.to_forget == 1:
            loop = asyncio.get_running_loop()
            loop.call_later(FORGET_WITHIN, self._outbox.written.set)

    # -- bounds -----------------------------------------------------------------------

    async def _bound_for_ever(self) -> None:
        """Keep what waits within what is configured, and know how much it is."""
        loop = asyncio.get_running_loop()
        trim_at = loop.time()
        while True:
            try:
                if loop.time() >= trim_at and not await self._trim():
                    trim_at = loop.time() + TRIM_INTERVAL
                self.stats.waiting = (await self._outbox.backlog()).rows
            except AgentError as error:
                self._log.error("outbox_unreadable", reason=str(error))
                await asyncio.sleep(TRIM_INTERVAL)
                continue
            await asyncio.sleep(min(LOOK_INTERVAL, max(0.0, trim_at - loop.time())))

    async def _trim(self) -> int:
        """Drop some of what is beyond; it is told and counted. Raises AgentError."""
        config = self._config
        dropped = await self._outbox.trim(
            max_rows=config.max_events,
            before_utc_ns=utc_ns() - int(config.max_age_days * _DAY_NS),
        )
        if dropped:
            self.stats.dropped += dropped
            self._log.error("events_dropped", count=dropped)
        return dropped

    def _task_failed(self, name: str, error: BaseException) -> None:
        self._log.critical("task_failed", task=name, exc_info=error)
        if name == _PUBLISHER:
            # By a mistake of ours: wherever the broker is, nothing comes to it now.
            self.away, self.away_reason = True, "Its publisher has failed."


class _Leaving(Exception):  # noqa: N818 - nothing is wrong
    """Everything was said: the connection may go."""


def _reasons(group: BaseExceptionGroup[AgentError]) -> str:
    """What the errors of a group say, each once."""
    found: list[str] = []
    for error in group.exceptions:
        said = _reasons(error) if isinstance(error, BaseExceptionGroup) else str(error)
        if said not in found:
            found.append(said)
    return " ".join(found)
