"""Somebody who reads a host's events, and misses none while the broker is away."""

import asyncio
import contextlib
import json
from typing import Any

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.lab.mosquitto import PASSWORDS
from tests.ports import HOST


class Subscriber:
    """Collects what is published, over one session that outlives connections."""

    def __init__(self, port: int, *, user: str = "reader") -> None:
        self._port = port
        self._user = user
        self._session = Properties(PacketTypes.CONNECT)
        self._session.SessionExpiryInterval = 3600
        self._client: aiomqtt.Client | None = None
        self._task: asyncio.Task[None] | None = None
        self.subscribed = asyncio.Event()
        self.messages: list[tuple[str, dict[str, Any], bool]] = []
        "Topic, payload, and whether it was retained."

    async def __aenter__(self) -> "Subscriber":
        self._task = asyncio.get_running_loop().create_task(self._read())
        await asyncio.wait_for(self.subscribed.wait(), 10)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _read(self) -> None:
        while True:
            with contextlib.suppress(aiomqtt.MqttError):
                async with aiomqtt.Client(
                    HOST,
                    self._port,
                    protocol=aiomqtt.ProtocolVersion.V5,
                    identifier=f"test-{self._user}",
                    username=self._user,
                    password=PASSWORDS[self._user],
                    clean_start=False,
                    properties=self._session,
                ) as client:
                    await client.subscribe("recording-agent/#", qos=1)
                    self.subscribed.set()
                    async for message in client.messages:
                        if message.topic.matches("recording-agent/+/commands/#"):
                            continue
                        payload = json.loads(message.payload)
                        told = (message.topic.value, payload, message.retain)
                        self.messages.append(told)
            await asyncio.sleep(0.1)

    def events(self, call_id: str = "") -> list[dict[str, Any]]:
        """Of calls, or of one, as they came, duplicates among them."""
        return [
            payload
            for topic, payload, _ in self.messages
            if topic.split("/")[2] == "calls" and call_id in topic
        ]

    def last(self, topic: str) -> dict[str, Any] | None:
        """What was said last below the host's topic."""
        found = [p for t, p, _ in self.messages if t.split("/", 2)[2] == topic]
        return found[-1] if found else None

    async def until(self, condition: Any, seconds: float = 20.0) -> None:
        """Wait until it is so."""
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.05)


def first_of_each(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without what came again; that must be the same, byte for byte."""
    found: dict[str, dict[str, Any]] = {}
    for event in events:
        assert found.setdefault(event["event_id"], event) == event
    return list(found.values())
