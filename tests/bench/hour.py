"""One hour of two legs, as a journal: what finishing it costs in a fresh process.

With --format, an hour of two people who take turns to speak, kept as each format named.
`make_hour` writes the journal into a spool; other benches and tests may use it.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Final

from agent.common.ids import new_id
from agent.formats.age import KeyKind
from agent.formats.codecs.g711 import encode_alaw
from agent.formats.container import decode_to_pcm16, read_wav
from agent.formats.envelope import SegmentKey
from agent.formats.journal import BlockSealer, JournalHeader, key_id, pack_packet
from agent.formats.rtp.packet import HEADER_LENGTH
from agent.model.recording import OPUS_BITRATE, Kept, RecordingFormat
from agent.recording.finisher import FinishJob, finish
from agent.recording.spool import Spool
from tests.recording.segments import (
    FRAME,
    MS,
    SILENCE,
    START,
    STARTED_AT,
    Segment,
    begin,
    end,
    note,
    packet,
    payload,
    quality,
    write_segment,
)

PER_BLOCK = 45
"Frames per leg in a block, as the workers seal them."
LOST_EVERY = 1000
"Of so many packets one is lost: an hour without a gap is no hour."
NOTICES: Final = ("fi", "sv", "en")
"Whose speech is spoken, turn by turn."

Payload = Callable[[int, int], bytes]
"What a leg sends in a frame."


@cache
def _turns() -> tuple[bytes, ...]:
    """A-law speech of eight seconds or so, in whole frames."""
    folder = Path(__file__).parents[2] / "config" / "notices"
    files = [(folder / f"{name}.wav").read_bytes() for name in NOTICES]
    turns = [encode_alaw(decode_to_pcm16(read_wav(file)).samples) for file in files]
    return tuple(turn[: len(turn) // FRAME * FRAME] for turn in turns)


@cache
def _conversation() -> tuple[bytes, bytes]:
    """Both legs of a minute or so, in which one speaks and the other is silent."""
    legs = [bytearray(), bytearray()]
    for number, turn in enumerate(_turns() * 2):
        legs[number % 2] += turn
        legs[1 - number % 2] += SILENCE * len(turn)
    return bytes(legs[0]), bytes(legs[1])


def speech(leg: int, number: int) -> bytes:
    """A frame of a conversation that begins again every minute or so."""
    spoken = _conversation()[leg]
    at = number * FRAME % len(spoken)
    return spoken[at : at + FRAME]


def _blocks(recording_id: str, frames: int, said: Payload) -> Iterator[bytes]:
    yield note(begin(recording_id))
    for first in range(0, frames, PER_BLOCK):
        yield b"".join(
            pack_packet(
                leg,
                START + (n * 20 + n * 7919 % 5) * MS,
                packet(leg, n)[:HEADER_LENGTH] + said(leg, n),
            )
            for n in range(first, min(first + PER_BLOCK, frames))
            for leg in (0, 1)
            if (n + leg * 500) % LOST_EVERY != 17
        )
    yield note(end(frames))


def make_hour(spool: Spool, *, seconds: int = 3600, said: Payload = payload) -> Segment:
    """A post-quantum segment of `seconds`, jittered, with a packet in 1000 lost."""
    recording_id, frames = new_id(), seconds * 50
    key = SegmentKey.generate(KeyKind.POST_QUANTUM, os.urandom)
    recipients = [quality(KeyKind.POST_QUANTUM).identity.recipient()] * 3
    spool.write_envelope(recording_id, key.seal(recipients, os.urandom))
    header = JournalHeader(
        recording_id=recording_id,
        epoch=0,
        key_id=key_id(key.recipient),
        salt=os.urandom(32),
        utc_ns=STARTED_AT,
        monotonic_ns=START,
    )
    sealer = BlockSealer(header, key.journal_key(recording_id))
    path = spool.journal_directory / f"{recording_id}.0.journal"
    with path.open("wb") as file:
        file.write(header.to_bytes())
        for block in _blocks(recording_id, frames, said):
            file.write(sealer.seal(block))
        file.write(sealer.end())
    return Segment(recording_id, key, frames)


def _finish_here(arguments: list[str]) -> None:
    """In the fresh process: finish one segment, print CPU seconds and peak MB."""
    root, recording_id, recipient, frames, format_, bitrate = arguments
    spool = Spool(Path(root))
    job = FinishJob(
        recording_id=recording_id,
        journals=tuple(spool.journals_of(recording_id)),
        journal_key=sys.stdin.buffer.read(),
        recipient=recipient,
        end=end(int(frames)),
    )
    imported, _ = _used()
    kept = Kept(format=RecordingFormat(format_), opus_bitrate=int(bitrate))
    finish(job, spool.root, kept)
    cpu, peak = _used()
    print(imported, cpu, peak)


def _used() -> tuple[float, float]:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def finish_in_fresh_process(
    spool: Spool,
    segment: Segment,
    kept: Kept = Kept(),  # noqa: B008 - frozen
) -> tuple[float, float]:
    """CPU seconds of `finish` without the imports, and peak RSS in MB of it all."""
    command = [
        sys.executable, "-m", "tests.bench.hour", "--finish", str(spool.root),
        segment.id, segment.key.recipient, str(segment.frames), kept.format,
        str(kept.opus_bitrate),
    ]  # fmt: skip
    done = subprocess.run(
        command,
        input=segment.key.journal_key(segment.id),
        stdout=subprocess.PIPE,
        check=True,
    )
    imported, cpu, peak = map(float, done.stdout.split())
    return cpu - imported, peak


def check(spool: Spool, segment: Segment) -> None:
    """Every frame that was not lost is in its exact place."""
    wav, manifest = segment.opened(spool.sealed_directory / segment.id)
    samples = read_wav(wav).samples
    for leg in (0, 1):
        mono = samples[leg::2]
        for n in range(segment.frames):
            lost = (n + leg * 500) % LOST_EVERY == 17
            found = mono[n * FRAME : (n + 1) * FRAME] == payload(leg, n)
            if found == lost:
                raise SystemExit(f"leg {leg}, frame {n}: wrong")
    print(f"every frame of {manifest.audio.duration_ms / 1000:.0f} s in its place")


def short_calls(spool: Spool, count: int) -> float:
    """CPU seconds per finished one-second call, in this process."""
    segments = [write_segment(spool, kind=KeyKind.POST_QUANTUM) for _ in range(count)]
    jobs = [segment.job(spool) for segment in segments]
    finish(jobs.pop(), spool.root)
    started = time.process_time()
    for job in jobs:
        finish(job, spool.root)
    return (time.process_time() - started) / len(jobs)


def formats(names: list[str], seconds: int, bitrate: int) -> None:
    """Print what an hour of speech costs and takes in each format."""
    for name in names:
        with tempfile.TemporaryDirectory(prefix="hour-") as scratch:
            spool = Spool(Path(scratch))
            spool.prepare()
            segment = make_hour(spool, seconds=seconds, said=speech)
            kept = Kept(format=RecordingFormat(name), opus_bitrate=bitrate)
            cpu, peak = finish_in_fresh_process(spool, segment, kept)
            [size] = [
                sealed.size
                for sealed in spool.sealed_objects(segment.id)
                if sealed.key.startswith("audio/")
            ]
            spool.close()
        print(
            f"{name:5} {seconds} s of speech, two legs: {cpu:6.2f} CPU s,"
            f" {size / 1e6:6.2f} MB, peak {peak:.0f} MB"
        )


def main() -> None:
    if sys.argv[1:2] == ["--finish"]:
        _finish_here(sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=3600)
    parser.add_argument("--short", type=int, default=200, help="one-second calls")
    parser.add_argument("--format", nargs="+", choices=list(RecordingFormat))
    parser.add_argument("--opus-bitrate", type=int, default=OPUS_BITRATE)
    arguments = parser.parse_args()
    if arguments.format:
        formats(arguments.format, arguments.seconds, arguments.opus_bitrate)
        return
    with tempfile.TemporaryDirectory(prefix="hour-") as scratch:
        spool = Spool(Path(scratch))
        spool.prepare()
        segment = make_hour(spool, seconds=arguments.seconds)
        [journal] = spool.journals_of(segment.id)
        size = journal.stat().st_size
        cpu, peak = finish_in_fresh_process(spool, segment)
        print(f"{arguments.seconds} s of two legs: {cpu:.2f} CPU s, peak {peak:.0f} MB")
        print(f"journal {size / 1e6:.1f} MB, sealed:")
        for sealed in spool.sealed_objects(segment.id):
            print(f"  {sealed.file.partition('.')[2]:9} {sealed.size / 1e6:9.3f} MB")
        check(spool, segment)
        each = short_calls(spool, arguments.short) * 1000
        print(f"one-second calls, post-quantum: {each:.2f} CPU ms each")
        spool.close()


if __name__ == "__main__":
    main()
