"""A real broker: every event comes, in order per call, whatever happens to it."""

import asyncio
import datetime
import gc
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiomqtt
import pytest

from agent.common.clock import utc_now
from agent.events.broker import Message
from agent.events.sending import READ_AHEAD
from tests.lab.mosquitto import ACL, PASSWORDS, Mosquitto
from tests.lab.subscriber import Subscriber, first_of_each
from tests.lab.told import KINDS, StallingRelay, TellingHost
from tests.patience import PATIENCE
from tests.ports import HOST

pytestmark = [pytest.mark.integration, pytest.mark.beside]

DENYING = ACL.replace(
    "topic write recording-agent/#", "topic write recording-agent/host-a/status"
).replace("topic read recording-agent/host-a/commands/#", "")
"No events, and no commands."


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Mosquitto]:
    made = Mosquitto(tmp_path / "broker")
    await made.start()
    yield made
    made.stop()


def check(host: TellingHost, reader: Subscriber) -> int:
    """Every call was told whole and in order; how many events came twice."""
    events = first_of_each(reader.events())
    assert len(host.calls) == len(set(host.calls))
    for call_id in host.calls:
        told = [event for event in events if event["call_id"] == call_id]
        assert [event["kind"] for event in told] == KINDS
        assert [event["sequence"] for event in told] == list(range(1, len(KINDS) + 1))
    assert len(events) == len(KINDS) * len(host.calls)
    text = str(reader.messages)
    assert "401234567" not in text
    assert not any("401234567" in topic for topic, *_ in reader.messages)
    return len(reader.events()) - len(events)


async def test_a_broker_that_is_killed_and_started_again(
    tmp_path: Path, broker: Mosquitto
) -> None:
    """Twice while two hundred calls are told; what waited comes once it is back."""
    host = TellingHost(tmp_path / "host", broker.section())
    async with Subscriber(broker.plain) as reader, host:
        await reader.until(lambda: reader.last("status"))
        calls = asyncio.gather(*(host.call(0.01 * (n % 40)) for n in range(200)))
        for _ in range(2):
            await asyncio.sleep(0.5)
            broker.kill()
            await host.until_away()
            await asyncio.sleep(0.3)
            await broker.start()
        await calls
        await host.all_sent()
        await reader.until(lambda: len(first_of_each(reader.events())) == 1800)
        check(host, reader)
        assert host.publisher.stats.dropped == 0


async def test_a_broker_that_is_slow(tmp_path: Path, broker: Mosquitto) -> None:
    """It stalls again and again: memory holds no more than ever, calls go on."""
    async with StallingRelay(broker.plain) as relay, Subscriber(broker.plain) as reader:
        section = broker.section() | {"url": f"mqtt://127.0.0.1:{relay.port}", "ca": ""}
        async with TellingHost(tmp_path / "host", section) as host:
            await reader.until(lambda: reader.last("status"))
            loop = asyncio.get_running_loop()
            begun = loop.time()
            calls = asyncio.gather(*(host.call(0.01 * (n % 10)) for n in range(200)))
            most = 0
            for _ in range(4):
                relay.stall()
                await asyncio.sleep(0.3)
                relay.go_on()
                await asyncio.sleep(0.2)
                most = max(most, READ_AHEAD - host.publisher._sending.room)
            await calls
            driven = loop.time() - begun
            await host.all_sent()
            assert most <= READ_AHEAD
            assert driven < 20  # not at the pace of the line
            await reader.until(lambda: len(first_of_each(reader.events())) == 1800)
            check(host, reader)


async def test_a_command_that_the_broker_is_to_keep_is_known_as_such(
    tmp_path: Path, broker: Mosquitto
) -> None:
    """Also while we listen: whoever hears it later must not be the first to know."""
    section: dict[str, object] = {**broker.section(), "commands": ["status"]}
    heard: list[tuple[bytes, bool]] = []

    async def hear(message: Message) -> None:
        heard.append((message.payload, message.retained))

    async def publish(payload: bytes, *, retain: bool) -> None:
        topic = "recording-agent/host-a/commands/status"
        async with operator(broker) as client:
            await client.publish(topic, payload, qos=1, retain=retain)
        async with asyncio.timeout(PATIENCE):
            while payload not in [said for said, _ in heard]:
                await asyncio.sleep(0.02)

    async with TellingHost(tmp_path / "host", section) as host:
        host.publisher._answer = hear
        async with asyncio.timeout(PATIENCE):
            while host.publisher.away is not False:
                await asyncio.sleep(0.02)
        await publish(b"now", retain=False)
        await publish(b"for later", retain=True)
    assert heard == [(b"now", False), (b"for later", True)]


def operator(broker: Mosquitto) -> aiomqtt.Client:
    """Who sends commands."""
    return aiomqtt.Client(
        HOST,
        broker.plain,
        protocol=aiomqtt.ProtocolVersion.V5,
        username="operator",
        password=PASSWORDS["operator"],
    )


async def test_a_wrong_password(tmp_path: Path, broker: Mosquitto) -> None:
    """Nothing gets through, nothing is lost, and a call notices nothing."""
    wrong = tmp_path / "wrong.password"
    wrong.write_text("wrong\n")
    wrong.chmod(0o600)
    host = TellingHost(tmp_path / "host", broker.section() | {"password": str(wrong)})
    async with host:
        await host.call()
        await host.until_away()
        assert "authorized" in host.publisher.away_reason
        assert (await host.outbox.backlog()).rows == len(KINDS)
    async with Subscriber(broker.plain) as reader:
        again = TellingHost(tmp_path / "host", broker.section())
        again.calls = host.calls
        async with again:
            await again.call()
            await again.all_sent()
            await reader.until(lambda: len(reader.events()) == 2 * len(KINDS))
            check(again, reader)


@pytest.fixture
def collected() -> Iterator[None]:
    """What a test leaves to the garbage collector is its own, and no later test's."""
    yield
    gc.collect()


# The library leaves a socket whose handshake failed to the garbage collector.
@pytest.mark.usefixtures("collected")
@pytest.mark.filterwarnings("ignore:Exception ignored in. <ssl.SSLSocket")
@pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket")
async def test_an_expired_certificate(tmp_path: Path, broker: Mosquitto) -> None:
    """Of the broker, then of the agent: told as such, and over once it is renewed."""
    hour = datetime.timedelta(hours=1)
    broker.stop()
    broker.certify("server", "127.0.0.1", "localhost", not_after=utc_now() - hour)
    await broker.start()
    mutual = {"user": "", "password": "", "url": f"mqtts://127.0.0.1:{broker.mutual}"}
    for name in ("certificate", "key"):
        suffix = "pem" if name == "certificate" else "key"
        mutual[name] = str(broker.folder / f"client.{suffix}")
    section = broker.section() | mutual
    async with Subscriber(broker.plain) as reader:
        async with TellingHost(tmp_path / "host", section) as host:
            await host.call()
            await host.until_away()
            assert "expired" in host.publisher.away_reason
            broker.stop()
            broker.certify("server", "127.0.0.1", "localhost")
            await broker.start()
            await host.all_sent()
            await reader.until(lambda: len(reader.events()) == len(KINDS))
            check(host, reader)
        broker.certify("client", "agent", not_after=utc_now() - hour)
        async with TellingHost(tmp_path / "other", section) as host:
            await host.until_away()
            assert "does not let us in" in host.publisher.away_reason


async def test_a_broker_that_takes_no_events(tmp_path: Path, broker: Mosquitto) -> None:
    """An ACL denial is told and counted; all comes once the ACL is mended."""
    broker.write_acl(DENYING)
    broker.reload()
    host = TellingHost(tmp_path / "host", broker.section())
    async with Subscriber(broker.plain) as reader, host:
        await host.call()
        await host.call()
        await reader.until(lambda: host.publisher.stats.refused >= 2)
        assert host.publisher.away is False
        await reader.until(lambda: state(reader) == "online")
        assert reader.events() == []
        assert (await host.outbox.backlog()).rows == 2 * len(KINDS)
        broker.write_acl(ACL)
        broker.reload()
        await host.all_sent()
        await reader.until(lambda: len(reader.events()) == 2 * len(KINDS))
        assert check(host, reader) == 0


async def test_who_is_gone_has_left_word(tmp_path: Path, broker: Mosquitto) -> None:
    """Retained: a state while it is there, a good-bye, or the broker's word for it."""
    host = TellingHost(tmp_path / "host", broker.section())
    async with Subscriber(broker.plain) as reader:
        async with host:
            await reader.until(lambda: state(reader) == "online")
        await reader.until(lambda: state(reader) == "stopped")
    async with StallingRelay(broker.plain) as relay:
        section = broker.section() | {"url": f"mqtt://127.0.0.1:{relay.port}", "ca": ""}
        host = TellingHost(tmp_path / "other", section)
        async with host, Subscriber(broker.plain) as reader:
            await reader.until(lambda: state(reader) == "online")
            relay.cut()
            await reader.until(lambda: state(reader) == "offline")


def state(reader: Subscriber) -> str:
    """The host's, as it was told last."""
    told = reader.last("status")
    return "" if told is None else str(told["state"])
