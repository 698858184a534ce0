"""Long recordings of many legs: how much memory their finisher takes, and how long.

    python -m tests.bench.finishing --hours 2 2 8 --legs 2 16 2

Each is finished in a fresh process; what that holds before it begins is told apart.
"""

import argparse
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from struct import Struct
from typing import Final

import msgspec

from agent.common.ids import new_id
from agent.formats.age import KeyKind
from agent.formats.envelope import SegmentKey
from agent.formats.journal import BlockSealer, JournalHeader, key_id, pack_packet
from agent.model.recording import Channel, Kept, RecordingFormat
from agent.recording.spool import Spool
from tests.bench.hour import finish_in_fresh_process, speech
from tests.bench.usage import machine
from tests.recording.segments import (
    FRAME,
    MS,
    START,
    STARTED_AT,
    Segment,
    begin,
    end,
    note,
    quality,
)

PER_SECOND: Final = 50
BLOCK: Final = 64 * 1024
"Octets after which a block is sealed, as the workers do; or after 45 frames."
PER_BLOCK: Final = 45
LOST_EVERY: Final = 1000
_RTP: Final = Struct(">BBHII")
_SIDES: Final = (Channel.CUSTOMER, Channel.OFFICER)


def _packets(frame: int, legs: int) -> Iterator[bytes]:
    """What all legs send in a frame, jittered, one of a thousand lost."""
    for leg in range(legs):
        if (frame + leg * 61) % LOST_EVERY == 17:
            continue
        header = _RTP.pack(
            0x80, 8, frame & 0xFFFF, frame * FRAME & 0xFFFFFFFF, 0xA0 + leg
        )
        arrival = START + (frame * 20 + (frame + leg) * 7919 % 5) * MS
        yield pack_packet(leg, arrival + frame * 7919 % MS, header + _said(leg, frame))


def _said(leg: int, frame: int) -> bytes:
    return speech(leg % 2, frame + leg * 211)


def _blocks(frames: int, legs: int) -> Iterator[bytes]:
    block = bytearray()
    for frame in range(frames):
        for record in _packets(frame, legs):
            block += record
        if len(block) >= BLOCK or frame % PER_BLOCK == 0:
            yield bytes(block)
            block.clear()
    if block:
        yield bytes(block)


def make_segment(spool: Spool, seconds: int, legs: int) -> Segment:
    """A segment of so many seconds and legs, on the sides in turns, in the spool."""
    recording_id, frames = new_id(), seconds * PER_SECOND
    key = SegmentKey.generate(KeyKind.CLASSIC, os.urandom)
    recipient = quality(KeyKind.CLASSIC).identity.recipient()
    spool.write_envelope(recording_id, key.seal([recipient], os.urandom))
    header = JournalHeader(
        recording_id=recording_id,
        epoch=0,
        key_id=key_id(key.recipient),
        salt=os.urandom(32),
        utc_ns=STARTED_AT,
        monotonic_ns=START,
    )
    sealer = BlockSealer(header, key.journal_key(recording_id))
    beginning = msgspec.structs.replace(
        begin(recording_id),
        channels=tuple(_SIDES[leg % 2] for leg in range(legs)),
        codecs={str(leg): {"8": "PCMA"} for leg in range(legs)},
    )
    path = spool.journal_directory / f"{recording_id}.0.journal"
    with path.open("wb") as file:
        file.write(header.to_bytes())
        file.write(sealer.seal(note(beginning)))
        for block in _blocks(frames, legs):
            file.write(sealer.seal(block))
        file.write(sealer.seal(note(end(frames))))
        file.write(sealer.end())
    return Segment(recording_id, key, frames)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, nargs="+", default=[2.0, 2.0, 8.0])
    parser.add_argument("--legs", type=int, nargs="+", default=[2, 16, 2])
    parser.add_argument(
        "--format", choices=list(RecordingFormat), default=RecordingFormat.WIRE
    )
    arguments = parser.parse_args()
    print(f"machine: {machine()}")
    for hours, legs in zip(arguments.hours, arguments.legs, strict=True):
        with tempfile.TemporaryDirectory(prefix="finishing-") as scratch:
            spool = Spool(Path(scratch))
            spool.prepare()
            segment = make_segment(spool, round(hours * 3600), legs)
            [journal] = spool.journals_of(segment.id)
            size = journal.stat().st_size
            kept = Kept(format=RecordingFormat(arguments.format))
            cpu, peak = finish_in_fresh_process(spool, segment, kept)
            spool.close()
        print(
            f"{hours:g} h of {legs} legs, journal {size / 1e6:.0f} MB:"
            f" {cpu:.1f} CPU s, peak {peak:.0f} MB",
            flush=True,
        )


if __name__ == "__main__":
    main()
