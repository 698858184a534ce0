"""The main job on a real daemon, with phones of our own on real sockets."""

import asyncio
import itertools
from collections.abc import Callable

import pytest

from agent.cli.phone import Phone
from agent.formats.age import NoMatchError
from agent.formats.codecs.g711 import encode_alaw, encode_ulaw
from agent.formats.container import read_wav
from agent.model.media import Address
from tests.integration.conftest import tone
from tests.lab.daemon import CALLER, SERVICE, Daemon
from tests.lab.scenes import talk
from tests.patience import PATIENCE
from tests.ports import free_ports

pytestmark = pytest.mark.integration


def phone(port: int, user: str, frequency: float = 1000) -> Phone:
    [rtp] = free_ports(1)
    samples = tone(frequency, 30)
    return Phone(
        Address("127.0.0.1", port),
        rtp,
        user,
        speech={"PCMA": encode_alaw(samples), "PCMU": encode_ulaw(samples)},
    )


def customer_audio(caller: Phone, law: str = "PCMA") -> bytes:
    return b"".join(h.packet.payload for h in caller.heard)


async def test_a_call_is_announced_connected_recorded_and_stored(
    daemon_at: Callable[..., Daemon],
) -> None:
    notice = tone(600, 0.4)
    daemon = daemon_at(notice=notice).start()
    caller = phone(daemon.caller, CALLER, 1000)
    officer = phone(daemon.officers[0], "201", 1700)
    officer.answer_after = 0.3
    await caller.start()
    await officer.start()
    try:
        await caller.call(daemon.number())
        async with asyncio.timeout(PATIENCE):
            await officer.connected.wait()
            caller.speak()
            officer.speak()
            await asyncio.sleep(1.5)
            caller.hang_up()
            await officer.ended.wait()
            await daemon.logged("stored")
    finally:
        await caller.close()
        await officer.close()

    # The whole notice was sent, sample for sample, before the officer's answer.
    heard = [h for h in caller.heard if h.arrival_ns < officer.connected_ns]
    assert encode_alaw(notice) in b"".join(h.packet.payload for h in heard)
    # One sender towards the caller: one SSRC, no break in sequence or timestamp.
    packets = [h.packet for h in caller.heard]
    assert len({p.ssrc for p in packets}) == 1
    numbers = [p.sequence_number for p in packets]
    steps = {(b - a) % 65536 for a, b in itertools.pairwise(numbers)}
    assert steps == {1}

    [recording] = daemon.recordings()
    manifest = recording.manifest
    assert manifest.caller == "+358401234567"
    assert manifest.service == SERVICE
    assert [(o.number, o.name) for o in manifest.officers] == [("201", "Officer One")]
    assert manifest.outcome == "recorded"
    assert manifest.end_cause == "caller-hangup"
    assert [n.sent_ms for n in manifest.notices] == [400]
    wav = read_wav(recording.wav)
    assert wav.channels == 2
    assert encode_alaw(tone(1000, 1.0)) in wav.samples[0::2]
    assert encode_alaw(tone(1700, 1.0)) in wav.samples[1::2]
    assert abs(len(wav.samples) / 16000 - 1.5) < 0.2
    [row] = daemon.rows()
    assert row.outcome == "recorded"
    # The officer's own key opens it, another officer's does not.
    assert [r.id for r in daemon.recordings("officer-201")] == [recording.id]
    with pytest.raises(NoMatchError):
        list(daemon.recordings("officer-202"))
    daemon.stop()
    text = daemon.log_path.read_text()
    assert "401234567" not in text
    assert "Officer One" not in text


async def test_officers_calls_are_announced_to_both_and_recorded(
    daemon_at: Callable[..., Daemon],
) -> None:
    notice = tone(600, 0.4)
    daemon = daemon_at(notice=notice).start()
    officer = phone(daemon.officers[0], "201", 1700)
    customer = phone(daemon.caller, "customer", 1000)
    customer.answer_after = 0.2
    await customer.start()
    await officer.start()
    try:
        await officer.call(daemon.number("0409876543"))
        async with asyncio.timeout(PATIENCE):
            await officer.connected.wait()
            await talk(daemon, customer, officer, seconds=1.0)
            customer.hang_up()
            await officer.ended.wait()
            await daemon.logged("stored")
    finally:
        await customer.close()
        await officer.close()
    for party in (customer, officer):
        assert encode_alaw(notice) in customer_audio(party)
    [recording] = daemon.recordings()
    assert recording.manifest.direction == "outbound"
    assert recording.manifest.caller == "+358409876543"
    assert recording.manifest.end_cause == "customer-hangup"
    assert [o.name for o in recording.manifest.officers] == ["Officer One"]
    wav = read_wav(recording.wav)
    assert encode_alaw(tone(1000, 0.5)) in wav.samples[0::2]
    assert encode_alaw(tone(1700, 0.5)) in wav.samples[1::2]
    assert daemon.rows()[0].outcome == "recorded"


async def test_hanging_up_in_the_notice_stores_nothing(
    daemon_at: Callable[..., Daemon],
) -> None:
    daemon = daemon_at(notice=tone(600, 3.0)).start()
    caller = phone(daemon.caller, CALLER)
    await caller.start()
    try:
        await caller.call(daemon.number())
        async with asyncio.timeout(PATIENCE):
            await caller.connected.wait()
            await asyncio.sleep(0.5)
            caller.hang_up()
            ended = await daemon.logged("ended")
    finally:
        await caller.close()
    assert ended["outcome"] == "abandoned"
    daemon.stop()
    assert daemon.stored(".age") == {}
    assert list((daemon.spool / "journal").iterdir()) == []
    assert list((daemon.spool / "keys").iterdir()) == []
