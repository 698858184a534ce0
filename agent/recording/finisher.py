"""The finisher: journals → sealed audio and `<id>.json.age`.

Never plaintext on disk: the track goes chunk by chunk from the journal's blocks
through age into the sealed file. The work directory becomes the sealed recording by
one rename, so that a finisher killed at any moment has done either all or nothing.
"""

import fcntl
import hashlib
import io
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Final

from agent.common.errors import AgentError
from agent.common.files import write_new
from agent.formats.age import Encryptor, parse_recipient
from agent.formats.blind_index import IndexKeys
from agent.formats.envelope import SegmentKey
from agent.formats.journal import HEADER_SIZE, JournalError, peek_header
from agent.formats.layout import Folder, dated, day_of, month_of, unindexed_key
from agent.formats.manifest import Manifest
from agent.formats.timeline import GapReason
from agent.model.call import Outcome
from agent.model.recording import Kept, SegmentEnd
from agent.recording.assembly import assemble, digest
from agent.recording.indexing import index_names
from agent.recording.spool import SealedObject, Spool

INDEX_FILE: Final = "index"
"Of a sealed recording; empty."


class FinisherError(AgentError):
    """A recording could not be finished; its journal is untouched."""

    permanent = False
    hint = "Check the spool's free space; it is tried again."


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishJob:
    """One closed segment."""

    recording_id: str
    journals: tuple[Path, ...]
    journal_key: bytes = field(repr=False)
    recipient: str
    end: SegmentEnd


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """What is known of a sealed recording without opening it; nothing personal."""

    recording_id: str
    outcome: str
    duration_ms: int
    size: int
    "Bytes of sealed audio."
    lost: int
    missing_ms: int = 0
    "Of the agent's own gaps: what `partial` is short of."
    verdict: str = ""
    "On its quality, one of agent.model.recording.Verdict; empty if salvaged."
    salvaged: str = ""
    "Why its journal was sealed as it is; empty if it was not."
    unindexed: str = ""
    "The month whose index key was not there; empty if it was, or there is no index."


def finish(
    job: FinishJob,
    root: Path,
    kept: Kept = Kept(),  # noqa: B008 - frozen
    index: IndexKeys | None = None,
) -> Finished:
    """Seal one segment in the spool at `root` and forget its journals.

    Journals that make no recording here (a fault of ours, or of the disk) are sealed
    as they are: whoever has the key may yet open them. With `index` the recording is
    to be found by its numbers. Raises OSError, and AgentError
    if trying again may help; then nothing changed.
    """
    spool = Spool(root)
    identity = job.recording_id
    if spool.is_sealed(identity):
        # An earlier attempt was killed after its last step but one.
        return _salvaged(job, spool, "it was sealed before.")
    try:
        finished = _finish(job, spool, kept, index)
    except AgentError as error:
        spool.abandon_work(identity)
        if not error.permanent:
            raise
        salvage(identity, spool, indexed=index is not None)
        return _salvaged(job, spool, str(error))
    except OSError:
        spool.abandon_work(identity)  # its room may be what is missing
        raise
    spool.forget_sources(identity)
    return finished


def _finish(
    job: FinishJob, spool: Spool, kept: Kept, index: IndexKeys | None
) -> Finished:
    identity = job.recording_id
    work = spool.begin_work(identity)
    recipient = parse_recipient(job.recipient)
    plain = hashlib.sha256()
    size = 0

    def tee(chunks: Iterable[bytes]) -> Iterable[bytes]:
        nonlocal size
        for chunk in chunks:
            plain.update(chunk)
            size += len(chunk)
            yield chunk

    with ExitStack() as stack:
        files = [stack.enter_context(path.open("rb")) for path in job.journals]
        assembled = assemble(files, job.journal_key, job.end, kept=kept.format)
        name = f"{identity}.{assembled.track.format.suffix}.age"
        chunks = tee(assembled.file(kept.opus_bitrate))
        audio = _seal(work / name, chunks, Encryptor([recipient], os.urandom))
    manifest = assembled.manifest(plain.hexdigest(), size)
    facts = _seal(
        work / f"{identity}.json.age",
        [manifest.to_bytes()],
        Encryptor([recipient], os.urandom),
    )
    envelope = work / f"{identity}.key.age"
    envelope.hardlink_to(spool.envelope_path(identity))  # durable since the answer
    key = digest(_pieces(envelope))
    day = day_of(assembled.filed_at)
    # The envelope first: audio that nobody can open would be no recording.
    objects = [
        _object(f"{identity}.key.age", Folder.KEYS, day, key),
        _object(name, Folder.AUDIO, day, audio),
        _object(f"{identity}.json.age", Folder.MANIFEST, day, facts),
    ]
    _keep_addressees(spool, identity, work)
    names = [] if index is None else index_names(manifest, day, index)
    objects += _index_objects(work, names)
    spool.commit_sealed(identity, work, objects)
    return Finished(
        recording_id=identity,
        outcome=manifest.outcome,
        duration_ms=manifest.audio.duration_ms,
        size=audio[1],
        lost=sum(leg.lost for leg in manifest.legs),
        missing_ms=_missing_ms(manifest),
        verdict=manifest.verdict,
        unindexed=month_of(day)
        if unindexed_key(month_of(day), identity) in names
        else "",
    )


def _missing_ms(manifest: Manifest) -> int:
    """How long the agent itself captured nothing, on the leg where it was longest."""
    missing = [0 for _ in manifest.legs]
    for gap in manifest.gaps:
        if gap.reason == GapReason.GAP:
            missing[gap.leg] += gap.silent_ms
    return max(missing, default=0)


def _salvaged(job: FinishJob, spool: Spool, reason: str) -> Finished:
    spool.forget_sources(job.recording_id)
    return Finished(
        recording_id=job.recording_id,
        outcome=Outcome.PARTIAL,
        duration_ms=0,
        size=sum(
            sealed.size
            for sealed in spool.sealed_objects(job.recording_id)
            if sealed.key.startswith(f"{Folder.AUDIO}/")
        ),
        lost=0,
        salvaged=reason,
    )


def salvage(recording_id: str, spool: Spool, *, indexed: bool = False) -> None:
    """Seal a dead run's journals and envelope as they are: their key is not here.

    The day they are filed under is that of the journal's last write. Whose they are is
    not known here: where there is an index, they stand among the unindexed. Raises
    OSError.
    """
    journals = spool.journals_of(recording_id)
    ended = max(path.stat().st_mtime_ns for path in journals)
    day = day_of(ended)
    work = spool.begin_work(recording_id)
    objects = []
    for path, folder in (
        (spool.envelope_path(recording_id), Folder.KEYS),
        *((journal, Folder.AUDIO) for journal in journals),
    ):
        aside = work / path.name
        if _is_settled(path):
            # A second name, not a copy: it takes no room on a full disk and no time
            # at a start.
            aside.hardlink_to(path)
            facts = digest(_pieces(path))
        else:
            facts = _write(aside, _pieces(path))
        objects.append(_object(path.name, folder, day, facts))
    _keep_addressees(spool, recording_id, work)
    names = [unindexed_key(month_of(day), recording_id)] if indexed else []
    objects += _index_objects(work, names)
    spool.commit_sealed(recording_id, work, objects)
    spool.forget_sources(recording_id)


def finish_journals(
    journals: Sequence[bytes], key: SegmentKey
) -> tuple[str, bytes, Manifest]:
    """A dead host's journals → audio file and manifest, where the key is.

    `journals` are all files of one recording, each whole, in any order. The first
    thing returned is what the file's name ends in. Raises JournalError,
    AssemblyError, AlignerError.
    """
    ordered = sorted(journals, key=_epoch)
    recording_id = peek_header(ordered[0]).recording_id
    files = [io.BytesIO(data) for data in ordered]
    assembled = assemble(files, key.journal_key(recording_id))
    audio = b"".join(assembled.file())
    manifest = assembled.manifest(*digest(iter([audio])))
    return assembled.track.format.suffix, audio, manifest


def _epoch(journal: bytes) -> int:
    """Which of a recording's journals it is; those cut inside the header come last."""
    try:
        return peek_header(journal[:HEADER_SIZE]).epoch
    except JournalError:
        return 1 << 32


def _object(
    name: str, folder: Folder, day: date, found: tuple[str, int]
) -> SealedObject:
    """Where a file goes, with its digest and size."""
    return SealedObject(
        file=name,
        target=folder.target,
        key=dated(folder, day, name),
        sha256=found[0],
        size=found[1],
    )


def _keep_addressees(spool: Spool, recording_id: str, work: Path) -> None:
    """Take along what the seal will say of the envelope, where the host signs."""
    source = spool.addressees_path(recording_id)
    if source.exists():
        (work / source.name).hardlink_to(source)


def _index_objects(work: Path, names: Sequence[str]) -> list[SealedObject]:
    """Objects that are nothing but their names: one empty file is behind them all."""
    if not names:
        return []
    digest_, size = _write(work / INDEX_FILE, [])
    return [
        SealedObject(
            file=INDEX_FILE, target="state", key=name, sha256=digest_, size=size
        )
        for name in names
    ]


def _seal(path: Path, chunks: Iterable[bytes], encryptor: Encryptor) -> tuple[str, int]:
    def sealed() -> Iterable[bytes]:
        yield encryptor.header()
        for chunk in chunks:
            yield encryptor.update(chunk)
        yield encryptor.finish()

    return _write(path, sealed())


def _write(path: Path, chunks: Iterable[bytes]) -> tuple[str, int]:
    """Write a new file durably; its SHA-256 and size."""
    state, size = hashlib.sha256(), 0

    def tee() -> Iterator[bytes]:
        nonlocal size
        for chunk in chunks:
            state.update(chunk)
            size += len(chunk)
            yield chunk

    write_new(path, tee())
    return state.hexdigest(), size


def _is_settled(path: Path) -> bool:
    """Make what a dead process wrote durable; False if one that lives may add to it.

    The kernel grants a read lease only where nobody has the file open for writing.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        os.fsync(fd)
    except OSError:
        return False
    finally:
        os.close(fd)
    return True


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            yield piece
