"""Passwords both ways: sipp as a phone that we challenge, and as a trunk that does."""

import asyncio
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.signalling.phones import PhoneLine, format_phones
from agent.signalling.sip.digest import (
    Algorithm,
    digest_response,
    hash_password,
    parse_authorization,
)
from tests.lab.calls import ended
from tests.lab.daemon import Daemon
from tests.lab.sipp import Sipp
from tests.ports import free_ports

pytestmark = pytest.mark.integration
proves = pytest.mark.interop

CUSTOMER = "0409876543"
PHONES = 'phones_file = "phones.csv"'
TRUNK = 'username = "agent"\npassword_file = "trunk.password"'


def site(daemon_at: Callable[..., Daemon], **options: str) -> Daemon:
    """A daemon whose phones have passwords; the trunk's is `s3cret`."""
    daemon = daemon_at(**({"phones": PHONES} | options))
    lines = [
        # sipp 3.6 knows MD5 alone.
        PhoneLine(
            user,
            "agency",
            Algorithm.MD5,
            hash_password(Algorithm.MD5, user, "agency", f"word-{user}"),
        )
        for user in ("201", "202")
    ]
    for name, text in (
        ("phones.csv", format_phones(lines)),
        ("trunk.password", "s3cret\n"),
    ):
        path = daemon.root / name
        path.write_text(text)
        path.chmod(0o600)
    return daemon.start()


def officer(
    daemon: Daemon,
    root: Path,
    scenario: str,
    login: tuple[str, str] = ("201", "word-201"),
    **options: str,
) -> Sipp:
    return Sipp(
        root,
        scenario,
        port=daemon.officers[0],
        remote=daemon.sip,
        **({"service": CUSTOMER, "user": "201"} | options),  # type: ignore[arg-type]
        login=login,
        pause=1.0,
    )


def credentials(messages: str, name: str, method: str) -> list[tuple[int, bool]]:
    """Of each request to sipp with credentials, its CSeq and whether they are right."""
    found = []
    for request in re.findall(rf"(?ms)^{method} sip:.*?\r?\n\r?\n", messages):
        value = re.search(rf"(?m)^{name}: (.*?)\r?$", request)
        number = re.search(r"(?m)^CSeq: (\d+)", request)
        assert number is not None
        if value is not None:
            parsed = parse_authorization(value[1])
            assert parsed is not None
            ha1 = hash_password(Algorithm.MD5, "agent", "trunk", "s3cret")
            # An ACK repeats the INVITE's (RFC 3261 section 22.1).
            hashed = "INVITE" if method == "ACK" else method
            right = parsed.response == digest_response(ha1, parsed, hashed)
            found.append((int(number[1]), right))
    return found


@proves("sipp", "as an officer: proves who it is (MD5)")
@proves("sipp", "as the trunk: challenges INVITE, re-INVITE and BYE (401, 407)")
async def test_a_phone_and_a_trunk_both_with_passwords(
    daemon_at: Callable[..., Daemon], tmp_path: Path
) -> None:
    """The officer's INVITE and re-INVITE are challenged by us.

    Ours to the trunk is challenged by it with 401, our re-INVITE and our BYE with 407
    as a proxy would.
    """
    daemon = site(daemon_at, trunk=TRUNK)
    with (
        Sipp(tmp_path, "trunk-challenges", port=daemon.caller) as trunk,
        officer(daemon, tmp_path, "phone-authenticates") as phone,
    ):
        await phone.succeeds()
        await trunk.succeeds()
    await ended(daemon, "recorded", "officer-hangup")
    invites = credentials(trunk.messages, "Authorization", "INVITE")
    assert [right for _, right in invites] == [True] * 3
    assert [number - invites[0][0] for number, _ in invites] == [0, 1, 2]
    for method, count in (("INVITE", 1), ("BYE", 2), ("ACK", 1)):
        proven = credentials(trunk.messages, "Proxy-Authorization", method)
        assert [right for _, right in proven] == [True] * count
    assert daemon.log("password_refused") == []
    text = daemon.log_path.read_text()
    for secret in ("s3cret", "word-201", "agency"):
        assert secret not in text


@proves("sipp", "as an officer: a wrong password gets no call")
async def test_a_wrong_password_gets_no_call(
    daemon_at: Callable[..., Daemon], tmp_path: Path
) -> None:
    daemon = site(daemon_at)
    with officer(daemon, tmp_path, "phone-gets-401", ("201", "wrong")) as phone:
        await phone.succeeds()
    await daemon.logged("password_refused")
    assert daemon.rows() == []


@proves("sipp", "as an officer: cannot call as another")
async def test_an_officer_cannot_call_as_another(
    daemon_at: Callable[..., Daemon], tmp_path: Path
) -> None:
    daemon = site(daemon_at)
    with officer(daemon, tmp_path, "phone-gets-403", user="202") as phone:
        await phone.succeeds()
    await daemon.logged("identity_refused")
    assert daemon.rows() == []


@proves("sipp", "as an officer: 112 needs no password")
async def test_an_emergency_call_needs_no_password(
    daemon_at: Callable[..., Daemon], tmp_path: Path
) -> None:
    """From a phone that knows none: the scenario of a plain call."""
    daemon = site(daemon_at)
    with (
        Sipp(tmp_path, "officer-answers", port=daemon.caller) as trunk,
        officer(daemon, tmp_path, "caller-hangs-up", service="112") as phone,
    ):
        await phone.succeeds()
        await trunk.succeeds()
    await ended(daemon, "exempt", "officer-hangup")
    assert "401 Unauthorized" not in phone.messages


@proves("sipp", "as the trunk: registers us (401, 423, renewal, end)")
async def test_a_registration_is_made_renewed_and_taken_back(
    daemon_at: Callable[..., Daemon], tmp_path: Path
) -> None:
    """A 401, a 423, eight seconds, then half an hour; and the end."""
    [caller] = free_ports(1)
    with Sipp(tmp_path, "registrar", port=caller, timeout=30) as registrar:
        daemon = site(
            daemon_at,
            trunk=f"{TRUNK}\nregister = true\nregister_expires = 600",
            caller=caller,  # type: ignore[arg-type]
        )
        await daemon.logged("registered")
        while len(re.findall(r"(?m)^REGISTER ", registrar.messages)) < 4:
            await asyncio.sleep(0.1)
        daemon.stop()
        await registrar.succeeds()
    requests = re.findall(r"(?ms)^REGISTER sip:.*?\r?\n\r?\n", registrar.messages)
    expires = [re.search(r"(?m)^Expires: (\d+)", one) for one in requests]
    assert [one[1] for one in expires if one] == ["600", "600", "1800", "1800", "0"]
    numbers = credentials(registrar.messages, "Authorization", "REGISTER")
    assert [right for _, right in numbers] == [True] * 4
    assert [number for number, _ in numbers] == [2, 3, 4, 5]
    assert len(daemon.log("registered")) == 1
    assert daemon.log("registration_failed") == []
    assert "agent@" not in daemon.log_path.read_text()
