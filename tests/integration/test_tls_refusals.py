"""Who gets TLS wrong is refused and logged, while the calls that stand go on."""

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agent.signalling.connection import MESSAGE_SECONDS
from agent.signalling.connections import MAX_PER_STRANGER, STRANGERS_SHARE
from agent.signalling.stream import HANDSHAKE_SECONDS
from tests.lab.bad_peers import BadPeer, Flood, message, serve_once
from tests.lab.certificates import Authority, Certificate, outdated
from tests.lab.daemon import CALLER, SERVICE, Daemon
from tests.lab.parties import until
from tests.lab.secure import TRUNK, Site, secured
from tests.lab.standing import standing, started, trunk_phone, udp_phone
from tests.patience import PATIENCE
from tests.ports import free_ports

pytestmark = pytest.mark.integration

MAX_CONNECTIONS = 100
MAX_OF_TRUNK = 20
NOBODY = "nobody.example"
UNTRUSTED = "certificate not trusted: unable to get local issuer certificate"


def site_of(daemon_at: Callable[..., Daemon]) -> Site:
    daemon = daemon_at(
        officers=tuple(free_ports(3)),
        sip_section=f"max_connections = {MAX_CONNECTIONS}",
        trunk=f"max_connections = {MAX_OF_TRUNK}",
    )
    return secured(daemon, officers="udp")


def refusals(daemon: Daemon, place: str) -> list[dict[str, Any]]:
    """The log's lines on who is at an address, or has connected from it."""
    return [
        entry
        for entry in daemon.log()
        if str(entry.get("remote") or entry.get("source")).startswith(place)
    ]


async def refusal(daemon: Daemon, place: str) -> tuple[str, str]:
    """Event and reason of the only such line, once it is there.

    It warns, says whence and why, and names nobody.
    """
    async with asyncio.timeout(PATIENCE):
        while not (found := refusals(daemon, place)):
            await asyncio.sleep(0.02)
    [line] = found
    assert line["level"] == "warning"
    for name in (CALLER, SERVICE, TRUNK, NOBODY, "sip:", "tag="):
        assert name not in json.dumps(line)
    return line["event"], line.get("reason", "")


async def assert_served(site: Site) -> None:
    """Who has the right certificate is served as ever, on a new connection."""
    trunk = BadPeer("127.0.0.1", site.port)
    answer = await asyncio.to_thread(trunk.ask, site.trunk.client(), "OPTIONS")
    assert answer == b"200"


# -- peers that connect ---------------------------------------------------------------


@dataclass(frozen=True)
class Scene:
    """What a bad client has to do with."""

    site: Site
    theirs: Authority
    "Whom the daemon does not believe."
    host: str

    @property
    def tls(self) -> BadPeer:
        return BadPeer(self.host, self.site.port)

    @property
    def tcp(self) -> BadPeer:
        return BadPeer(self.host, self.site.daemon.sip)

    def invite(self, own: Certificate) -> bytes:
        """Call over TLS."""
        return self.tls.ask(own.client(ca=self.site.ca), "INVITE")

    def blank(self) -> ssl.SSLContext:
        """With no certificate."""
        return ssl.create_default_context(cafile=str(self.site.ca))


BAD_CLIENTS: dict[str, tuple[Callable[[Scene], bytes], bytes, tuple[str, str]]] = {
    # Who does what; the status that answers, if any; event and reason in the log.
    "wrong CA": (
        lambda scene: scene.invite(scene.theirs.issue(TRUNK)),
        b"",
        ("tls_refused", UNTRUSTED),
    ),
    "wrong name": (
        lambda scene: scene.invite(scene.site.authority.issue(NOBODY)),
        b"403",
        ("stranger_refused", ""),
    ),
    "expired": (
        lambda scene: scene.invite(scene.site.authority.issue(TRUNK, expired=True)),
        b"",
        ("tls_refused", "certificate expired"),
    ),
    "no certificate": (
        lambda scene: scene.tls.ask(scene.blank(), "INVITE"),
        b"",
        ("tls_refused", "no client certificate"),
    ),
    "TLS 1.1": (
        lambda scene: scene.tls.ask(outdated(scene.site.trunk.client()), "INVITE"),
        b"",
        ("tls_refused", "tls older than 1.2"),
    ),
    "SIP in plain text on the TLS port": (
        lambda scene: scene.tls.say(message("INVITE", scene.host, "TCP")),
        b"",
        ("tls_refused", "plain text on the tls port"),
    ),
    "HTTP on the TLS port": (
        lambda scene: scene.tls.say(b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"),
        b"",
        ("tls_refused", "plain text on the tls port"),
    ),
    "TLS on the TCP port": (
        lambda scene: scene.tcp.ask(scene.site.trunk.client(), "INVITE"),
        b"",
        ("connection_refused", "tls on a plain port"),
    ),
    "no SIP on the TCP port": (
        lambda scene: scene.tcp.say(bytes(range(128, 256))),
        b"",
        ("connection_refused", "not sip"),
    ),
}


async def test_bad_clients_harm_no_call(
    daemon_at: Callable[..., Daemon], tmp_path: Path
) -> None:
    site, theirs = site_of(daemon_at), Authority(tmp_path / "theirs")
    daemon = site.daemon.start()
    async with standing(site):
        for index, (name, (act, status, why)) in enumerate(BAD_CLIENTS.items(), 1):
            scene = Scene(site, theirs, f"127.0.1.{index}")
            assert (name, await asyncio.to_thread(act, scene)) == (name, status)
            assert (name, await refusal(daemon, f"{scene.host}:")) == (name, why)
            await assert_served(site)


async def test_slow_clients_harm_no_call(daemon_at: Callable[..., Daemon]) -> None:
    site = site_of(daemon_at)
    daemon = site.daemon.start()
    half = message("INVITE", "127.0.1.1")[:-2]
    # The trunk itself is no better than others, nor who says nothing at all.
    slow = {
        "127.0.1.1:": (site.port, half, site.trunk.client(), MESSAGE_SECONDS),
        "127.0.1.2:": (daemon.sip, half, None, MESSAGE_SECONDS),
        "127.0.1.3:": (site.port, b"", None, HANDSHAKE_SECONDS),
    }
    async with standing(site):
        lasted = await asyncio.gather(
            *[
                asyncio.to_thread(BadPeer(place[:-1], port).drip, data, context)
                for place, (port, data, context, _) in slow.items()
            ]
        )
        await assert_served(site)
    for seconds, (*_, limit) in zip(lasted, slow.values(), strict=True):
        assert limit - 1 < seconds < limit + 5
    found = [await refusal(daemon, place) for place in slow]
    assert found == [
        ("tls_refused", "message too slow"),
        ("connection_refused", "message too slow"),
        ("tls_refused", "no handshake in time"),
    ]


async def test_floods_up_to_the_limits_harm_no_call(
    daemon_at: Callable[..., Daemon],
) -> None:
    site = site_of(daemon_at)
    daemon = site.daemon.start()
    hosts = [f"127.0.1.{n}" for n in range(1, 7)]
    strangers = Flood(hosts, daemon.sip, 30)
    neighbours = Flood(["127.0.0.1"], daemon.sip, 2 * MAX_OF_TRUNK)
    secure = Flood(["127.0.2.1"], site.port, 30)
    async with standing(site):
        await flooded(secure)
        # Handshakes that never come take places too.
        assert secure.held() == MAX_PER_STRANGER
        await assert_served(site)
        await flooded(strangers)
        assert strangers.held() + secure.held() == MAX_CONNECTIONS // STRANGERS_SHARE
        await assert_served(site)
        # From the trunk's own address: all its places but that of its call.
        await flooded(neighbours)
        assert neighbours.held() == MAX_OF_TRUNK - 1
        for flood in (secure, strangers, neighbours):
            flood.close()
        await asyncio.sleep(0.2)
        await assert_served(site)
    for host, event in (
        ("127.0.1.1:", "connection_refused"),
        ("127.0.2.1:", "tls_refused"),
        ("127.0.0.1:", "connection_refused"),
    ):
        lines = [line for line in refusals(daemon, host) if line["event"] == event]
        said = [line for line in lines if line["reason"] == "too many connections"]
        # A line for each of the first twenty, then one a second.
        assert 20 <= len(said) <= 25


async def flooded(flood: Flood) -> None:
    await asyncio.to_thread(flood.open)
    await asyncio.sleep(0.5)


# -- peers that are connected to ------------------------------------------------------


BAD_SERVERS: dict[str, tuple[Callable[[Site, Authority], Any], str]] = {
    "wrong CA": (lambda _, theirs: theirs.issue("127.0.0.1").server(), UNTRUSTED),
    "wrong name": (
        lambda site, _: site.authority.issue(NOBODY).server(),
        "the certificate has another name",
    ),
    "expired": (
        lambda site, _: site.authority.issue("127.0.0.1", expired=True).server(),
        "certificate expired",
    ),
    "TLS 1.1": (
        lambda site, _: outdated(site.authority.issue("127.0.0.1").server()),
        "the peer refuses tls 1.2 and 1.3",
    ),
    "plain text": (lambda *_: None, "plain text on the tls port"),
}


@asynccontextmanager
async def bad_servers(site: Site, theirs: Authority) -> AsyncIterator[list[int]]:
    """One of each, at the ports; all must have been tried in the end."""
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in BAD_SERVERS]
    serving = [
        asyncio.to_thread(serve_once, listener, make(site, theirs))
        for listener, (make, _) in zip(listeners, BAD_SERVERS.values(), strict=True)
    ]
    tasks = asyncio.gather(*serving)
    try:
        yield [listener.getsockname()[1] for listener in listeners]
    finally:
        heard = await tasks
        for listener in listeners:
            listener.close()
    assert not any(heard), "something was sent to who had not proved its name"


async def test_bad_servers_are_passed_over_and_harm_no_call(
    daemon_at: Callable[..., Daemon], tmp_path: Path
) -> None:
    site, theirs = site_of(daemon_at), Authority(tmp_path / "theirs")
    daemon = site.daemon
    number = "0295000001"
    async with bad_servers(site, theirs) as ports:
        targets = [f"sip:203@127.0.0.1:{port};transport=tls" for port in ports]
        targets.append(f"sip:203@127.0.0.1:{daemon.officers[2]}")
        daemon.amend(
            '[officers]\ndirectory = "officers.csv"',
            f'[[routes]]\nname = "overflowing"\nfrom = "trunk"\nnumber = "{number}"\n'
            f'direction = "inbound"\nto = {json.dumps(targets)}\nnotice = ["fi.wav"]\n'
            '[officers]\ndirectory = "officers.csv"',
        )
        daemon.start()
        caller = trunk_phone(site, CALLER, 5)
        officer = udp_phone(daemon.officers[2], "203", 6, answers=True)
        async with standing(site, more=1), started(caller, officer):
            await caller.call(f"sip:{number}@127.0.0.1:{site.port};transport=tls")
            await until(officer.connected)
            lines = [await refusal(daemon, f"127.0.0.1:{port}") for port in ports]
            await daemon.logged("recording_begun", count=3)
            await asyncio.sleep(0.5)
            caller.hang_up()
            await until(officer.ended)
    expected = [("tls_refused", reason) for _, reason in BAD_SERVERS.values()]
    assert dict(zip(BAD_SERVERS, lines, strict=True)) == dict(
        zip(BAD_SERVERS, expected, strict=True)
    )
    assert all(line["outgoing"] for line in daemon.log("tls_refused"))
    assert [str(row.outcome) for row in daemon.rows()] == ["recorded"] * 3
