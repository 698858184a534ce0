import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiomqtt.exceptions import MqttError
from paho.mqtt.subscribeoptions import SubscribeOptions

from agent.common.outgoing import Outgoing
from agent.common.regions import RegionConfig
from agent.events import broker as module
from agent.events.broker import Broker, BrokerError, Message, reason_name
from agent.events.config import MqttConfig


class Paho:
    """The client below, as far as it is spoken to."""

    def __init__(self) -> None:
        self.on_publish: Any = None
        self.on_disconnect: Any = lambda *_: None
        self.published: list[tuple[str, bytes, int, bool]] = []
        self.rc = 0
        self.opened: list[Any] = []
        self.on_socket_open: Any = lambda *told: self.opened.append(told[-1])
        self.hung_up = False

    def publish(self, topic: str, payload: bytes, qos: int, retain: bool) -> Any:
        self.published.append((topic, payload, qos, retain))
        return SimpleNamespace(rc=self.rc, mid=len(self.published))

    def acknowledge(self, mid: int, code: int) -> None:
        self.on_publish(self, None, mid, SimpleNamespace(value=code), None)

    def _sock_close(self) -> None:
        self.hung_up = True


class Connection:
    closed = False

    def close(self) -> None:
        self.closed = True


class Client:
    """aiomqtt's, likewise."""

    def __init__(self) -> None:
        self._client = Paho()
        self.refuses = False
        self.stalls = False
        self.codes: list[Any] = [1]
        self.sent: list[Any] = []

    async def __aenter__(self) -> None:
        if self.stalls:
            self._client.on_disconnect(self, None, None, None, None)
            await asyncio.get_running_loop().create_future()
        if self.refuses:
            raise MqttError("Not authorized")

    async def __aexit__(self, *_: object) -> None:
        raise MqttError("it has gone already")

    async def subscribe(self, topic: str, *, options: SubscribeOptions) -> list[Any]:
        # Whether a command is to be kept is told to who hears it live, too.
        assert (options.QoS, options.retainAsPublished) == (1, True)
        if self.refuses:
            raise MqttError("timed out")
        return self.codes

    @property
    async def messages(self) -> Any:
        for message in self.sent:
            yield message
        raise MqttError("Disconnected") from ConnectionResetError("reset")


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    client = Client()
    monkeypatch.setattr(Outgoing, "mqtt_client", lambda *_, **__: client)
    return client


def broker() -> Broker:
    config = MqttConfig(url="mqtts://broker")
    return Broker(config, Outgoing(RegionConfig()), identifier="i", tls=None)


async def test_the_brokers_word_is_heard(client: Client) -> None:
    async with broker() as connected:

        async def acknowledge() -> None:
            client._client.acknowledge(2, 0x87)
            client._client.acknowledge(2, 0)  # twice: the first counts
            client._client.acknowledge(1, 0x10)
            client._client.acknowledge(99, 0)

        codes = await asyncio.gather(
            connected.publish("t", b"1"),
            connected.publish("t", b"2", retain=True),
            acknowledge(),
        )
        assert codes[:2] == [0x10, 0x87]
    assert client._client.published == [("t", b"1", 1, False), ("t", b"2", 1, True)]


async def test_a_broker_that_is_not_there(client: Client) -> None:
    client.refuses = True
    with pytest.raises(BrokerError, match="Not authorized"):
        async with broker():
            pass
    assert client._client.hung_up


async def test_a_broker_that_does_not_let_us_in(client: Client) -> None:
    client.stalls = True
    with pytest.raises(BrokerError, match="does not let us in"):
        async with broker():
            pass
    client._client.on_disconnect(client, None, None, None, None)  # late: no matter
    assert client._client.hung_up


async def test_what_is_connected_when_nobody_waits_any_more_is_closed(
    client: Client,
) -> None:
    async with broker():
        early = Connection()
        client._client.on_socket_open(client, None, early)
    late = Connection()
    client._client.on_socket_open(client, None, late)
    assert client._client.hung_up
    assert client._client.opened == [early]
    assert (early.closed, late.closed) == (False, True)


async def test_a_broker_that_has_gone_or_says_nothing(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ACKNOWLEDGED_WITHIN", 0.01)
    async with broker() as connected:
        with pytest.raises(BrokerError, match="acknowledges nothing"):
            await connected.publish("t", b"")
        client._client.rc = 4
        with pytest.raises(BrokerError, match="not connected"):
            await connected.publish("t", b"")


async def test_subscriptions(client: Client) -> None:
    async with broker() as connected:
        assert await connected.subscribe("t")
        client.codes = [SimpleNamespace(value=0x87)]
        assert not await connected.subscribe("t")
        client.refuses = True
        with pytest.raises(BrokerError, match="timed out"):
            await connected.subscribe("t")


async def test_messages_come_until_the_connection_breaks(client: Client) -> None:
    topic = SimpleNamespace(value="t")
    client.sent = [SimpleNamespace(topic=topic, payload=b"x", retain=True)]
    async with broker() as connected:
        messages = connected.messages()
        assert await anext(messages) == Message("t", b"x", retained=True)
        with pytest.raises(BrokerError, match="reset"):
            await anext(messages)


def test_reasons_have_names() -> None:
    assert reason_name(0x87) == "not authorized"
    assert reason_name(0x8F) == "0x8f"
