"""Passwords both ways, with phones, a proxy and a PBX that others have written."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from agent.signalling.phones import PhoneLine, format_phones
from agent.signalling.sip.digest import Algorithm, hash_password
from tests.lab.asterisk import asterisk
from tests.lab.baresip import baresip
from tests.lab.calls import ended
from tests.lab.daemon import Daemon
from tests.lab.kamailio import kamailio
from tests.lab.linphone import linphone
from tests.lab.scenes import CUSTOMER_HZ, OFFICER_HZ, our_phone, talk
from tests.ports import free_ports

pytestmark = pytest.mark.integration
proves = pytest.mark.interop

CUSTOMER = "0409876543"
TRUNK = 'username = "agent"\npassword_file = "trunk.password"'


def write_secrets(daemon: Daemon, algorithms: Sequence[Algorithm] = ()) -> None:
    """Officer 201's password is `word-201`, ours towards the trunk `s3cret`."""
    lines = [
        PhoneLine("201", "agency", one, hash_password(one, "201", "agency", "word-201"))
        for one in algorithms
    ]
    for name, text in (
        ("phones.csv", format_phones(lines)),
        ("trunk.password", "s3cret\n"),
    ):
        path = daemon.root / name
        path.write_text(text)
        path.chmod(0o600)


def with_phones(
    daemon_at: Callable[..., Daemon], algorithms: Sequence[Algorithm]
) -> Daemon:
    daemon = daemon_at(phones='phones_file = "phones.csv"')
    write_secrets(daemon, algorithms)
    return daemon.start()


@proves("baresip", "as an officer: proves who it is (MD5)")
async def test_baresip_answers_a_challenge(
    daemon_at: Callable[..., Daemon], tmp_path: Path
) -> None:
    # Offered another algorithm beside MD5, baresip 1.0 gives up.
    daemon = with_phones(daemon_at, (Algorithm.MD5,))
    async with (
        asyncio.timeout(25),
        our_phone(daemon.caller, CUSTOMER, CUSTOMER_HZ) as customer,
        baresip(
            tmp_path,
            port=daemon.officers[0],
            user="201",
            agent=daemon.sip,
            hertz=OFFICER_HZ,
            account=";auth_user=201;auth_pass=word-201",
        ) as officer,
    ):
        await officer.dial(daemon.number(CUSTOMER))
        await customer.connected.wait()
        await talk(daemon)
        await officer.hang_up()
        await customer.ended.wait()
        await ended(daemon, "recorded", "officer-hangup")
    assert daemon.log("password_refused") == []


@proves("linphone", "as an officer: proves who it is (SHA-256)")
async def test_linphone_answers_a_challenge(
    daemon_at: Callable[..., Daemon], tmp_path: Path
) -> None:
    daemon = with_phones(daemon_at, (Algorithm.SHA_256,))
    login = (
        "[auth_info_0]\nusername=201\npasswd=word-201\nrealm=agency\nalgorithm=SHA-256"
    )
    async with (
        asyncio.timeout(25),
        our_phone(daemon.caller, CUSTOMER, CUSTOMER_HZ) as customer,
        linphone(
            tmp_path,
            port=daemon.officers[0],
            user="201",
            hertz=OFFICER_HZ,
            more=login,
        ) as officer,
    ):
        await officer.dial(daemon.number(CUSTOMER))
        await customer.connected.wait()
        await talk(daemon)
        await officer.hang_up()
        await customer.ended.wait()
        await ended(daemon, "recorded", "officer-hangup")
    assert daemon.log("password_refused") == []


@pytest.mark.parametrize("algorithm", Algorithm)
@proves("Asterisk", "as a PBX of officers: proves who it is (each algorithm)")
async def test_asterisk_answers_a_challenge(
    daemon_at: Callable[..., Daemon], tmp_path: Path, algorithm: Algorithm
) -> None:
    daemon = with_phones(daemon_at, (algorithm,))
    phones = free_ports(2)
    async with (
        asyncio.timeout(25),
        our_phone(daemon.caller, CUSTOMER, CUSTOMER_HZ) as customer,
        asterisk(
            tmp_path,
            port=daemon.officers[0],
            agent=daemon.sip,
            phones=(phones[0], phones[1]),
            hertz=OFFICER_HZ,
            agent_more="outbound_auth=login\nfrom_user=201\ncallerid=201 <201>",
            pjsip_more=(
                "[login]\ntype=auth\nauth_type=digest\nusername=201\n"
                "password=word-201\n"
                f"supported_algorithms_uac={algorithm}"
            ),
        ) as pbx,
    ):
        await pbx.call(CUSTOMER)
        await customer.connected.wait()
        await daemon.logged("recording_begun")
        await pbx.hang_up()
        await customer.ended.wait()
        await ended(daemon, "recorded", "officer-hangup")
    assert daemon.log("password_refused") == []


@pytest.mark.parametrize("algorithm", Algorithm)
@proves("Asterisk", "as the trunk: registers us, challenges our calls (each algorithm)")
async def test_asterisk_challenges_us(
    daemon_at: Callable[..., Daemon], tmp_path: Path, algorithm: Algorithm
) -> None:
    [trunk] = free_ports(1)
    aor = f'aor = "sip:registered@127.0.0.1:{trunk}"'
    daemon = daemon_at(
        caller=trunk, trunk=f"{TRUNK}\n{aor}\nregister = true\nrealm = 'pbx'"
    )
    write_secrets(daemon, tuple(Algorithm))
    phones = free_ports(2)
    async with (
        asyncio.timeout(25),
        asterisk(
            tmp_path,
            port=trunk,
            agent=daemon.sip,
            phones=(phones[0], phones[1]),
            agent_more="auth=login\naors=registered",
            pjsip_more=(
                "[login]\ntype=auth\nauth_type=digest\nusername=agent\n"
                "password=s3cret\nrealm=pbx\n"
                f"supported_algorithms_uas={algorithm}\n"
                "[registered]\ntype=aor\nmax_contacts=1"
            ),
        ) as pbx,
        our_phone(daemon.officers[0], "201", OFFICER_HZ) as officer,
    ):
        daemon.start()
        await daemon.logged("registered")
        assert f"sip:registered@127.0.0.1:{daemon.sip}" in await pbx.tell(
            "pjsip show aor registered"
        )
        await officer.call(daemon.number("600"))
        await officer.connected.wait()
        await daemon.logged("recording_begun")
        officer.hang_up()
        await ended(daemon, "recorded", "officer-hangup")
        daemon.stop()
        assert "127.0.0.1:" not in await pbx.tell("pjsip show aor registered")
    assert daemon.log("registration_failed") == []
    assert daemon.log("credentials_refused") == []


@pytest.mark.parametrize("algorithm", [Algorithm.MD5, Algorithm.SHA_256])
@proves("Kamailio", "as the proxy in front: 407 to each of our requests (MD5, SHA-256)")
async def test_kamailio_challenges_every_request(
    daemon_at: Callable[..., Daemon], tmp_path: Path, algorithm: Algorithm
) -> None:
    """INVITE and BYE; its nonces live for two seconds, so that the BYE's is stale."""
    daemon = daemon_at(trunk=TRUNK)
    write_secrets(daemon, tuple(Algorithm))
    daemon.start()
    [outside] = free_ports(1)
    checks = f"""
  if ($sp == {daemon.sip} && !is_method("ACK|CANCEL")) {{
    if (!pv_proxy_authenticate("trunk", "s3cret", "0")) {{
      proxy_challenge("trunk", "1"); exit;
    }}
    xlog("passes proven-$rm\\n");
    consume_credentials();
  }}"""
    async with (
        asyncio.timeout(25),
        our_phone(outside, CUSTOMER, CUSTOMER_HZ) as customer,
        our_phone(daemon.officers[0], "201", OFFICER_HZ) as officer,
        kamailio(
            tmp_path,
            port=daemon.caller,
            agent=daemon.sip,
            outside=f"sip:127.0.0.1:{outside}",
            more=(
                'loadmodule "auth.so"\n'
                'modparam("auth", "nonce_expire", 2)\n'
                'modparam("auth", "nonce_count", 1)\n'
                'modparam("auth", "nid_pool_no", 1)\n'
                f'modparam("auth", "algorithm", "{algorithm}")'
            ),
            checks=checks,
        ) as proxy,
    ):
        await officer.call(f"sip:{CUSTOMER}@127.0.0.1:{daemon.sip}")
        await customer.connected.wait()
        await daemon.logged("recording_begun")
        await asyncio.sleep(3)  # the nonce of the INVITE is stale by now
        officer.hang_up()
        await customer.ended.wait()
        await ended(daemon, "recorded", "officer-hangup")
        assert proxy.passed("proven-INVITE") == 1
        assert proxy.passed("proven-BYE") == 1
    assert daemon.log("credentials_refused") == []
