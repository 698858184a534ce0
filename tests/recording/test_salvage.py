"""Journals cut, torn or damaged at each of their seams: what is salvaged, and opens."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from agent.formats.container import read_wav
from agent.formats.envelope import open_envelope
from agent.formats.journal import FRAME_SIZE, HEADER_SIZE, JournalError
from agent.formats.manifest import Manifest
from agent.recording.finisher import finish_journals
from agent.recording.ledger import Ledger
from agent.recording.recovery import Recovered
from agent.recording.spool import Spool
from tests.recording.segments import Segment, end, quality, stereo, write_segment
from tests.recording.starts import recovered

BLOCK = 5
FRAMES = 3 * BLOCK
PARTS = (range(5), range(5, 10), range(10, 15), end(FRAMES))
"Behind the first note, a block each; then the end block."


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    ledger = Ledger(tmp_path / "ledger.sqlite", hash_key=b"h", reserve_bytes=0)
    await ledger.start()
    yield ledger
    await ledger.close()


def blocks_of(journal: bytes) -> Iterator[tuple[int, int]]:
    """From where to where each block goes, the end block too."""
    at = HEADER_SIZE
    while at < len(journal):
        size = int.from_bytes(journal[at + 1 : at + FRAME_SIZE], "big")
        yield at, at + FRAME_SIZE + size
        at += FRAME_SIZE + size


def seams(journal: bytes) -> Iterator[int]:
    """Every offset at which something begins or ends, and those beside it."""
    inside = [8, 10, 12, 16, 32, 40, 72, 80]  # the header's fields
    for start, stop in blocks_of(journal):
        inside += [start, start + 1, start + FRAME_SIZE, stop - 16, stop]
    found = {at + beside for at in inside for beside in (-1, 0, 1)}
    yield from sorted(at for at in found if at <= len(journal))


async def salvaged(spool: Spool, ledger: Ledger, segment: Segment) -> Path | None:
    """Where a start has put the recording, or None if nothing of it was there."""
    [found] = await recovered(spool, ledger)
    assert found.recording_id == segment.id
    assert await recovered(spool, ledger) == []
    if found == Recovered(segment.id, "dropped"):
        assert spool.list_sealed() == []
        assert spool.list_envelopes() == []
        return None
    assert found == Recovered(segment.id, "salvaged")
    return spool.sealed_path(segment.id, "")


def opened(directory: Path) -> tuple[bytes, Manifest]:
    """What is in it, where the key is."""
    [envelope] = directory.glob("*.key.age")
    key = open_envelope(envelope.read_bytes(), [quality().identity])
    journals = [path.read_bytes() for path in directory.glob("*.journal")]
    _, wav, manifest = finish_journals(journals, key)
    return read_wav(wav).samples, manifest


async def test_cut_at_every_seam_what_was_whole_before_it_opens(
    spool: Spool, ledger: Ledger
) -> None:
    segment = write_segment(spool, PARTS)
    [path] = spool.journals_of(segment.id)
    whole, envelope = path.read_bytes(), spool.envelope_path(segment.id).read_bytes()
    cuts = list(seams(whole))
    assert len(cuts) > 70
    for cut in cuts:
        path.write_bytes(whole[:cut])
        spool.write_envelope(segment.id, envelope)
        directory = await salvaged(spool, ledger, segment)
        readable = sum(stop <= cut for _, stop in blocks_of(whole))
        assert (directory is None) is (readable == 0), cut
        if directory is None:
            continue
        # The first block says how it began, the last but one how it ended.
        frames = BLOCK * min(readable - 1, 3)
        samples, manifest = opened(directory)
        assert samples == stereo(range(frames), frames), cut
        complete = cut == len(whole)
        assert manifest.outcome == ("recorded" if complete else "partial"), cut
        assert manifest.gaps == ()
        spool.purge(segment.id)


@pytest.mark.parametrize("block", range(6))
async def test_a_damaged_block_ends_what_opens(
    spool: Spool, ledger: Ledger, block: int
) -> None:
    """One bit: all before it is there, and nothing after it is guessed at."""
    segment = write_segment(spool, PARTS)
    [path] = spool.journals_of(segment.id)
    data = bytearray(path.read_bytes())
    start, stop = list(blocks_of(bytes(data)))[block]
    data[(start + FRAME_SIZE + stop) // 2] ^= 1
    path.write_bytes(data)
    directory = await salvaged(spool, ledger, segment)
    assert directory is not None
    if block == 0:
        with pytest.raises(JournalError, match="first block"):
            opened(directory)
        return
    frames = BLOCK * min(block - 1, 3)
    samples, manifest = opened(directory)
    assert samples == stereo(range(frames), frames)
    assert manifest.outcome == "partial"


async def test_a_hole_between_two_journals_is_a_gap(
    spool: Spool, ledger: Ledger
) -> None:
    """The first was torn in a power cut, the second one was synced before it."""
    segment = write_segment(
        spool,
        (range(5), range(5, 10)),
        (range(10, 15), end(FRAMES)),
        frames=FRAMES,
    )
    path = spool.journals_of(segment.id)[0]
    path.write_bytes(path.read_bytes()[:-10])
    directory = await salvaged(spool, ledger, segment)
    assert directory is not None
    samples, manifest = opened(directory)
    assert samples == stereo([*range(5), *range(10, 15)], FRAMES)
    assert manifest.outcome == "partial"
    assert [(g.leg, g.start_ms, g.silent_ms) for g in manifest.gaps] == [
        (0, 100, 100),
        (1, 100, 100),
    ]


async def test_what_is_not_a_journal_is_kept_and_refused_where_it_is_opened(
    spool: Spool, ledger: Ledger
) -> None:
    segment = write_segment(spool, PARTS)
    [path] = spool.journals_of(segment.id)
    data = path.read_bytes()
    path.write_bytes(bytes(512) + data[512:])
    directory = await salvaged(spool, ledger, segment)
    assert directory is not None
    with pytest.raises(JournalError, match="not a journal"):
        opened(directory)
