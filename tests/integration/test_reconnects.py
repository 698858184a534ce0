"""The connection of a live call drops: neither the call nor its end depends on it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from agent.cli.phone import Phone
from agent.model.media import Address
from agent.signalling.config import Listener
from agent.signalling.sip.core import UserAgentCore
from agent.signalling.sip.uri import Uri, parse_uri
from agent.signalling.tls import TlsContexts
from agent.signalling.useragent import UserAgent
from tests.lab.daemon import CALLER, SERVICE, Daemon
from tests.lab.parties import audio_of, noise, until
from tests.lab.scenes import talk
from tests.lab.secure import Site, secured
from tests.lab.standing import (
    assert_well,
    contexts,
    is_whole,
    said,
    started,
    udp_phone,
)
from tests.ports import free_ports

pytestmark = pytest.mark.integration


@dataclass(slots=True, kw_only=True)
class StreamPhone(Phone):
    """Over TCP, or over TLS if it has a certificate; its media is RTP."""

    tls: TlsContexts | None
    agent: UserAgent | None = field(default=None, init=False)

    @property
    def transport(self) -> str:
        return "tls" if self.tls else "tcp"

    @property
    def _contact(self) -> Uri:
        uri = f"sip:{self.user}@{self.address};transport={self.transport}"
        return parse_uri(uri)

    def _over_network(self, core: UserAgentCore) -> UserAgent:
        listener = Listener(self.transport, self.address)
        self.agent = UserAgent(core, [listener], self._on_sip, tls=self.tls)
        return self.agent

    def drop(self) -> None:
        """End every connection, with no word of SIP."""
        assert self.agent is not None
        streams = self.agent._streams
        assert len(streams._streams) == 1
        for stream in list(streams._streams.values()):
            stream.transport.abort()

    @property
    def connections(self) -> tuple[int, int]:
        """How many it has opened, and how many it has accepted."""
        assert self.agent is not None
        stats = self.agent.connections
        return stats.connected, stats.accepted


def phone_at(site: Site, transport: str) -> StreamPhone:
    return StreamPhone(
        Address("127.0.0.1", free_ports(1)[0]),
        free_ports(1)[0],
        CALLER,
        speech={"PCMA": noise(60.0, 1)},
        tls=contexts(site.trunk) if transport == "tls" else None,
    )


@pytest.mark.parametrize("who", ["caller", "officer"])
@pytest.mark.parametrize("transport", ["tcp", "tls"])
async def test_a_call_outlives_its_connection(
    daemon_at: Callable[..., Daemon], transport: str, who: str
) -> None:
    site = secured(daemon_at(), officers="udp")
    daemon = site.daemon.start()
    caller = phone_at(site, transport)
    officer = udp_phone(daemon.officers[0], "201", 2, answers=True)
    port = site.port if transport == "tls" else daemon.sip
    async with started(caller, officer):
        await caller.call(f"sip:{SERVICE}@127.0.0.1:{port};transport={transport}")
        await until(officer.connected)
        await talk(daemon, caller, officer, seconds=0.7)
        assert caller.connections == (1, 0)
        caller.drop()
        await asyncio.sleep(1.0)
        assert not officer.ended.is_set()
        if who == "caller":
            # Its BYE opens another connection, from another port.
            caller.hang_up()
            await until(officer.ended)
            assert caller.connections == (2, 0)
        else:
            # The BYE to it goes to its Contact; over TLS it proves who it is again.
            officer.hang_up()
            await until(caller.ended)
            assert caller.connections == (1, 1)
        await daemon.logged("stored")
    [recording] = daemon.recordings()
    assert is_whole(recording, caller, officer)
    assert said(caller) in audio_of(officer)
    assert said(officer) in audio_of(caller)
    [row] = daemon.rows()
    assert (row.outcome, row.cause) == ("recorded", f"{who}-hangup")
    assert daemon.log("tls_refused") + daemon.log("connect_failed") == []
    assert_well(daemon)
