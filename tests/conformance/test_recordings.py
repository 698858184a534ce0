"""Calls that rtpproxy recorded: its figures, and its audio to the last bit.

Its published checksums are of files that libsndfile wrote; so is what they are
compared with here. `recordings.txt` says of each call what is equal, and why not.
"""

import base64
import io
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from hashlib import sha256
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
from G722 import G722

from agent.formats.codecs.g711 import ALAW_TO_LINEAR, ULAW_TO_LINEAR
from agent.formats.rtp.srtp import ReceiveContext
from agent.formats.timeline import LegResult
from agent.model.media import SrtpSuite
from tests.captures import Datagram, read_capture
from tests.conformance.verdicts import table
from tests.corpora import ROOT, corpus
from tests.formats.streams import Leg, of_frames

Samples = npt.NDArray[np.int16]

CALLS: Final = table("recordings")
NAMES: Final = {0: "PCMU", 3: "GSM", 8: "PCMA", 9: "G722", 18: "G729"}
CHECKSUMS: Final = "rtp/rtpproxy-extractaudio"
_SECOND: Final = 1_000_000_000


def datagrams(call: str, side: str) -> list[Datagram]:
    folder, _, name = call.rpartition("/")
    [path] = [
        path
        for ending in ("rtp", "pcap")
        if (path := corpus(folder) / f"{name}.{side}.{ending}").exists()
    ]
    found = read_capture(path)
    return decrypted(found, path) if "srtp" in name else found


def decrypted(found: list[Datagram], path: Path) -> list[Datagram]:
    lines = (ROOT / "SRTP_KEYS.txt").read_text().splitlines()
    [line] = [line for line in lines if line.startswith("rtp/") and path.name in line]
    _, _, suite, key, _ = line.split(" | ")
    context = ReceiveContext(SrtpSuite(suite), base64.b64decode(key))
    return [
        datagram._replace(payload=context.unprotect(datagram.payload, 0))
        for datagram in found
    ]


def leg_of(found: Sequence[Datagram]) -> LegResult:
    leg = Leg(NAMES, found[0].time_ns - _SECOND)
    for datagram in found:
        leg.take(datagram.time_ns, datagram.payload)
    return leg.finish(max(d.time_ns for d in found if len(d.payload) > 12) + _SECOND)


def samples_of(leg: LegResult) -> Samples:
    """All from the first frame on, at 8000 Hz, as rtpproxy decodes."""
    laws = {"PCMA": np.array(ALAW_TO_LINEAR), "PCMU": np.array(ULAW_TO_LINEAR)}
    laws["PCMU"][[0x7F, 0xFF]] = -2, 2
    decoder = G722(8000, 64_000)
    track = np.zeros(leg.total, np.int16)
    for frame in leg.frames:
        if frame.codec == "G722":
            heard = np.array(decoder.decode(bytes(frame.payload)))
        else:
            heard = laws[frame.codec][np.frombuffer(frame.payload, np.uint8)]
        end = frame.position + frame.length
        track[frame.position : end] = heard[frame.skip : frame.skip + frame.length]
    places = of_frames(leg, "position")
    return track[int(places[0]) : end]


def published(call: str) -> dict[str, str]:
    """The checksum of each file of a call, as `stereo.pcm_16.wav`."""
    name = call.rpartition("/")[2]
    lines = (corpus(CHECKSUMS) / "extractaudio.checksums").read_text().splitlines()
    return {
        line.partition(")")[0].partition(f"({name}.")[2]: line.rpartition(" ")[2]
        for line in lines
        if f"({name}." in line
    }


def written(samples: Samples, name: str) -> str:
    """The checksum of such a file."""
    _, coding, ending = name.split(".")
    file = io.BytesIO()
    # VOX fills its last octet up, and soundfile wonders at the sample more.
    odd = suppress(AssertionError) if coding.startswith("vox") else nullcontext()
    with (
        odd,
        soundfile.SoundFile(
            file,
            "w",
            samplerate=8000,
            channels=samples.ndim,
            format=ending.upper(),
            subtype=coding.upper(),
        ) as sound,
    ):
        sound.write(samples)
    return sha256(file.getvalue()).hexdigest()


@pytest.mark.parametrize("call", CALLS)
def test_figures(call: str) -> None:
    for side, row in zip("ao", CALLS[call][0].split(), strict=True):
        packets, duplicates, lost, jitter = row.split("/")
        figures = leg_of(untimed_left_out(datagrams(call, side))).figures
        assert figures.packets == int(packets)
        assert figures.duplicates == int(duplicates)
        assert figures.lost == int(lost)
        # They count arrivals in whole samples.
        assert figures.jitter_ms * 8 == pytest.approx(float(jitter), rel=0.02, abs=0.1)
        assert (figures.ssrcs, figures.rebased, figures.drift_ppm) == (1, 0, 0)


def untimed_left_out(found: list[Datagram]) -> list[Datagram]:
    """Less what a damaged record gives an absurd time."""
    first = found[0].time_ns
    return [d for d in found if abs(d.time_ns - first) < 3600 * _SECOND]


@pytest.mark.parametrize("call", [c for c in CALLS if CALLS[c][1] != "-"])
def test_audio(call: str) -> None:
    _, begins, total, equal = CALLS[call]
    caller, callee = (
        samples_of(leg_of(untimed_left_out(datagrams(call, side)))) for side in "ao"
    )
    stereo = np.zeros((int(total), 2), np.int16)
    for channel, samples, start in ((0, caller, 0), (1, callee, int(begins))):
        kept = samples[: int(total) - start]
        stereo[start : start + len(kept), channel] = kept
    both = stereo.astype(np.int32).sum(axis=1)
    # As C divides.
    mono = np.fix(both / 2).astype(np.int16)
    files = published(call)
    same = [
        name
        for name, checksum in files.items()
        if written(stereo if name.startswith("stereo") else mono, name) == checksum
    ]
    assert f"{len(same)} of {len(files)}" == equal, sorted(files.keys() - set(same))


def test_no_call_is_left_out() -> None:
    lines = (corpus(CHECKSUMS) / "extractaudio.checksums").read_text().splitlines()
    calls = {line.partition("(")[2].partition(".")[0] for line in lines}
    assert calls == {call.rpartition("/")[2] for call in CALLS}
