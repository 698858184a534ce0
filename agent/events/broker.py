"""One connection to the broker: MQTT 5, QoS 1, and what became of each message.

aiomqtt keeps the connection, and tells nobody what a broker says of a message: one
that it may not publish counts there as published. So messages are handed to the client
below it, and its acknowledgements are looked at here.
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from aiomqtt.exceptions import MqttError
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from agent.common.errors import AgentError
from agent.common.outgoing import Outgoing
from agent.events.config import MqttConfig

KEEPALIVE: Final = 15
"Seconds: after half as many again without a word the broker leaves our last will."
_LAST_WORD: Final = 0.2
PATIENCE: Final = 10.0
"Seconds for a connection, and for a subscription."
ACKNOWLEDGED_WITHIN: Final = 60.0
"Seconds: a broker that is slow is waited for, one that says nothing is left."
MAX_INCOMING: Final = 64
"Commands that wait to be judged; what comes beyond is not heard."
MAX_PACKET: Final = 65_536
"Bytes of one command with its topic: the broker is told, and sends us none longer."
REFUSED: Final = 0x80
"Reason codes from here on are failures: MQTT 5 section 2.4."


class BrokerError(AgentError):
    """The broker cannot be reached, does not let us in, or has left us."""

    permanent = False
    hint = "Check [mqtt], the broker's log, and the network between."


class Message(NamedTuple):
    """Something published under a topic that we have subscribed to."""

    topic: str
    payload: bytes
    retained: bool


class Broker:
    """A connection, as a context; another one is another object."""

    def __init__(
        self,
        config: MqttConfig,
        outgoing: Outgoing,
        *,
        identifier: str,
        tls: ssl.SSLContext | None,
        password: str = "",
        will: tuple[str, bytes] | None = None,
    ) -> None:
        """`will` is a topic, and what is to be retained there once we are gone.

        Raises OutsideRegionError.
        """
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.MaximumPacketSize = MAX_PACKET
        self._client = outgoing.mqtt_client(
            config.destination,
            tls,
            will,
            username=config.user or None,
            password=password or None,
            identifier=identifier,
            clean_start=True,
            properties=properties,
            keepalive=KEEPALIVE,
            timeout=PATIENCE,
            max_queued_incoming_messages=MAX_INCOMING,
        )
        self._paho = self._client._client  # noqa: SLF001 - see above
        self._paho.on_publish = self._acknowledged
        self._told_disconnected = self._paho.on_disconnect
        self._paho.on_disconnect = self._disconnected
        self._told_opened = self._paho.on_socket_open
        self._paho.on_socket_open = self._opened
        self._left = False
        self._lost: asyncio.Future[None] | None = None
        "While we connect: the broker has ended the connection."
        self._waiting: dict[int, asyncio.Future[int]] = {}

    async def __aenter__(self) -> Self:
        """Connect. Raises BrokerError."""
        loop = asyncio.get_running_loop()
        self._lost = loop.create_future()
        entering = loop.create_task(self._client.__aenter__(), name="broker-connect")
        try:
            either: set[asyncio.Future[Any]] = {entering, self._lost}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            # What the broker has said of it is heard first.
            if not (await asyncio.wait([entering], timeout=_LAST_WORD))[0]:
                raise BrokerError(
                    "The broker does not let us in.",
                    hint="See in its log what it has against mqtt.certificate.",
                )
            await entering
        except MqttError as error:
            self._left = True
            raise BrokerError(f"The broker cannot be reached: {error}.") from error
        finally:
            self._lost = None
            if not entering.done():
                entering.cancel()
                await asyncio.gather(entering, return_exceptions=True)
            if self._left or entering.cancelled():
                self._hang_up()
        return self

    def _hang_up(self) -> None:
        """Leave nothing open, however far it has got: the library may."""
        self._left = True
        self._paho._sock_close()  # noqa: SLF001 - what it calls when the other end goes

    def _opened(self, client: Any, userdata: Any, opened: Any) -> None:
        """In the library's thread, which connects on when nobody waits for it."""
        if self._left:
            opened.close()
        elif self._told_opened is not None:
            self._told_opened(client, userdata, opened)

    def _disconnected(self, *told: Any) -> None:
        """The library does not say so to who waits to be let in."""
        if self._told_disconnected is not None:
            self._told_disconnected(*told)
        if self._lost is not None and not self._lost.done():
            self._lost.set_result(None)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Say good-bye, if there is somebody to say it to."""
        try:
            with contextlib.suppress(MqttError):
                await self._client.__aexit__(kind, error, traceback)
        finally:
            self._hang_up()

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> int:
        """Publish, and wait for the broker's reason code; from REFUSED on it did not.

        Raises BrokerError: nobody knows whether the broker has it.
        """
        info = self._paho.publish(topic, payload, 1, retain)
        if info.rc:
            raise BrokerError("The broker is not connected.")
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting[info.mid] = future
        try:
            async with asyncio.timeout(ACKNOWLEDGED_WITHIN):
                return await future
        except TimeoutError:
            raise BrokerError("The broker acknowledges nothing.") from None
        finally:
            del self._waiting[info.mid]

    def _acknowledged(
        self, _client: Any, _userdata: Any, mid: int, reason: Any, _properties: Any
    ) -> None:
        future = self._waiting.get(mid)
        if future is not None and not future.done():
            future.set_result(int(reason.value))

    async def subscribe(self, topic: str) -> bool:
        """Have messages of a topic sent to us; whether the broker will.

        What is to be retained comes marked as such, also to who hears it live. Raises
        BrokerError if the broker says nothing.
        """
        options = SubscribeOptions(qos=1, retainAsPublished=True)
        try:
            codes = await self._client.subscribe(topic, options=options)
        except MqttError as error:
            raise BrokerError(f"The broker takes no subscription: {error}.") from error
        values = [code if isinstance(code, int) else code.value for code in codes]
        return all(value < REFUSED for value in values)

    async def messages(self) -> AsyncIterator[Message]:
        """What comes, for as long as the connection is there.

        Raises BrokerError when it is not, whether anything was subscribed to or not.
        """
        try:
            async for message in self._client.messages:
                yield Message(message.topic.value, message.payload, message.retain)
        except MqttError as error:
            reason = error.__cause__ or error
            raise BrokerError(f"The broker has left us: {reason}.") from error


def reason_name(code: int) -> str:
    """A reason code in words, MQTT 5 section 2.4."""
    return _NAMES.get(code, f"0x{code:02x}")


_NAMES: Final = {
    0x80: "unspecified error",
    0x83: "implementation specific error",
    0x87: "not authorized",
    0x90: "topic name invalid",
    0x95: "packet too large",
    0x97: "quota exceeded",
    0x99: "payload format invalid",
    0x9A: "retain not supported",
    0x9B: "QoS not supported",
}
