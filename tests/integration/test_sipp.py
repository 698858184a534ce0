"""Calls with sipp as the trunk and as officers, on a real daemon."""

import asyncio
import re
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest

from agent.cli.phone import Phone
from agent.formats.codecs.g711 import (
    decode_alaw,
    decode_ulaw,
    encode_alaw,
    encode_ulaw,
)
from agent.formats.container import SampleFormat, read_wav
from agent.formats.rtp.packet import RtpPacket, parse_rtp
from agent.model.media import PCMA, PCMU, Address
from agent.recording.ledger import LedgerRow
from agent.signalling.offer_answer import OfferAnswer
from agent.signalling.sip import core as sip
from tests.integration.conftest import tone
from tests.lab.daemon import CALLER, SERVICE, Daemon, Recording, free_ports
from tests.lab.sipp import Sipp

pytestmark = pytest.mark.integration

CUSTOMER = "+358401234567"


P = TypeVar("P", bound=Phone)


def phone(port: int, user: str, frequency: float, kind: type[P] = Phone) -> P:
    samples = tone(frequency, 30)
    return kind(
        Address("127.0.0.1", port),
        free_ports(1)[0],
        user,
        answer_after=0.2,
        speech={"PCMA": encode_alaw(samples), "PCMU": encode_ulaw(samples)},
    )


class TalkativePhone(Phone):
    """A phone that goes on sending while it is held."""

    def _on_sip(self, event: sip.Event) -> None:
        agreed = self.audio
        super()._on_sip(event)
        if isinstance(event, sip.OfferReceived):
            self.audio = agreed


@asynccontextmanager
async def talking(daemon: Daemon, caller: Phone, officer: Phone) -> AsyncIterator[None]:
    """A call between two phones of our own, both speaking; the caller hangs up."""
    await caller.start()
    await officer.start()
    try:
        async with asyncio.timeout(15):
            await caller.call(f"sip:{SERVICE}@127.0.0.1:{daemon.sip}")
            await officer.connected.wait()
            await daemon.logged("recording_begun")
            caller.speak()
            officer.speak()
            yield
            caller.hang_up()
            await officer.ended.wait()
    finally:
        await caller.close()
        await officer.close()


def heard(party: Phone) -> bytes:
    return b"".join(h.packet.payload for h in party.heard)


def frames(pcm16: bytes) -> list[memoryview]:
    """20 ms of samples each."""
    samples = memoryview(pcm16).cast("h")
    return [samples[i : i + 160] for i in range(0, len(samples), 160)]


def channel(recording: Recording, index: int) -> bytes:
    """One channel's samples, as the container has them."""
    wav = read_wav(recording.wav)
    if wav.format == SampleFormat.PCM16:
        pairs = memoryview(wav.samples).cast("h")
        return bytes(pairs[index::2].tobytes())
    return wav.samples[index::2]


async def ended(daemon: Daemon, outcome: str, cause: str | None = "") -> LedgerRow:
    """The only call's ledger row, which its log line must agree with."""
    line = await daemon.logged("ended")
    assert line["outcome"] == outcome
    async with asyncio.timeout(10):
        while (row := daemon.rows()[0]).outcome is None:
            await asyncio.sleep(0.02)
    assert len(daemon.rows()) == len(daemon.log("ended")) == 1
    assert (row.call_id, row.outcome) == (line["call_id"], outcome)
    assert row.cause == (line["cause"] or "") == (cause or "")
    assert row.sip_status == line["sip_status"]
    assert not daemon.log("call_failed") + daemon.log("task_failed")
    return row


async def recorded(daemon: Daemon, cause: str, *, officer: str = "201") -> Recording:
    """The only recording of the only call; its tags are checked."""
    row = await ended(daemon, "recorded", cause)
    await daemon.logged("stored")
    [recording] = daemon.recordings()
    manifest = recording.manifest
    assert [r.recording_id for r in row.recordings] == [recording.id]
    assert manifest.outcome == "recorded"
    assert manifest.end_cause == cause
    assert manifest.service == SERVICE
    assert [o.number for o in manifest.officers] == [officer]
    assert [n.sent_ms for n in manifest.notices] == [400]
    return recording


# -- who hangs up ---------------------------------------------------------------


async def test_the_caller_hangs_up(
    daemon_at: Callable[..., Daemon], tmp_path: Path
) -> None:
    daemon = daemon_at().start()
    with (
        Sipp(tmp_path, "officer-answers", port=daemon.officers[0]) as officer,
        Sipp(
            tmp_path,
            "caller-hangs-up",
            port=daemon.caller,
            remote=daemon.sip,
            pause=1.5,
        ) as caller,
    ):
        await caller.succeeds()
        await officer.succeeds()
    recording = await recorded(daemon, "caller-hangup")
    assert recording.manifest.caller == CUSTOMER
    assert recording.manifest.direction == "inbound"


async def test_the_officer_hangs_up(
    daemon_at: Callable[..., Daemon], tmp_path: Path
) -> None:
    daemon = daemon_at().start()
    with (
        Sipp(tmp_path, "officer-hangs-up", port=daemon.officers[0]) as officer,
        Sipp(tmp_path, "caller-waits", port=daemon.caller, remote=daemon.sip) as caller,
    ):
        await officer.succeeds()
        await caller.succeeds()
        assert re.search(r"(?m)^Reason: Q\.850;cause=16", caller.messages)
    await recorded(daemon, "officer-hangup")


# -- hunting --------------------------------------------------------------------


async def test_a_busy_officer_is_passed_over(
    daemon_at: Callable[..., Daemon], tmp_path: Path
) -> None:
    daemon = daemon_at().start()
    with (
        Sipp(tmp_path, "officer-is-busy", port=daemon.officers[0]) as busy,
        Sipp(tmp_path, "officer-answers", port=daemon.officers[1]) as second,
        Sipp(
            tmp_path,
            "caller-hangs-up",
            port=daemon.caller,
            remote=daemon.sip,
            pause=1.5,
        ) as caller,
    ):
        await caller.succeeds()
        await busy.succeeds()
        await second.succeeds()
    await recorded(daemon, "caller-hangup", officer="202")


async def test_nobody_answers_not_even_the_overflow(
    daemon_at: Callable[..., Daemon], tmp_path: Path
) -> None:
    [overflow] = free_ports(1)
    daemon = daemon_at(
        route="ring_timeout = 0.6\nbusy_tone = 1.0\n"
        f'overflow = "sip:300@127.0.0.1:{overflow}"'
    ).start()
    ports = (*daemon.officers, overflow)
    caller = phone(daemon.caller, CALLER, 1000)
    await caller.start()
    targets = [Sipp(tmp_path, "officer-does-not-answer", port=p) for p in ports]
    try:
        with targets[0], targets[1], targets[2]:
            await caller.call(f"sip:{SERVICE}@127.0.0.1:{daemon.sip}")
            async with asyncio.timeout(15):
                await caller.ended.wait()
            for target in targets:
                await target.succeeds()
                assert re.search(
                    r"(?m)^CANCEL sip:.*\n(?s:.*?)^Reason: Q\.850;cause=19",
                    target.messages,
                )
    finally:
        await caller.close()
    row = await ended(daemon, "unanswered")
    assert row.sip_status == 480
    assert row.recordings == []
    assert daemon.stored(".wav.age") == {}
    # The last second was the busy tone, 0.3 s on and 0.3 s off, after the ringback.
    audio = decode_alaw(heard(caller))
    loud = [max(abs(v) for v in f) > 500 for f in frames(audio)]
    assert loud[-45:].count(True) in range(18, 32)
    runs = [len(list(run)) for on, run in groupby(loud[-45:]) if not on]
    assert 15 in runs


async def test_a_caller_nobody_answers_is_told_why(
    daemon_at: Callable[..., Daemon], tmp_path: Path
) -> None:
    daemon = daemon_at(route="busy_tone = 0.3").start()
    with (
        Sipp(tmp_path, "officer-is-busy", port=daemon.officers[0]) as first,
        Sipp(tmp_path, "officer-is-busy", port=daemon.officers[1]) as second,
        Sipp(tmp_path, "caller-waits", port=daemon.caller, remote=daemon.sip) as caller,
    ):
        await caller.succeeds()
        await first.succeeds()
        await second.succeeds()
        assert re.search(r"(?m)^Reason: Q\.850;cause=17", caller.messages)
    row = await ended(daemon, "unanswered")
    assert row.sip_status == 486


async def test_the_overflow_answers(
    daemon_at: Callable[..., Daemon], tmp_path: Path
) -> None:
    [overflow] = free_ports(1)
    daemon = daemon_at(
        route=f'ring_timeout = 0.5\noverflow = "sip:300@127.0.0.1:{overflow}"'
    ).start()
    with (
        Sipp(tmp_path, "officer-does-not-answer", port=daemon.officers[0]) as first,
        Sipp(tmp_path, "officer-is-busy", port=daemon.officers[1]) as second,
        Sipp(tmp_path, "officer-answers", port=overflow) as third,
        Sipp(
            tmp_path,
            "caller-hangs-up",
            port=daemon.caller,
            remote=daemon.sip,
            pause=2.5,
        ) as caller,
    ):
        await caller.succeeds()
        for officer in (first, second, third):
            await officer.succeeds()
    recording = await recorded(daemon, "caller-hangup", officer="300")
    assert recording.manifest.officers[0].name == ""


# -- calls that do not come about -------------------------------------------------


async def test_an_officer_cancels_an_outgoing_call(
    daemon_at: Callable[..., Daemon], tmp_path: Path
) -> None:
    daemon = daemon_at().start()
    with (
        Sipp(tmp_path, "officer-does-not-answer", port=daemon.caller) as customer,
        Sipp(
            tmp_path,
            "caller-cancels",
            port=daemon.officers[0],
            remote=daemon.sip,
            service="0409876543",
            user="201",
        ) as officer,
    ):
        await officer.succeeds()
        await customer.succeeds()
    row = await ended(daemon, "abandoned", "caller-hangup")
    assert (row.route, row.direction) == ("out", "outbound")


async def test_an_outgoing_call_to_a_busy_customer(
    daemon_at: Callable[..., Daemon], tmp_path: Path
) -> None:
    daemon = daemon_at().start()
    with (
        Sipp(tmp_path, "officer-is-busy", port=daemon.caller) as customer,
        Sipp(
            tmp_path,
            "caller-gets-486",
            port=daemon.officers[0],
            remote=daemon.sip,
            service="0409876543",
            user="201",
        ) as officer,
    ):
        await officer.succeeds()
        await customer.succeeds()
    assert (await ended(daemon, "unanswered")).sip_status == 486


async def test_no_common_codec(
    daemon_at: Callable[..., Daemon], tmp_path: Path
) -> None:
    daemon = daemon_at().start()
    with Sipp(
        tmp_path,
        "caller-gets-488",
        port=daemon.caller,
        remote=daemon.sip,
        payloads="18 101",
    ) as caller:
        await caller.succeeds()
    assert (await ended(daemon, "rejected", "error")).sip_status == 488


async def test_no_route(daemon_at: Callable[..., Daemon], tmp_path: Path) -> None:
    daemon = daemon_at().start()
    with Sipp(
        tmp_path,
        "caller-gets-404",
        port=daemon.caller,
        remote=daemon.sip,
        service="0295999999",
    ) as caller:
        await caller.succeeds()
    assert daemon.log("no_route")[0]["peer"] == "trunk"
    assert daemon.rows() == []


async def test_strangers_are_refused_and_soon_ignored(
    daemon_at: Callable[..., Daemon], tmp_path: Path
) -> None:
    daemon = daemon_at().start()
    [port] = free_ports(1)
    with Sipp(tmp_path, "caller-gets-403", port=port, remote=daemon.sip) as stranger:
        await stranger.succeeds()
    assert len(daemon.log("stranger_refused")) == 1

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flood:
        flood.bind(("127.0.0.1", 0))
        flood.settimeout(0.5)
        source = flood.getsockname()[1]
        sent = 0
        for index in range(1000):
            request = _stranger_invite(index, source)
            sent += len(request)
            flood.sendto(request, ("127.0.0.1", daemon.sip))
        answers: list[bytes] = []
        while True:
            try:
                answers.append(flood.recv(65536))
            except TimeoutError:
                break
    assert 0 < len(answers) < 50
    assert all(answer.startswith(b"SIP/2.0 403 ") for answer in answers)
    assert sum(map(len, answers)) < sent / 10
    assert daemon.rows() == []

    # The peers never notice.
    with (
        Sipp(tmp_path, "officer-answers", port=daemon.officers[0]) as officer,
        Sipp(
            tmp_path,
            "caller-hangs-up",
            port=daemon.caller,
            remote=daemon.sip,
            pause=1.5,
        ) as caller,
    ):
        await caller.succeeds()
        await officer.succeeds()
    await recorded(daemon, "caller-hangup")


def _stranger_invite(index: int, port: int) -> bytes:
    lines = (
        f"INVITE sip:{SERVICE}@127.0.0.1 SIP/2.0",
        f"Via: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK-{index}",
        f"From: <sip:1@127.0.0.1>;tag={index}",
        f"To: <sip:{SERVICE}@127.0.0.1>",
        f"Call-ID: {index}@127.0.0.1",
        "CSeq: 1 INVITE",
        f"Contact: <sip:1@127.0.0.1:{port}>",
        "Max-Forwards: 70",
        "Content-Length: 0",
        "",
        "",
    )
    return "\r\n".join(lines).encode()


# -- what is offered and who is shown -----------------------------------------------


async def test_options_are_answered(
    daemon_at: Callable[..., Daemon], tmp_path: Path
) -> None:
    daemon = daemon_at().start()
    with Sipp(tmp_path, "caller-asks", port=daemon.caller, remote=daemon.sip) as caller:
        await caller.succeeds()
    assert daemon.rows() == []


async def test_video_and_fax_are_turned_down(
    daemon_at: Callable[..., Daemon], tmp_path: Path
) -> None:
    daemon = daemon_at().start()
    with (
        Sipp(tmp_path, "officer-answers", port=daemon.officers[0]) as officer,
        Sipp(
            tmp_path,
            "caller-with-video",
            port=daemon.caller,
            remote=daemon.sip,
            pause=1.5,
        ) as caller,
    ):
        await caller.succeeds()
        await officer.succeeds()
        assert "m=video" not in officer.messages
        assert "m=image" not in officer.messages
    await recorded(daemon, "caller-hangup")


@pytest.mark.parametrize(
    ("asserted", "privacy", "tag"),
    [("0509876543", "none", "+358509876543"), ("0509876543", "id", "withheld")],
)
async def test_the_caller_is_who_the_trunk_asserts(
    daemon_at: Callable[..., Daemon],
    tmp_path: Path,
    asserted: str,
    privacy: str,
    tag: str,
) -> None:
    daemon = daemon_at().start()
    with (
        Sipp(tmp_path, "officer-answers", port=daemon.officers[0]) as officer,
        Sipp(
            tmp_path,
            "caller-hangs-up",
            port=daemon.caller,
            remote=daemon.sip,
            asserted=asserted,
            privacy=privacy,
            pause=1.5,
        ) as caller,
    ):
        await caller.succeeds()
        await officer.succeeds()
    assert (await recorded(daemon, "caller-hangup")).manifest.caller == tag
    daemon.stop()
    assert "509876543" not in daemon.log_path.read_text()


# -- media --------------------------------------------------------------------------


async def test_two_laws_in_one_call(
    daemon_at: Callable[..., Daemon], tmp_path: Path
) -> None:
    daemon = daemon_at().start()
    officer = phone(daemon.officers[0], "201", 1700)
    await officer.start()
    try:
        with Sipp(
            tmp_path,
            "caller-hangs-up",
            port=daemon.caller,
            remote=daemon.sip,
            payloads="0 101",
            pause=2.5,
        ) as caller:
            async with asyncio.timeout(10):
                await officer.connected.wait()
            assert officer.audio is not None
            # It was offered the caller's law first, and chose the other.
            assert officer.audio.codec.name == "PCMA"
            await caller.succeeds()
    finally:
        await officer.close()
    recording = await recorded(daemon, "caller-hangup")
    # sipp sent no audio: what was heard is A-law alone.
    assert recording.manifest.audio.format == "wav-alaw"


class OneLawPhone(Phone):
    """A phone that knows one law only."""

    law = PCMU

    def _new_negotiation(self) -> OfferAnswer:
        return OfferAnswer(
            address=Address(self.address.host, self.rtp_port),
            session_id=1,
            codecs=(self.law,),
        )


async def test_each_party_hears_its_own_law(
    daemon_at: Callable[..., Daemon],
) -> None:
    daemon = daemon_at().start()
    caller = phone(daemon.caller, CALLER, 1000, OneLawPhone)
    officer = phone(daemon.officers[0], "201", 1700, OneLawPhone)
    officer.law = PCMA
    async with talking(daemon, caller, officer):
        await asyncio.sleep(1.0)
    recording = await recorded(daemon, "caller-hangup")
    audio = recording.manifest.audio
    assert (audio.format, set(audio.codecs)) == ("wav-pcm16", {"PCMA", "PCMU"})
    spoken = decode_ulaw(encode_ulaw(tone(1000, 0.5)))
    answered = decode_alaw(encode_alaw(tone(1700, 0.5)))
    assert spoken in channel(recording, 0)
    assert answered in channel(recording, 1)
    assert encode_alaw(spoken) in heard(officer)
    assert encode_ulaw(answered) in heard(caller)


async def test_the_caller_holds_and_resumes(
    daemon_at: Callable[..., Daemon], tmp_path: Path
) -> None:
    daemon = daemon_at().start()
    officer = phone(daemon.officers[0], "201", 1700, TalkativePhone)
    await officer.start()
    try:
        with Sipp(
            tmp_path,
            "caller-holds",
            port=daemon.caller,
            remote=daemon.sip,
            pause=1.5,
        ) as caller:
            async with asyncio.timeout(10):
                await officer.connected.wait()
                officer.speak()
                await officer.ended.wait()
            await caller.succeeds()
    finally:
        await officer.close()
    check_hold(daemon, await recorded(daemon, "caller-hangup"), 1)


async def test_the_officer_holds_and_resumes(
    daemon_at: Callable[..., Daemon], tmp_path: Path
) -> None:
    daemon = daemon_at().start()
    caller = phone(daemon.caller, CALLER, 1000, TalkativePhone)
    with Sipp(tmp_path, "officer-holds", port=daemon.officers[0], pause=1.0) as officer:
        await caller.start()
        try:
            await caller.call(f"sip:{SERVICE}@127.0.0.1:{daemon.sip}")
            await daemon.logged("recording_begun")
            caller.speak()
            await daemon.logged("resumed")
            await asyncio.sleep(1.0)
            caller.hang_up()
            await officer.succeeds()
        finally:
            await caller.close()
    check_hold(daemon, await recorded(daemon, "caller-hangup"), 0)


async def test_hold_between_two_sipps(
    daemon_at: Callable[..., Daemon], tmp_path: Path
) -> None:
    daemon = daemon_at().start()
    with (
        Sipp(tmp_path, "officer-is-held", port=daemon.officers[0]) as officer,
        Sipp(
            tmp_path,
            "caller-holds",
            port=daemon.caller,
            remote=daemon.sip,
            pause=1.2,
        ) as caller,
    ):
        await caller.succeeds()
        await officer.succeeds()
        invite = r"(?m)^INVITE sip:.*\n(?s:.*?)^a=(send\w+)"
        offers = re.findall(invite, officer.messages)
        assert offers == ["sendrecv", "sendonly", "sendrecv"]
    await recorded(daemon, "caller-hangup")
    assert len(daemon.log("held")) == len(daemon.log("resumed")) == 1


def check_hold(daemon: Daemon, recording: Recording, talker: int) -> None:
    """The held party talked on all the time; the recording has none of it."""
    assert len(daemon.log("held")) == len(daemon.log("resumed")) == 1
    gaps = [g for g in recording.manifest.gaps if g.reason == "hold"]
    assert {gap.leg for gap in gaps} == {0, 1}
    [gap] = [g for g in gaps if g.leg == talker]
    assert gap.duration_ms > 700
    start = (gap.start_ms + 40) * 8
    end = (gap.start_ms + gap.duration_ms - 40) * 8
    audio = channel(recording, talker)
    assert set(audio[start:end]) == {0xD5}
    frequency = (1000, 1700)[talker]
    voice = encode_alaw(tone(frequency, 0.2))
    assert voice in audio[: gap.start_ms * 8]
    assert voice in audio[end:]


class Keypad:
    """The RTP socket of a phone, which slips digits into the phone's own stream."""

    def __init__(self, real: socket.socket) -> None:
        self._real = real
        self._slipped_in = 0
        self.pending: list[tuple[int, bytes]] = []
        "Payload types and events yet to be sent, one after each frame of audio."

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def sendto(self, data: bytes, remote: tuple[str, int]) -> None:
        packet = self._numbered(parse_rtp(data))
        self._real.sendto(packet.to_bytes(), remote)
        if self.pending:
            payload_type, event = self.pending.pop(0)
            self._slipped_in += 1
            digit = replace(parse_rtp(data), payload_type=payload_type, payload=event)
            self._real.sendto(self._numbered(digit).to_bytes(), remote)

    def _numbered(self, packet: RtpPacket) -> RtpPacket:
        number = (packet.sequence_number + self._slipped_in) % 65536
        return replace(packet, sequence_number=number)


async def test_digits_are_passed_on_and_not_recorded(
    daemon_at: Callable[..., Daemon],
) -> None:
    daemon = daemon_at().start()
    caller = phone(daemon.caller, CALLER, 1000)
    officer = phone(daemon.officers[0], "201", 1700)
    digits = [struct.pack("!BBH", 7, 0x0A, 160 * n) for n in range(1, 6)]
    async with talking(daemon, caller, officer):
        assert caller.audio is not None
        assert caller.audio.telephone_event is not None
        assert caller._rtp is not None
        keypad = Keypad(caller._rtp)
        keypad.pending = [(caller.audio.telephone_event, d) for d in digits]
        caller._rtp = cast("socket.socket", keypad)
        await asyncio.sleep(1.0)
        assert officer.audio is not None
        passed_as = officer.audio.telephone_event
    received = [h.packet for h in officer.heard if h.packet.payload_type == passed_as]
    assert [packet.payload for packet in received] == digits
    recording = await recorded(daemon, "caller-hangup")
    assert not any(digit in recording.wav for digit in digits)
    # The audio around the digits is whole.
    assert encode_alaw(tone(1000, 0.8)) in channel(recording, 0)
    assert recording.manifest.legs[0].lost == 0


# -- loss ---------------------------------------------------------------------------


async def test_ten_calls_over_a_lossy_network(
    daemon_at: Callable[..., Daemon], tmp_path: Path
) -> None:
    daemon = daemon_at().start()
    with (
        Sipp(
            tmp_path,
            "officer-answers",
            port=daemon.officers[0],
            calls=10,
            lost=10,
            timeout=60,
        ),
        Sipp(
            tmp_path,
            "caller-hangs-up",
            port=daemon.caller,
            remote=daemon.sip,
            calls=10,
            rate=5,
            pause=5,
            lost=10,
        ) as caller,
    ):
        await caller.succeeds()
        await daemon.logged("ended", count=10)
    # The answer may be lost so often that the caller hangs up before it arrives.
    outcomes = sorted(line["outcome"] for line in daemon.log("ended"))
    answered = outcomes.count("recorded")
    assert outcomes == ["abandoned"] * (10 - answered) + ["recorded"] * answered
    assert answered >= 8
    await daemon.logged("stored", count=answered)
    async with asyncio.timeout(5):
        while any(row.outcome is None for row in daemon.rows()):
            await asyncio.sleep(0.02)
    rows = daemon.rows()
    assert sorted(str(row.outcome) for row in rows) == outcomes
    made = [r.recording_id for row in rows for r in row.recordings]
    stored = [recording.id for recording in daemon.recordings()]
    assert len(made) == answered
    assert sorted(made) == sorted(stored)
    assert not daemon.log("call_failed") + daemon.log("task_failed")
