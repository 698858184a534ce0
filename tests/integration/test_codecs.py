"""Whole calls in wide-band codecs, through a real daemon, from phones of our own."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest

from agent.cli.phone import Phone
from agent.common.clock import monotonic
from agent.formats.codecs import opus_audio
from agent.formats.codecs.g711 import decode_alaw, encode_alaw, encode_ulaw
from agent.formats.codecs.g722 import G722Decoder, encode_8k
from agent.model.media import G722, OPUS, PCMA, PCMU, Address, Codec
from tests.formats.signals import RATE, loudest, pcm16, sine
from tests.lab.daemon import CALLER, Daemon, Recording
from tests.lab.parties import channels
from tests.patience import PATIENCE
from tests.ports import free_ports

pytestmark = pytest.mark.integration

Array = npt.NDArray[np.float64]
LEFT, RIGHT = 1000.0, 1700.0
"Hertz: what the caller says, and the officer."
PAUSE, TALK = 0.4, 1.6
"Seconds from the officer's answer to the first word, and of talk, at least."


def chirp(seconds: float) -> Array:
    """From 300 to 2500 Hz: it is like itself in one place only."""
    time = np.arange(round(seconds * RATE)) / RATE
    return 9000 * np.sin(2 * np.pi * (300 + 1100 * time / seconds) * time)


NOTICE = chirp(0.8)


def phone(port: int, user: str, frequency: float, codecs: tuple[Codec, ...]) -> Phone:
    audio = pcm16(sine(frequency, 20))
    silence = opus_audio.encode(bytes(1600), RATE)[2]
    return Phone(
        Address("127.0.0.1", port),
        free_ports(1)[0],
        user,
        codecs=codecs,
        speech={
            "PCMA": encode_alaw(audio),
            "PCMU": encode_ulaw(audio),
            "G722": encode_8k(audio),
            "opus": tuple(opus_audio.encode(audio, RATE)),
        },
        silence={
            "PCMA": b"\xd5" * 160,
            "PCMU": b"\xff" * 160,
            "G722": b"\xff" * 160,
            "opus": silence,
        },
    )


@dataclass
class Call:
    """One call that is over, and what is left of it."""

    caller: Phone
    officer: Phone
    recording: Recording
    paused: float
    talked: float
    "Seconds from the officer's answer to the first word, and of talk, as it was."

    @property
    def sides(self) -> tuple[Array, Array]:
        return channels(self.recording.wav)

    def announced(self) -> list[bytes]:
        """What the caller heard before the officer answered."""
        return [
            heard.packet.payload
            for heard in self.caller.heard
            if heard.arrival_ns < self.officer.connected_ns
        ]


async def talk(
    daemon: Daemon, caller: tuple[Codec, ...], officer: tuple[Codec, ...]
) -> Call:
    daemon.start()
    one = phone(daemon.caller, CALLER, LEFT, caller)
    other = phone(daemon.officers[0], "201", RIGHT, officer)
    other.answer_after = 0.2
    await one.start()
    await other.start()
    try:
        await one.call(daemon.number())
        async with asyncio.timeout(PATIENCE):
            await other.connected.wait()
            await asyncio.sleep(PAUSE)
            # A move to another codec takes an exchange, however long that is.
            while officer[0] in caller and codec_of(one) != officer[0].name:
                await asyncio.sleep(0.02)
            paused = monotonic() - other.connected_ns / 1e9
            one.speak()
            other.speak()
            await asyncio.sleep(TALK)
            talked = monotonic() - other.connected_ns / 1e9 - paused
            one.hang_up()
            await other.ended.wait()
            await daemon.logged("stored")
    finally:
        await one.close()
        await other.close()
    [recording] = daemon.recordings()
    daemon.stop()
    return Call(one, other, recording, paused, talked)


def codec_of(phone: Phone) -> str:
    return "" if phone.audio is None else phone.audio.codec.name


def check_tones(call: Call, rate: int) -> None:
    """Each tone on its channel only, from when it was said, to the end."""
    assert call.recording.manifest.audio.sample_rate == rate
    for side, frequency in zip(call.sides, (LEFT, RIGHT), strict=True):
        loud = np.flatnonzero(np.abs(side) > 0.1)
        assert loud[0] / rate == pytest.approx(call.paused, abs=0.15)
        spoken = side[loud[0] : loud[-1]]
        assert len(spoken) / rate == pytest.approx(call.talked, abs=0.2)
        middle = spoken[rate // 5 : -rate // 5]
        assert loudest(middle, rate) == pytest.approx(frequency, abs=3)
        spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
        other = round((LEFT + RIGHT - frequency) * len(middle) / rate)
        assert spectrum[other - 5 : other + 5].max() < spectrum.max() / 100


def likeness(heard: Array, rate: int) -> float:
    """How like the notice the best matching part of what was heard is, up to 1."""
    step = rate // RATE
    heard = heard[::step]
    notice = NOTICE / np.linalg.norm(NOTICE)
    product = np.correlate(heard, notice, "valid")
    power = np.convolve(heard**2, np.ones(len(notice)), "valid")
    return float((product / np.sqrt(power + 1)).max())


def decoded(codec: str, packets: list[bytes]) -> tuple[Array, int]:
    if codec == "opus":
        pieces = opus_audio.decode([(p, True) for p in packets], 16_000)
        return np.concatenate(list(pieces)).astype(float), 16_000
    if codec == "G722":
        pcm = G722Decoder().decode(b"".join(packets))
        return np.frombuffer(pcm, np.int16).astype(float), 16_000
    pcm = decode_alaw(b"".join(packets))
    return np.frombuffer(pcm, "<i2").astype(float), 8000


@pytest.mark.parametrize("codec", [PCMA, G722, OPUS], ids=lambda codec: codec.name)
async def test_a_call_in_one_codec_from_the_notice_to_the_recording(
    daemon_at: Callable[..., Daemon], codec: Codec
) -> None:
    daemon = daemon_at(notice=pcm16(NOTICE), route=f'codecs = ["{codec.name}"]')
    call = await talk(daemon, (codec,), (codec,))
    announced = call.announced()
    assert {h.packet.payload_type for h in call.caller.heard} == {codec.payload_type}
    assert len({h.packet.ssrc for h in call.caller.heard}) == 1
    heard, rate = decoded(codec.name, announced)
    assert likeness(heard, rate) > 0.95
    manifest = call.recording.manifest
    wide = codec is not PCMA
    assert manifest.audio.format == ("flac" if wide else "wav-alaw")
    assert manifest.audio.codecs == (codec.name,)
    assert [n.sent_ms for n in manifest.notices] == [820 if codec is OPUS else 800]
    assert manifest.outcome == "recorded"
    assert [leg.lost for leg in manifest.legs] == [0, 0]
    check_tones(call, 16_000 if wide else 8000)
    [row] = daemon.rows()
    assert row.outcome == "recorded"


@pytest.mark.parametrize("codec", [G722, OPUS], ids=lambda codec: codec.name)
async def test_the_officers_wide_band_moves_the_caller(
    daemon_at: Callable[..., Daemon], codec: Codec
) -> None:
    """The notice in A-law, the conversation in the officer's codec, one recording."""
    daemon = daemon_at(notice=pcm16(NOTICE), route=f'codecs = ["{codec.name}", "PCMA"]')
    call = await talk(daemon, (PCMA, codec), (codec, PCMA))
    heard, rate = decoded("PCMA", call.announced())
    assert likeness(heard, rate) > 0.95
    assert call.caller.audio is not None
    assert call.caller.audio.codec.name == codec.name
    last = call.caller.heard[-1].packet
    assert last.payload_type == codec.payload_type
    manifest = call.recording.manifest
    assert manifest.audio.format == "flac"
    # The move is made within a packet or two of the officer's answer.
    assert {codec.name} <= set(manifest.audio.codecs) <= {"PCMA", codec.name}
    check_tones(call, 16_000)


async def test_two_laws_are_converted_for_the_parties_and_kept_in_flac(
    daemon_at: Callable[..., Daemon],
) -> None:
    daemon = daemon_at(notice=pcm16(NOTICE))
    call = await talk(daemon, (PCMA,), (PCMU,))
    manifest = call.recording.manifest
    assert (manifest.audio.format, manifest.audio.codecs) == ("flac", ("PCMA", "PCMU"))
    assert call.caller.audio is not None
    assert call.officer.audio is not None
    assert call.caller.audio.codec == PCMA
    assert call.officer.audio.codec == PCMU
    check_tones(call, 8000)


@pytest.mark.parametrize(("kept", "format_"), [("flac", "flac"), ("opus", "ogg-opus")])
async def test_another_format_is_kept_if_so_configured(
    daemon_at: Callable[..., Daemon], kept: str, format_: str
) -> None:
    daemon = daemon_at(notice=pcm16(NOTICE), recording=f'format = "{kept}"')
    call = await talk(daemon, (PCMA,), (PCMA,))
    assert call.recording.manifest.audio.format == format_
    suffix = "opus" if kept == "opus" else "flac"
    assert call.recording.id in daemon.stored(f".{suffix}.age")
    assert b"CHAPTER001NAME=segment 1, notice-end" in call.recording.wav
    assert call.recording.manifest.verdict == "good"
    check_tones(call, 8000)


async def test_a_caller_without_the_routes_codec_is_told_so(
    daemon_at: Callable[..., Daemon],
) -> None:
    daemon = daemon_at(notice=pcm16(NOTICE), route='codecs = ["opus"]').start()
    caller = phone(daemon.caller, CALLER, LEFT, (PCMA, G722))
    await caller.start()
    try:
        await caller.call(daemon.number())
        async with asyncio.timeout(PATIENCE):
            await caller.ended.wait()
    finally:
        await caller.close()
    assert caller.status == 488
