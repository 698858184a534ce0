"""Two hosts behind a dispatcher: one dies, the other goes on, and nothing is lost.

Both tell one broker what becomes of their calls.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from agent.cli.phone import Phone
from agent.model.media import Address
from tests.integration.conftest import tone
from tests.lab.daemon import CALLER, SERVICE, Daemon
from tests.lab.hosts import Network, network
from tests.lab.kamailio import dispatcher
from tests.lab.mosquitto import Mosquitto
from tests.lab.opened import open_recording
from tests.lab.parties import channels, say, tone_seconds
from tests.lab.subscriber import Subscriber, first_of_each
from tests.lab.told import KINDS
from tests.patience import PATIENCE
from tests.ports import free_ports

pytestmark = [pytest.mark.integration, pytest.mark.beside]

PORT = 5060


def site_of(
    hosts: Network, root: Path, number: int, first: Daemon | None, broker: Mosquitto
) -> Daemon:
    """The agent of a host; its people and its storage are those of the first."""
    host = hosts.hosts[number]
    daemon = Daemon(root / f"host-{number}", notice=tone(600, 0.4), sip=PORT)
    if first is not None:
        text = first.config.read_text()
        text = text.replace(str(first.spool), str(daemon.spool))
        text = text.replace(hosts.hosts[0].address, host.address)
        text = text.replace('name = "host-0"', f'name = "host-{number}"')
        daemon.config.write_text(text)
    else:
        local = f"127.0.0.1:{PORT}"
        daemon.amend(local, f"{host.address}:{PORT}")
        daemon.amend("[media]", f'[media]\naddress = "{host.address}"')
        daemon.amend('name = "test"', f'name = "host-{number}"')
        text = daemon.config.read_text().replace("127.0.0.1", hosts.address)
        told = (f'{name} = "{value}"' for name, value in broker.section().items())
        daemon.config.write_text("\n".join((text, "[mqtt]", *told, "")))
    daemon.launcher = host.launcher
    return daemon


@pytest.fixture
def hosts() -> Iterator[Network]:
    with network(2) as hosts:
        yield hosts


@asynccontextmanager
async def call(hosts: Network, site: Daemon) -> AsyncIterator[Phone]:
    """A caller who talks with an officer, by whichever host; both are gone after it."""
    [port] = free_ports(1)
    caller = Phone(Address(hosts.address, port), free_ports(1)[0], CALLER)
    officer = Phone(
        Address(hosts.address, site.officers[0]), free_ports(1)[0], "201", 0.05
    )
    say(caller, 1000)
    say(officer, 1700)
    await caller.start()
    await officer.start()
    try:
        async with asyncio.timeout(PATIENCE):
            await caller.call(f"sip:{SERVICE}@{hosts.address}:{site.caller}")
            await officer.connected.wait()
            caller.speak()
            officer.speak()
            while len(caller.heard) < 100 or len(officer.heard) < 100:
                await asyncio.sleep(0.02)
        yield caller
    finally:
        await caller.close()
        await officer.close()
        # A transport lets its port go in the loop's next turn.
        await asyncio.sleep(0.01)


def states(reader: Subscriber, daemon: Daemon) -> list[str]:
    """What a host's retained status was, one after the other."""
    topic = f"recording-agent/{daemon.root.name}/status"
    return [told["state"] for at, told, _ in reader.messages if at == topic]


def kinds(reader: Subscriber, daemon: Daemon) -> list[list[str]]:
    """What a host has told of each of its calls; once each, in order, and numbered."""
    found: dict[str, list[str]] = {}
    for event in first_of_each(reader.events()):
        if event["host"] == daemon.root.name:
            of_call = found.setdefault(event["call_id"], [])
            of_call.append(event["kind"])
            assert event["sequence"] == len(of_call)
    return list(found.values())


async def test_a_host_dies_and_what_it_had_is_stored_when_it_returns(
    hosts: Network, tmp_path: Path
) -> None:
    broker = Mosquitto(tmp_path / "broker", host=hosts.address)
    first = site_of(hosts, tmp_path, 0, None, broker)
    second = site_of(hosts, tmp_path, 1, first, broker)
    addresses = [f"{host.address}:{PORT}" for host in hosts.hosts]
    try:
        await broker.start()
        await asyncio.gather(
            *(asyncio.to_thread(daemon.start) for daemon in (first, second))
        )
        async with (
            Subscriber(broker.plain) as reader,
            dispatcher(tmp_path, hosts.address, first.caller, *addresses),
        ):
            async with call(hosts, first):
                dead, alive = (first, second) if first.rows() else (second, first)
                host = hosts.hosts[(first, second).index(dead)]
                await reader.until(lambda: kinds(reader, dead) == [KINDS[:4]])
                assert states(reader, dead)[-1] == "online"
                dead.kill()
                host.cut()
            assert dead.waiting()
            # Its last will, which says so to whoever asks later.
            await reader.until(lambda: states(reader, dead)[-1] == "offline")

            # In turn it would be the dead one's.
            for count in (1, 2):
                async with call(hosts, first) as caller:
                    caller.hang_up()
                    await alive.logged("stored", count=count)
            assert [row.outcome for row in alive.rows()] == ["recorded"] * 2
            await reader.until(lambda: kinds(reader, alive) == [KINDS] * 2)
            assert kinds(reader, dead) == [KINDS[:4]]

            host.mend()
            await asyncio.to_thread(dead.start)
            async with asyncio.timeout(30):
                while dead.waiting():
                    await asyncio.sleep(0.05)
            # What became of its call is told now, behind what was told of it before.
            late = ["ended", "sealed", "stored", "purged"]
            await reader.until(lambda: kinds(reader, dead) == [[*KINDS[:4], *late]])
            assert states(reader, dead)[-1] == "online"
            assert set(states(reader, alive)) == {"online"}
        [row] = dead.rows()
        assert row.outcome == "partial"
        [lost] = row.recordings
        recording = await asyncio.to_thread(open_recording, first, lost.recording_id)
        assert recording.manifest.outcome == "partial"
        assert tone_seconds(channels(recording.wav)[0], 1000) > 0.9
        # One storage has what either host recorded.
        assert len(first.stored(".key.age")) == 3
        assert not second.stored(".key.age")
    finally:
        for daemon in (first, second):
            daemon.kill()
        broker.stop()
