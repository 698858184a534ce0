"""SRTP with keys in SDP over TLS, on one leg or on both, with other makes."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab.asterisk import asterisk, tls_transport
from tests.lab.baresip import baresip, shows
from tests.lab.daemon import CALLER, SERVICE, Daemon
from tests.lab.linphone import linphone, shown
from tests.lab.scenes import (
    CUSTOMER_HZ,
    OFFICER_HZ,
    check_recorded,
    has_tone,
    officer_ends,
    our_phone,
    talk,
)
from tests.lab.secure import secured
from tests.ports import free_ports

pytestmark = pytest.mark.integration
proves = pytest.mark.interop

SRTP = ";mediaenc=srtp-mand"


@pytest.mark.parametrize(
    ("customer", "officer"),
    [
        pytest.param(SRTP, "", marks=proves("baresip", "SRTP (SDES): customer's leg")),
        pytest.param("", SRTP, marks=proves("baresip", "SRTP (SDES): officer's leg")),
        pytest.param(SRTP, SRTP, marks=proves("baresip", "SRTP (SDES): both legs")),
    ],
)
async def test_encrypted_media_is_recorded(
    daemon_at: Callable[..., Daemon], tmp_path: Path, customer: str, officer: str
) -> None:
    daemon = daemon_at(
        trunk=f'srtp = "{"require" if customer else "never"}"',
        phones=f'srtp = "{"require" if officer else "never"}"',
    )
    site = secured(daemon)
    daemon.start()
    async with (
        baresip(
            tmp_path,
            port=daemon.caller,
            user=CALLER,
            agent=site.port,
            hertz=CUSTOMER_HZ,
            account=customer,
            more=shows(site.trunk),
        ) as caller,
        baresip(
            tmp_path,
            port=daemon.officers[0],
            user="201",
            agent=site.port,
            hertz=OFFICER_HZ,
            account=officer,
            more=shows(site.officers),
        ) as staff,
    ):
        await caller.dial(f"sip:{SERVICE}@127.0.0.1:{site.port};transport=tls")
        await staff.answer()
        await daemon.logged("recording_begun")
        await asyncio.sleep(1)
        await caller.hang_up()
        await staff.happens("CALL_CLOSED")
        await check_recorded(daemon, "caller-hangup")
    assert has_tone(caller.heard, OFFICER_HZ)
    assert has_tone(staff.heard, CUSTOMER_HZ)
    assert "inline:" not in daemon.log_path.read_text()


@proves("Asterisk", "as the PBX behind, over mutual TLS with SRTP (SDES)")
async def test_a_pbx_with_srtp(
    daemon_at: Callable[..., Daemon], tmp_path: Path
) -> None:
    """Plain on the outside, encrypted to the PBX."""
    daemon = daemon_at(phones='srtp = "require"')
    site = secured(daemon)
    daemon.start()
    phones = free_ports(2)
    pbx = daemon.officers[0]
    async with (
        our_phone(daemon.caller, CALLER, CUSTOMER_HZ) as caller,
        our_phone(phones[0], "201", OFFICER_HZ) as officer,
        asterisk(
            tmp_path,
            port=pbx,
            agent=daemon.sip,
            phones=(phones[0], phones[1]),
            agent_more="transport=tls\nmedia_encryption=sdes",
            pjsip_more=tls_transport(pbx + 1, site.officers),
        ),
    ):
        await caller.call(daemon.number())
        await officer.connected.wait()
        await talk(daemon, caller, officer)
        officer.hang_up()
        await caller.ended.wait()
        await check_recorded(daemon, "officer-hangup")


@proves("linphone", "as the customer, over mutual TLS with SRTP (SDES)")
async def test_linphone_with_srtp(
    daemon_at: Callable[..., Daemon], tmp_path: Path
) -> None:
    daemon = daemon_at(trunk='srtp = "require"')
    site = secured(daemon, officers="udp")
    daemon.start()
    async with (
        our_phone(daemon.officers[0], "201", OFFICER_HZ) as officer,
        linphone(
            tmp_path,
            port=daemon.caller,
            user=CALLER,
            hertz=CUSTOMER_HZ,
            sip=f"{shown(site)}\nmedia_encryption=srtp\nmedia_encryption_mandatory=1",
        ) as caller,
    ):
        await caller.dial(f"sip:{SERVICE}@127.0.0.1:{site.port};transport=tls")
        await officer_ends(daemon, caller, officer)
    assert has_tone(caller.heard, OFFICER_HZ)
