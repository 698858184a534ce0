"""TCP and TLS with other makes, mutual authentication included."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab.baresip import baresip, shows
from tests.lab.daemon import CALLER, SERVICE, Daemon
from tests.lab.kamailio import kamailio
from tests.lab.linphone import linphone, shown
from tests.lab.scenes import (
    CUSTOMER_HZ,
    OFFICER_HZ,
    check_recorded,
    officer_ends,
    our_phone,
    talk,
)
from tests.lab.secure import secured
from tests.lab.sipp import Sipp
from tests.ports import free_ports

pytestmark = pytest.mark.integration
proves = pytest.mark.interop


def over_tcp_and_tls(peer: str, part: str) -> pytest.MarkDecorator:
    """A peer proves that it can play its part over either."""
    return pytest.mark.parametrize(
        "transport",
        [
            pytest.param(name, marks=proves(peer, f"{part}, over {what}"))
            for name, what in (("tcp", "TCP"), ("tls", "mutual TLS"))
        ],
    )


@over_tcp_and_tls("baresip", "as the customer")
async def test_baresip_calls(
    daemon_at: Callable[..., Daemon], tmp_path: Path, transport: str
) -> None:
    daemon = daemon_at()
    site = secured(daemon, officers="udp")
    daemon.start()
    port = site.port if transport == "tls" else daemon.sip
    async with (
        our_phone(daemon.officers[0], "201", OFFICER_HZ) as officer,
        baresip(
            tmp_path,
            port=daemon.caller,
            user=CALLER,
            agent=port,
            hertz=CUSTOMER_HZ,
            more=shows(site.trunk),
        ) as caller,
    ):
        await caller.dial(f"sip:{SERVICE}@127.0.0.1:{port};transport={transport}")
        await officer_ends(daemon, caller, officer)
        assert caller.spoke(transport.upper())


@over_tcp_and_tls("baresip", "as an officer")
async def test_baresip_answers(
    daemon_at: Callable[..., Daemon], tmp_path: Path, transport: str
) -> None:
    daemon = daemon_at()
    site = secured(daemon, officers=transport)
    daemon.start()
    async with (
        our_phone(daemon.caller, CALLER, CUSTOMER_HZ) as caller,
        baresip(
            tmp_path,
            port=daemon.officers[0],
            user="201",
            agent=daemon.sip,
            hertz=OFFICER_HZ,
            more=shows(site.officers),
        ) as officer,
    ):
        await caller.call(daemon.number())
        await officer.answer()
        await talk(daemon, caller)
        await officer.hang_up()
        await caller.ended.wait()
        assert officer.spoke(transport.upper())
        await check_recorded(daemon, "officer-hangup")


@pytest.mark.parametrize(
    "inside",
    [
        pytest.param("udp", marks=proves("Kamailio", "TLS outside, UDP to the agent")),
        pytest.param("tls", marks=proves("Kamailio", "TLS outside and to the agent")),
    ],
)
async def test_kamailio_does_tls(
    daemon_at: Callable[..., Daemon], tmp_path: Path, inside: str
) -> None:
    daemon = daemon_at()
    site = secured(daemon, officers="udp")
    daemon.start()
    [outside, public] = free_ports(2)
    to = {
        "udp": f"sip:127.0.0.1:{daemon.sip}",
        "tls": f"sip:127.0.0.1:{site.port};transport=tls",
    }
    async with (
        our_phone(daemon.officers[0], "201", OFFICER_HZ) as officer,
        kamailio(
            tmp_path,
            port=daemon.caller,
            agent=daemon.sip,
            inside=to[inside],
            outside=f"sip:127.0.0.1:{outside}",
            tls=(public, site.trunk),
        ) as proxy,
        baresip(
            tmp_path,
            port=outside,
            user=CALLER,
            agent=public,
            hertz=CUSTOMER_HZ,
            more=shows(site.officers),
        ) as caller,
    ):
        await caller.dial(f"sip:{SERVICE}@127.0.0.1:{public};transport=tls")
        await officer_ends(daemon, caller, officer)
        assert caller.spoke("TLS")
        assert proxy.passed_by_route("BYE") == 1


@over_tcp_and_tls("sipp TLS", "as the customer")
async def test_sipp_calls(
    daemon_at: Callable[..., Daemon], tmp_path: Path, transport: str
) -> None:
    daemon = daemon_at()
    site = secured(daemon, officers="udp")
    daemon.start()
    shown = ["-tls_cert", str(site.trunk.certificate), "-tls_key", str(site.trunk.key)]
    async with our_phone(daemon.officers[0], "201", OFFICER_HZ) as officer:
        with Sipp(
            tmp_path,
            "caller-speaks",
            port=daemon.caller,
            remote=site.port if transport == "tls" else daemon.sip,
            pause=2.5,
            newer=True,
            transport={"tcp": "t1", "tls": "l1"}[transport],
            more=[*shown, "-tls_ca", str(site.ca)] if transport == "tls" else [],
        ) as caller:
            await officer.connected.wait()
            officer.speak()
            await caller.succeeds()
            assert f"SIP/2.0/{transport.upper()}" in caller.messages
    await check_recorded(daemon, "caller-hangup")


@over_tcp_and_tls("linphone", "as the customer")
async def test_linphone_calls(
    daemon_at: Callable[..., Daemon], tmp_path: Path, transport: str
) -> None:
    daemon = daemon_at()
    site = secured(daemon, officers="udp")
    daemon.start()
    port = site.port if transport == "tls" else daemon.sip
    async with (
        our_phone(daemon.officers[0], "201", OFFICER_HZ) as officer,
        linphone(
            tmp_path,
            port=daemon.caller,
            user=CALLER,
            hertz=CUSTOMER_HZ,
            sip=shown(site),
        ) as caller,
    ):
        await caller.dial(f"sip:{SERVICE}@127.0.0.1:{port};transport={transport}")
        await officer_ends(daemon, caller, officer)
