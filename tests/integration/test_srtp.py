"""Whole calls with SRTP over TLS on one side and plain RTP over UDP on the other."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from agent.cli.phone import Phone
from agent.formats.codecs.g711 import encode_alaw
from agent.formats.container import read_wav
from agent.model.media import SrtpPolicy, SrtpSuite
from tests.integration.conftest import tone
from tests.lab.daemon import SERVICE, Daemon
from tests.lab.parties import closed_row, tone_phone, until
from tests.lab.scenes import talk
from tests.lab.secure_phone import SecurePhone, SecureTrunk
from tests.patience import PATIENCE

pytestmark = pytest.mark.integration

CALLER, OFFICER = tone(1000, 30), tone(1700, 30)


@asynccontextmanager
async def started(*phones: Phone) -> AsyncIterator[None]:
    try:
        for phone in phones:
            await phone.start()
        yield
    finally:
        for phone in phones:
            await phone.close()
        await asyncio.sleep(0.01)


def officer_of(daemon: Daemon, *, answers: bool = True) -> Phone:
    officer = tone_phone(daemon.officers[0], "201", 1700)
    officer.answer_after = 0.05 if answers else None
    return officer


@asynccontextmanager
async def talking(
    daemon: Daemon, site: SecureTrunk
) -> AsyncIterator[tuple[SecurePhone, Phone]]:
    """An encrypted caller and a plain officer, who speak."""
    caller, officer = site.phone("0401234567", CALLER), officer_of(daemon)
    async with started(caller, officer):
        await caller.call(site.uri(SERVICE))
        await until(officer.connected)
        caller.speak()
        officer.speak()
        yield caller, officer


def heard(phone: Phone) -> bytes:
    return b"".join(one.packet.payload for one in phone.heard)


def leaks(root: Path, secrets: Iterable[bytes]) -> list[str]:
    """Files of a site, its logs and journals among them, that hold a secret."""
    forms = set(secrets)
    assert forms
    found = []
    for path in root.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            found += [path.name for form in forms if form in data]
    return found


@pytest.mark.parametrize("suite", list(SrtpSuite))
async def test_an_encrypted_caller_and_a_plain_officer_are_recorded_right(
    daemon_at: Callable[..., Daemon], suite: SrtpSuite
) -> None:
    daemon = daemon_at()
    site = SecureTrunk(daemon)
    daemon.start()
    caller = site.phone("0401234567", CALLER, suite=suite)
    officer = officer_of(daemon)
    async with started(caller, officer):
        await caller.call(site.uri(SERVICE))
        await until(officer.connected)
        caller.speak()
        officer.speak()
        await asyncio.sleep(1.5)
        # While the journal is being written, and once it is gone.
        assert list(daemon.spool.rglob("*.journal"))
        assert leaks(daemon.root, caller.secrets()) == []
        caller.hang_up()
        await until(officer.ended)
        await daemon.logged("stored")
    assert [keys.suite for keys in caller.keys] == [suite]
    assert caller.plain == caller.unauthentic == 0
    assert encode_alaw(tone(1700, 1.0)) in heard(caller)
    assert encode_alaw(tone(1000, 1.0)) in heard(officer)
    assert encode_alaw(tone(600, 0.4)) in heard(caller)
    [recording] = daemon.recordings()
    assert recording.manifest.outcome == "recorded"
    wav = read_wav(recording.wav)
    assert encode_alaw(tone(1000, 1.0)) in wav.samples[0::2]
    assert encode_alaw(tone(1700, 1.0)) in wav.samples[1::2]
    daemon.stop()
    assert leaks(daemon.root, caller.secrets()) == []


@pytest.mark.parametrize(
    ("daemons", "phones", "encrypted"),
    [
        ("require", SrtpPolicy.REQUIRE, True),
        ("require", SrtpPolicy.OFFER, True),
        ("offer", SrtpPolicy.OFFER, True),
        ("offer", SrtpPolicy.NEVER, False),
        ("never", SrtpPolicy.OFFER, False),
    ],
)
async def test_a_plain_officer_calls_out_over_an_encrypted_trunk(
    daemon_at: Callable[..., Daemon],
    daemons: str,
    phones: SrtpPolicy,
    *,
    encrypted: bool,
) -> None:
    daemon = daemon_at()
    site = SecureTrunk(daemon, srtp=daemons)
    daemon.start()
    customer = site.phone("customer", CALLER, srtp=phones, answer_after=0.05)
    officer = officer_of(daemon, answers=False)
    async with started(customer, officer):
        await officer.call(daemon.number("0409876543"))
        await talk(daemon, customer, officer)
        customer.hang_up()
        await until(officer.ended)
        await daemon.logged("stored")
    assert bool(customer.keys) is encrypted
    assert (customer.plain == 0) is encrypted
    assert customer.unauthentic == 0
    assert encode_alaw(tone(1700, 0.5)) in heard(customer)
    assert encode_alaw(tone(1000, 0.5)) in heard(officer)
    [recording] = daemon.recordings()
    wav = read_wav(recording.wav)
    assert encode_alaw(tone(1000, 0.5)) in wav.samples[0::2]
    assert encode_alaw(tone(1700, 0.5)) in wav.samples[1::2]
    if encrypted:
        assert leaks(daemon.root, customer.secrets()) == []


async def test_policies_without_common_ground_end_in_488(
    daemon_at: Callable[..., Daemon],
) -> None:
    daemon = daemon_at()
    site = SecureTrunk(daemon, srtp="require")
    daemon.start()
    caller = site.phone("0401234567", CALLER, srtp=SrtpPolicy.NEVER)
    async with started(caller):
        await caller.call(site.uri(SERVICE))
        await until(caller.ended)
    assert caller.status == 488
    assert "SRTP is required" in daemon.log("offer_unusable")[0]["reason"]
    assert (await closed_row(daemon)).outcome == "rejected"


async def test_a_dead_worker_costs_a_new_key_and_not_the_call(
    daemon_at: Callable[..., Daemon],
) -> None:
    daemon = daemon_at()
    site = SecureTrunk(daemon)
    daemon.start()
    async with talking(daemon, site) as (caller, officer):
        await asyncio.sleep(0.6)
        for pid in daemon.media_workers():
            os.kill(pid, signal.SIGKILL)
        await daemon.logged("media_worker_ready")
        async with asyncio.timeout(PATIENCE):
            while len(caller.keys) < 2:
                await asyncio.sleep(0.02)
        marks = len(caller.heard), len(officer.heard)
        await asyncio.sleep(0.8)
        assert await _talks(caller, marks[0], 1700)
        assert await _talks(officer, marks[1], 1000)
        caller.hang_up()
        await until(officer.ended)
        await daemon.logged("stored")
    old, new = caller.keys
    assert new.receive != old.receive
    assert new.send == old.send
    assert caller.unauthentic == caller.plain == 0
    assert not daemon.log("rekey_refused")
    assert (await closed_row(daemon)).outcome == "partial"
    assert leaks(daemon.root, caller.secrets()) == []


async def _talks(phone: Phone, since: int, frequency: float) -> bool:
    audio = b"".join(one.packet.payload for one in phone.heard[since:])
    return encode_alaw(tone(frequency, 0.2)) in audio


async def test_forgeries_into_an_encrypted_call_are_not_recorded(
    daemon_at: Callable[..., Daemon],
) -> None:
    daemon = daemon_at()
    site = SecureTrunk(daemon)
    daemon.start()
    async with talking(daemon, site) as (caller, officer):
        await asyncio.sleep(0.3)
        assert caller.audio is not None
        assert caller._rtp is not None
        agent = caller.audio.remote.host, caller.audio.remote.port
        forged = b"\x80\x08" + bytes(10) + encode_alaw(tone(2310, 0.02))
        for n in range(50):
            packet = forged[:2] + n.to_bytes(2, "big") + forged[4:]
            caller._rtp.sendto(packet, agent)
            caller._rtp.sendto(_wrong_key(caller, packet), agent)
            await asyncio.sleep(0.01)
        caller.hang_up()
        await until(officer.ended)
        await daemon.logged("stored")
    forgery = encode_alaw(tone(2310, 0.02))
    assert forgery not in heard(officer)
    [recording] = daemon.recordings()
    wav = read_wav(recording.wav)
    assert forgery not in wav.samples[0::2]
    assert encode_alaw(tone(1000, 0.6)) in wav.samples[0::2]


def _wrong_key(phone: SecurePhone, packet: bytes) -> bytes:
    (keys,) = phone.keys
    return phone._direction(keys.suite, bytes(len(keys.send))).protect(packet)
