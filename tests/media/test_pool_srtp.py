"""Encrypted legs in a true worker process, judged by an SRTP that is not libsrtp's."""

import base64
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.formats.rtp.rtcp import Bye, ReceiverReport, parse_compound
from agent.media.events import (
    KeysSpent,
    LegClosed,
    MediaRejected,
    RecordingClosed,
    WorkerReady,
)
from agent.model.media import Direction as Way, SrtpSuite
from tests.media.pairs import continuous, packets, talk
from tests.media.phones import Phone, Site, audio_bytes
from tests.media.secure_phone import SecurePhone, new_key


@pytest.fixture(params=list(SrtpSuite))
def customer(request: pytest.FixtureRequest) -> Iterator[SecurePhone]:
    with SecurePhone(suite=request.param, ssrc=0xC0, seed=10) as phone:
        yield phone


@pytest.fixture
def other() -> Iterator[SecurePhone]:
    with SecurePhone(ssrc=0x0E, seed=20, mux=True) as phone:
        yield phone


def holds_a_key(directory: Path, *phones: SecurePhone) -> list[str]:
    """Files that hold a phone's key, raw, in base64 or in hexadecimal."""
    forms = [
        form
        for phone in phones
        for key in (phone.key, phone.agents_key)
        for form in (
            key,
            key[:16],
            base64.b64encode(key)[:20],
            key.hex().encode()[:32],
        )
    ]
    files = [path for path in directory.rglob("*") if path.is_file()]
    assert files
    return [
        path.name for path in files if any(form in path.read_bytes() for form in forms)
    ]


async def test_encrypted_to_plain_and_back_is_recorded_in_the_clear(
    running: Site, customer: SecurePhone, officer: Phone, tmp_path: Path
) -> None:
    await talk(running, customer, officer)
    recording = await running.record(("c", "o"))
    said = [customer.say(audio_bytes(n)) for n in range(20)]
    answered = [officer.say(audio_bytes(50 + n)) for n in range(20)]
    heard = await officer.hear_many(20), await customer.hear_many(20)
    assert [one.payload for one in heard[0]] == [packet[12:] for packet in said]
    assert [one.payload for one in heard[1]] == [packet[12:] for packet in answered]
    assert continuous(heard[0])
    assert continuous(heard[1])
    assert customer.unauthentic == 0
    running.pool.stop_recording(recording, b'{"type":"end"}')
    await running.event(RecordingClosed)
    journal = running.journal(recording)
    assert packets(journal, 0) == said
    assert packets(journal, 1) == answered
    assert holds_a_key(tmp_path, customer) == []


async def test_two_encrypted_legs_under_keys_of_their_own(
    running: Site, customer: SecurePhone, other: SecurePhone, tmp_path: Path
) -> None:
    await talk(running, customer, other)
    recording = await running.record(("c", "o"))
    said = [customer.say(audio_bytes(n)) for n in range(5)]
    assert [x.payload for x in await other.hear_many(5)] == [p[12:] for p in said]
    answered = [other.say(audio_bytes(n)) for n in range(5)]
    heard = await customer.hear_many(5)
    assert [x.payload for x in heard] == [p[12:] for p in answered]
    assert customer.unauthentic == other.unauthentic == 0
    running.pool.stop_recording(recording, b'{"type":"end"}')
    await running.event(RecordingClosed)
    assert packets(running.journal(recording), 1) == answered
    assert holds_a_key(tmp_path, customer, other) == []


async def test_forged_packets_are_counted_and_never_recorded(
    running: Site, officer: Phone
) -> None:
    with SecurePhone() as customer, SecurePhone(seed=40) as stranger:
        await talk(running, customer, officer)
        recording = await running.record(("c", "o"))
        good = customer.sealed(customer.next_packet(b"good"))
        stranger.ssrc, stranger.sequence = customer.ssrc, customer.sequence
        for data in (
            stranger.sealed(stranger.next_packet(b"wrong key")),
            stranger.next_packet(b"plain"),
            good[:-1] + bytes([good[-1] ^ 1]),
            good,
            good,
        ):
            customer.send(data)
        assert (await officer.hear()).payload == b"good"
        await running.settle()
        running.pool.stop_recording(recording, b'{"type":"end"}')
        await running.event(RecordingClosed)
        assert [p[12:] for p in packets(running.journal(recording), 0)] == [b"good"]
        running.pool.close_leg("c")
        closed = await running.event(LegClosed)
    assert closed.stats.unauthenticated == 3
    assert closed.stats.replayed == 1
    assert officer.heard() == []


async def test_a_peer_that_means_another_key_is_told_of(
    running: Site, officer: Phone
) -> None:
    with SecurePhone() as customer:
        await running.connect("call", "c", customer)
        await running.connect("call", "o", officer)
        customer.rekey(key=new_key(5))
        for n in range(60):
            customer.say(audio_bytes(n))
        rejected = await running.event(MediaRejected)
        assert rejected.leg == "c"
        assert rejected.packets >= 50


async def test_a_dead_workers_key_sends_no_more(
    running: Site, officer: Phone, tmp_path: Path
) -> None:
    with SecurePhone(ssrc=0xC0, seed=10) as customer:
        # The peer's stream has wrapped: the successor must find its place in it.
        customer.sequence = 0xFFF0
        await talk(running, customer, officer)
        before = []
        for n in range(40):
            customer.say(audio_bytes(n))
            officer.say(audio_bytes(n))
            before.append((await customer.hear()).ssrc)
            await officer.hear()
        recording = await running.record(("c", "o"))
        (pid,) = running.pool.worker_pids
        os.kill(pid, signal.SIGKILL)
        await running.event(WorkerReady)
        assert (await running.event(KeysSpent)).leg == "c"
        await running.settle()
        said = [customer.say(audio_bytes(100 + n)) for n in range(3)]
        heard = await officer.hear_many(3)
        assert [x.payload for x in heard] == [packet[12:] for packet in said]
        officer.say(b"one")
        officer.say(b"two, by which the officer is believed")
        await running.settle()
        assert customer.heard() == []
        assert customer.unauthentic == 0
        customer.rekey(agents_key=new_key(99))
        running.pool.configure("c", customer.negotiated())
        await running.settle()
        officer.say(b"under the new key")
        # On a busy machine the packets before it may be as late as it is.
        while (heard_again := await customer.hear()).payload != b"under the new key":
            pass
        assert heard_again.ssrc not in before
        running.pool.stop_recording(recording, b'{"type":"end"}')
        await running.event(RecordingClosed)
        assert said[-1] in packets(running.journal(recording, 1), 0)
        assert holds_a_key(tmp_path, customer) == []


async def test_a_leg_that_only_reports_reports_on_after_its_workers_death(
    running: Site,
) -> None:
    with SecurePhone() as client:
        client.agent = await running.pool.open_leg("call", "s1", mute=True)
        client.before_sending = running.pool.flush
        running.pool.configure("s1", client.negotiated(direction=Way.RECVONLY))
        await running.settle()
        os.kill(running.pool.worker_pids[0], signal.SIGKILL)
        await running.event(WorkerReady)
        client.say(b"one")
        client.say(b"two")
        await running.settle()
        running.pool.close_leg("s1")
        await running.event(LegClosed)
        report = client.inward.unprotect_rtcp(await client.hear_rtcp())
    first, *_, bye = parse_compound(report)
    assert isinstance(first, ReceiverReport)
    assert [block.ssrc for block in first.reports] == [client.ssrc]
    assert bye == Bye((first.ssrc,))
    assert running.told(KeysSpent) == []


async def test_what_a_dead_worker_has_heard_is_not_heard_again(
    running: Site, officer: Phone
) -> None:
    with SecurePhone(ssrc=0xC0, seed=10) as customer:
        await talk(running, customer, officer)
        recording = await running.record(("c", "o"))
        overheard, said = [], []
        for n in range(10):
            said.append(customer.next_packet(audio_bytes(n)))
            overheard.append(customer.sealed(said[-1]))
            customer.send(overheard[-1])
            await officer.hear()
        await running.settle()
        os.kill(running.pool.worker_pids[0], signal.SIGKILL)
        await running.event(WorkerReady)
        # Whoever listened in is faster than the customer.
        for data in overheard:
            customer.send(data)
        await running.settle()
        assert officer.heard() == []
        said += [customer.say(audio_bytes(100 + n)) for n in range(3)]
        heard = await officer.hear_many(3)
        assert [one.payload for one in heard] == [packet[12:] for packet in said[-3:]]
        for data in overheard:
            customer.send(data)
        await running.settle()
        assert officer.heard() == []
        running.pool.stop_recording(recording, b'{"type":"end"}')
        await running.event(RecordingClosed)
        journals = [running.journal(recording, epoch) for epoch in (0, 1)]
        assert [p for journal in journals for p in packets(journal, 0)] == said
        running.pool.close_leg("c")
        closed = await running.event(LegClosed)
        assert closed.stats.replayed == 20


async def test_no_context_begins_again_under_a_key_whose_count_has_wrapped(
    running: Site, other: SecurePhone
) -> None:
    with SecurePhone(ssrc=0xC0, seed=10) as customer:
        await talk(running, customer, other)
        before = set()
        # As far as a receiver follows: both ways, theirs and ours go round once.
        for n in range(30):
            for speaker, listener in ((customer, other), (other, customer)):
                speaker.sequence += 2900
                speaker.say(audio_bytes(n))
                before.add((await listener.hear()).ssrc)
        assert customer.unauthentic == other.unauthentic == 0
        assert customer.rollovers_heard >= 1 <= other.rollovers_heard
        (pid,) = running.pool.worker_pids
        os.kill(pid, signal.SIGKILL)
        await running.event(WorkerReady)
        assert {(await running.event(KeysSpent)).leg for _ in "co"} == {"c", "o"}
        await running.settle()
        # Whatever they say is taken, and nothing goes out under the old keys.
        for n in range(3):
            customer.say(audio_bytes(n))
            other.say(audio_bytes(n))
        await running.settle()
        assert customer.heard() == other.heard() == []
        assert customer.unauthentic == other.unauthentic == 0
        for leg, phone, seed in (("c", customer, 98), ("o", other, 99)):
            phone.rekey(agents_key=new_key(seed))
            running.pool.configure(leg, phone.negotiated())
        await running.settle()
        for speaker, listener in ((customer, other), (other, customer)):
            speaker.say(b"under the new key")
            heard = await listener.hear()
            assert heard.payload == b"under the new key"
            assert heard.ssrc not in before
        for leg in "co":
            running.pool.close_leg(leg)
            stats = (
                await running.event(LegClosed, lambda e, leg=leg: e.leg == leg)
            ).stats
            assert stats.unauthenticated == 0
