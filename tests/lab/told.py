"""A host that tells of calls without having any: ledger, outbox and publisher, real."""

import asyncio
import contextlib
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from agent.common.clock import utc_ns
from agent.common.ids import new_id
from agent.common.regions import RegionConfig
from agent.events.config import MqttConfig
from agent.identity.numbers import FINLAND
from agent.model.call import CallDirection, Outcome
from agent.model.events import NoticePlayed
from agent.model.recording import RecordingState
from agent.recording.ledger import CallIntent, Ledger
from agent.service.broker_access import read_broker_access
from agent.service.mqtt import Mqtt
from agent.signalling.secrets import Secrets

KINDS = [
    "offered",
    "notice-played",
    "answered",
    "opened",
    "closed",
    "ended",
    "sealed",
    "stored",
    "purged",
]
"What a call without a flaw tells, in this order."


class TellingHost:
    """Host `host-a`, whose `[mqtt]` is `section`."""

    def __init__(self, folder: Path, section: dict[str, Any]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.config = msgspec.convert(
            {k: v for k, v in section.items() if v}, MqttConfig
        )
        self.calls: list[str] = []

    async def __aenter__(self) -> Self:
        self.ledger = Ledger(
            self._folder / "ledger.sqlite", hash_key=b"k" * 32, host="host-a"
        )
        await self.ledger.start()
        access = read_broker_access(
            self.config, RegionConfig(), self._folder, Secrets(self._folder, None)
        )
        assert access is not None
        assert self.ledger.outbox is not None
        self.outbox = self.ledger.outbox
        self.mqtt = Mqtt("host-a", access, self.outbox, FINLAND)
        self.publisher = self.mqtt.publisher
        self.publisher.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.mqtt.close()
        await self.ledger.close()

    async def call(self, pause: float = 0.0) -> None:
        """One call from the offer to the purge, `pause` seconds between its events."""
        call_id, recording_id, ledger = new_id(), new_id(), self.ledger
        self.calls.append(call_id)
        now = utc_ns()
        await ledger.begin(
            CallIntent(
                call_id=call_id,
                sip_call_id=call_id,
                route="in",
                direction=CallDirection.INBOUND,
                begun_utc_ns=now,
                caller=self.mqtt.show("0401234567"),
                called=self.mqtt.show("0295000000"),
            )
        )
        played = NoticePlayed(
            call_id=call_id, language="fi", sha256="0" * 64, sent_ms=400
        )
        steps = [
            lambda: ledger.tell(played),
            lambda: ledger.answered(call_id, now, officer=self.mqtt.show("201")),
            lambda: ledger.segment(call_id, recording_id, call_id, now),
            lambda: ledger.advance(recording_id, RecordingState.CLOSED),
            lambda: ledger.close_call(call_id, Outcome.RECORDED, ended_utc_ns=now),
            lambda: ledger.advance(recording_id, RecordingState.SEALED, verdict="good"),
            lambda: ledger.advance(recording_id, RecordingState.STORED),
            lambda: ledger.advance(recording_id, RecordingState.PURGED),
        ]
        for step in steps:
            await asyncio.sleep(pause)
            await step()

    async def all_sent(self, seconds: float = 30.0) -> None:
        """Wait until nothing waits any more."""
        async with asyncio.timeout(seconds):
            while (await self.outbox.backlog()).rows:
                await asyncio.sleep(0.05)

    async def until_away(self, seconds: float = 15.0) -> None:
        """Wait until it knows that the broker is away."""
        async with asyncio.timeout(seconds):
            while not self.publisher.away:
                await asyncio.sleep(0.02)


class StallingRelay:
    """Between a client and its broker: it passes bytes on, and at times none."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._server: asyncio.Server | None = None
        self._going = asyncio.Event()
        self._going.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._server.wait_closed(), 2)

    def cut(self) -> None:
        """Break every connection, and take no more."""
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()

    def stall(self) -> None:
        self._going.clear()

    def go_on(self) -> None:
        self._going.set()

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._writers.add(writer)
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.close()
            return
        self._writers.add(back)
        await asyncio.gather(self._pass(reader, back), self._pass(there, writer))

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(4096):
                await self._going.wait()
                # A slow line: some 800 kB a second.
                await asyncio.sleep(0.005)
                writer.write(data)
                await writer.drain()
        writer.close()
