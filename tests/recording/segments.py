"""Made-up segments: journals as the media workers leave them in the spool."""

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from agent.common.ids import new_id
from agent.formats.age import KeyKind, decrypt, generate_identity
from agent.formats.envelope import SegmentKey, open_envelope
from agent.formats.journal import (
    BlockSealer,
    JournalHeader,
    key_id,
    pack_note,
    pack_packet,
)
from agent.formats.manifest import Manifest, parse_manifest
from agent.formats.rtp.packet import RtpPacket
from agent.model.call import EndCause, Outcome
from agent.model.recording import (
    Note,
    NoticeEvidence,
    NoticeStatement,
    Officer,
    RecordedSession,
    SegmentBegin,
    SegmentEnd,
    SegmentMark,
)
from agent.recording.finisher import FinishJob
from agent.recording.spool import Spool

MS = 1_000_000
START = 5_000_000_000_000
"Position 0 on the monotonic clock."
STARTED_AT = 1_795_437_296_000_000_000
"The same moment in UTC: 2026-11-23."
DAY = "2026/11/23"
CALLER = "+358401234567"
OFFICER = "Maija Meikäläinen"
FRAME = 160
SILENCE = b"\xd5"


entropy = random.Random(7).randbytes
"Keys of tests need to differ, not to be secret."


_QUALITY = {kind: SegmentKey(generate_identity(kind, entropy)) for kind in KeyKind}


def quality(kind: KeyKind = KeyKind.CLASSIC) -> SegmentKey:
    """Who may open everything."""
    return _QUALITY[kind]


def payload(leg: int, number: int) -> bytes:
    """One frame that is found again wherever it is in the clear."""
    word = b"%c%07d" % (b"COPQRS"[leg], number)
    return word * (FRAME // len(word))


def packet(leg: int, number: int, *, jump: int = 0) -> bytes:
    """Frame `number` of a leg as RTP."""
    return RtpPacket(
        payload_type=8,
        marker=False,
        sequence_number=(100 + number) % (1 << 16),
        timestamp=(10_000 + number * FRAME + jump) % (1 << 32),
        ssrc=0xA0 + leg,
        payload=payload(leg, number),
    ).to_bytes()


def records(numbers: Iterable[int], legs: Sequence[int] = (0, 1)) -> Iterator[bytes]:
    """Both legs' frames as journal records, arriving on time."""
    for number in numbers:
        for leg in legs:
            yield pack_packet(leg, START + number * 20 * MS, packet(leg, number))


def begin(recording_id: str) -> SegmentBegin:
    return SegmentBegin(
        recording_id=recording_id,
        group=recording_id,
        segment=0,
        direction="inbound",
        caller=CALLER,
        service="+358291234567",
        officers=(Officer(number="+358295000201", name=OFFICER),),
        notices=(
            NoticeEvidence(
                sha256="ab" * 32,
                language="fi",
                duration_ms=8000,
                sent_ms=8000,
                packets=400,
                started_at=STARTED_AT - 9_000 * MS,
                ended_at=STARTED_AT - 1_000 * MS,
            ),
        ),
        started_at=STARTED_AT,
        started_monotonic_ns=START,
        codecs={"0": {"8": "PCMA"}, "1": {"8": "PCMA"}},
        agent="recording-agent/test",
        host="host-a",
    )


SESSION = RecordedSession(
    source="sbc",
    session_ids=("s1",),
    group_id="g1",
    basis="directory",
    mixed=False,
    participants=(
        Officer(number=CALLER, name="Asiakas"),
        Officer(number="+358295000201", name=OFFICER),
    ),
    tolerated=("no-require",),
    notice=NoticeStatement(basis="statement", given=True, detail="played by the SBC"),
)
"What a recording client told of its call."


def end(frames: int) -> SegmentEnd:
    """The end after so many frames."""
    return SegmentEnd(
        ended_at=STARTED_AT + frames * 20 * MS,
        ended_monotonic_ns=START + frames * 20 * MS,
        cause=EndCause.CALLER_HANGUP,
        outcome=Outcome.RECORDED,
    )


def mark(frame: int, kind: str) -> SegmentMark:
    return SegmentMark(at_monotonic_ns=START + frame * 20 * MS, kind=kind)


def note(value: Note) -> bytes:
    return pack_note(msgspec.json.encode(value))


def journal(
    key: SegmentKey,
    recording_id: str,
    blocks: Iterable[bytes],
    *,
    epoch: int = 0,
    whole: bool = True,
) -> bytes:
    """A journal file of these blocks of records."""
    header = JournalHeader(
        recording_id=recording_id,
        epoch=epoch,
        key_id=key_id(key.recipient),
        salt=entropy(32),
        utc_ns=STARTED_AT,
        monotonic_ns=START,
    )
    sealer = BlockSealer(header, key.journal_key(recording_id))
    data = header.to_bytes() + b"".join(map(sealer.seal, blocks))
    return data + sealer.end() if whole else data


@dataclass(frozen=True)
class Segment:
    """One segment in a spool, as a worker left it."""

    id: str
    key: SegmentKey
    frames: int

    def job(self, spool: Spool) -> FinishJob:
        return FinishJob(
            recording_id=self.id,
            journals=tuple(spool.journals_of(self.id)),
            journal_key=self.key.journal_key(self.id),
            recipient=self.key.recipient,
            end=end(self.frames),
        )

    def opened(self, directory: Path) -> tuple[bytes, Manifest]:
        """WAV and manifest of the sealed files, by way of the envelope."""
        envelope = (directory / f"{self.id}.key.age").read_bytes()
        key = open_envelope(envelope, [quality(self.key.identity.kind).identity])
        wav = decrypt((directory / f"{self.id}.wav.age").read_bytes(), [key.identity])
        facts = decrypt(
            (directory / f"{self.id}.json.age").read_bytes(), [key.identity]
        )
        return wav, parse_manifest(facts)


def write_segment(
    spool: Spool,
    *epochs: Sequence[Note | range],
    kind: KeyKind = KeyKind.CLASSIC,
    frames: int = 50,
    whole: bool = True,
    beginning: Callable[[str], SegmentBegin] = begin,
) -> Segment:
    """Put a segment into the spool: its envelope, and a journal for each epoch.

    Each epoch lists what follows the begin note, a block each. By default one epoch
    with all frames and the end note; the last one has an end block if it is `whole`.
    """
    recording_id = new_id()
    key = SegmentKey.generate(kind, entropy)
    recipient = quality(kind).identity.recipient()
    spool.write_envelope(recording_id, key.seal([recipient], entropy))
    epochs = epochs or ((range(frames), end(frames)),)
    for number, parts in enumerate(epochs):
        blocks = [
            b"".join(records(part)) if isinstance(part, range) else note(part)
            for part in (beginning(recording_id), *parts)
        ]
        last = number == len(epochs) - 1
        data = journal(key, recording_id, blocks, epoch=number, whole=whole and last)
        path = spool.journal_directory / f"{recording_id}.{number}.journal"
        path.write_bytes(data)
    return Segment(recording_id, key, frames)


def stereo(numbers: Iterable[int], frames: int) -> bytes:
    """The interleaved track of `frames` frames in which these were heard."""
    track = bytearray(SILENCE * (2 * FRAME * frames))
    for number in numbers:
        at = number * FRAME * 2
        for leg in (0, 1):
            track[at + leg : at + 2 * FRAME : 2] = payload(leg, number)
    return bytes(track)
