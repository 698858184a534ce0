"""Laws, hold and digits, with sipp or phones of our own on a real daemon."""

import asyncio
import re
import socket
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from agent.cli.phone import Phone
from agent.formats.codecs.g711 import (
    decode_alaw,
    decode_ulaw,
    encode_alaw,
    encode_ulaw,
)
from agent.formats.rtp.packet import RtpPacket, parse_rtp
from agent.model.media import PCMA, PCMU, Address
from agent.signalling.offer_answer import OfferAnswer
from tests.formats.cue_chunks import wav_labels
from tests.integration.conftest import tone
from tests.lab.calls import (
    TalkativePhone,
    channel,
    heard,
    phone,
    recorded,
    talking,
)
from tests.lab.daemon import CALLER, Daemon, Recording
from tests.lab.scenes import OFFICER_HZ, check_sides, our_phone
from tests.lab.sipp import Sipp
from tests.patience import PATIENCE

pytestmark = pytest.mark.integration


@pytest.mark.interop("sipp", "A-law on one leg, µ-law on the other")
async def test_two_laws_in_one_call(daemon: Daemon, tmp_path: Path) -> None:
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
            async with asyncio.timeout(PATIENCE):
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


async def test_each_party_hears_its_own_law(daemon: Daemon) -> None:
    caller = phone(daemon.caller, CALLER, 1000, OneLawPhone)
    officer = phone(daemon.officers[0], "201", 1700, OneLawPhone)
    officer.law = PCMA
    async with talking(daemon, caller, officer):
        await asyncio.sleep(1.0)
    recording = await recorded(daemon, "caller-hangup")
    audio = recording.manifest.audio
    assert (audio.format, set(audio.codecs)) == ("flac", {"PCMA", "PCMU"})
    spoken = decode_ulaw(encode_ulaw(tone(1000, 0.5)))
    answered = decode_alaw(encode_alaw(tone(1700, 0.5)))
    assert spoken in channel(recording, 0)
    assert answered in channel(recording, 1)
    assert encode_alaw(spoken) in heard(officer)
    assert encode_ulaw(answered) in heard(caller)


@pytest.mark.interop("sipp", "as the customer: holds and resumes")
async def test_the_caller_holds_and_resumes(daemon: Daemon, tmp_path: Path) -> None:
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
            async with asyncio.timeout(PATIENCE):
                await officer.connected.wait()
                officer.speak()
                await officer.ended.wait()
            await caller.succeeds()
    finally:
        await officer.close()
    check_hold(daemon, await recorded(daemon, "caller-hangup"), 1)


@pytest.mark.interop("sipp", "as an officer: holds and resumes")
async def test_the_officer_holds_and_resumes(daemon: Daemon, tmp_path: Path) -> None:
    caller = phone(daemon.caller, CALLER, 1000, TalkativePhone)
    with Sipp(tmp_path, "officer-holds", port=daemon.officers[0], pause=1.0) as officer:
        await caller.start()
        try:
            await caller.call(daemon.number())
            await daemon.logged("recording_begun")
            caller.speak()
            await daemon.logged("resumed")
            await asyncio.sleep(1.0)
            caller.hang_up()
            await officer.succeeds()
        finally:
            await caller.close()
    check_hold(daemon, await recorded(daemon, "caller-hangup"), 0)


async def test_hold_between_two_sipps(daemon: Daemon, tmp_path: Path) -> None:
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
    begun, (held, hold), (resumed, resume) = wav_labels(recording.wav)
    assert begun == (0, "segment 1, notice-end")
    assert (hold, resume) == ("hold", "resume")
    # The map's gap lies between them, but for the frame that was cut; its start is cut
    # to a whole millisecond.
    assert -8 < gap.start_ms * 8 - held < 160 + 8
    # Its start and its length are cut to whole milliseconds, each.
    assert -16 <= (gap.start_ms + gap.duration_ms) * 8 - resumed < 4 * 160
    start = (gap.start_ms + 40) * 8
    end = (gap.start_ms + gap.duration_ms - 40) * 8
    audio = channel(recording, talker)
    assert set(audio[start:end]) == {0xD5}
    frequency = (1000, 1700)[talker]
    voice = encode_alaw(tone(frequency, 0.2))
    assert voice in audio[: gap.start_ms * 8]
    assert voice in audio[end:]


@pytest.mark.interop("sipp TLS", "speaks a file of audio over RTP, which is recorded")
async def test_what_sipp_says_is_recorded(daemon: Daemon, tmp_path: Path) -> None:
    async with our_phone(daemon.officers[0], "201", OFFICER_HZ) as officer:
        with Sipp(
            tmp_path,
            "caller-speaks",
            port=daemon.caller,
            remote=daemon.sip,
            pause=2.5,
            newer=True,
        ) as caller:
            await officer.connected.wait()
            officer.speak()
            await caller.succeeds()
    check_sides(await recorded(daemon, "caller-hangup"))


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


async def test_digits_are_passed_on_and_not_recorded(daemon: Daemon) -> None:
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
