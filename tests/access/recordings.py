"""Opened recordings, as a reader has them: real manifests, made-up audio."""

import hashlib

import numpy as np

from agent.formats.audio_format import AudioFormat
from agent.formats.compression import compress
from agent.formats.container import wav_header
from agent.formats.manifest import AudioFacts, Manifest, ManifestOfficer, moment
from tests.recording.segments import CALLER, OFFICER, STARTED_AT

ID = "0b4a5d3e-2f7c-4c69-9a51-6c1f2f0b7d11"
SECONDS = 2
SERVICE = "+358291234567"
OFFICER_NUMBER = "+358295000201"


def audio(format_: AudioFormat) -> tuple[bytes, int]:
    """A file of two seconds and its sample rate."""
    rate = 8000 if format_.law is not None else 16_000
    count = rate * SECONDS
    if format_.law is not None:
        return wav_header(format_.law, rate, 2, count) + b"\x2a" * 2 * count, rate
    samples = np.random.default_rng(3).integers(3000, 9000, (count, 2)).astype(np.int16)
    opus = format_ is AudioFormat.OPUS
    pieces = compress([samples], opus=opus, sample_rate=rate, samples=count)
    return b"".join(pieces), rate


def recording(
    format_: AudioFormat = AudioFormat.WAV_ALAW, recording_id: str = ID
) -> tuple[Manifest, bytes]:
    """A manifest and the audio it is about."""
    data, rate = audio(format_)
    manifest = Manifest(
        id=recording_id,
        group=recording_id,
        segment=0,
        direction="inbound",
        caller=CALLER,
        service=SERVICE,
        officers=(
            ManifestOfficer(
                number=OFFICER_NUMBER,
                name=OFFICER,
                from_=moment(STARTED_AT),
                to=moment(STARTED_AT + SECONDS * 10**9),
            ),
        ),
        started=moment(STARTED_AT),
        ended=moment(STARTED_AT + SECONDS * 10**9),
        notices=(),
        audio=AudioFacts(
            format=format_,
            codecs=("PCMA",),
            sample_rate=rate,
            channels=2,
            duration_ms=SECONDS * 1000,
            sha256=hashlib.sha256(data).hexdigest(),
            size=len(data),
        ),
        gaps=(),
        legs=(),
        verdict="good",
        end_cause="caller-hangup",
        outcome="recorded",
        agent="recording-agent/test",
        host="host-a",
    )
    return manifest, data
