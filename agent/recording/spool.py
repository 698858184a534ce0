"""The spool: what is being recorded, and what waits for central storage.

    <root>/journal/<id>.<epoch>.journal   written by the media workers
    <root>/keys/<id>.key.age              envelopes, durable before the journal
    <root>/keys/<id>.addressees           to whom, in fingerprints, where the host signs
    <root>/keys/<id>.discarded            instead of an envelope, until the journal goes
    <root>/sealed/<id>/                   complete, to be uploaded; the upload queue
    <root>/work/                          half-made; emptied at every start
    <root>/quarantine/                    what has no key; never deleted by itself

A recording moves to `sealed` by one rename of a directory; whatever is killed before
that leaves the journal, whatever is killed after it leaves a complete directory.
What has another name, or is a link or a device, is none of ours, and is let be.
"""

import errno
import fcntl
import os
import re
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, Literal

import msgspec

from agent.common.errors import AgentError
from agent.common.files import (
    make_private_directory,
    sync_directory,
    write_durably,
    write_new,
)
from agent.formats.layout import ID_PATTERN

UPLOADS: Final = "upload.json"
ADDRESSEES: Final = ".addressees"
DISCARDED: Final = ".discarded"
_ID: Final = re.compile(ID_PATTERN)
_JOURNAL: Final = re.compile(rf"({_ID.pattern})\.(\d{{1,9}})\.journal")
_ENVELOPE: Final = re.compile(rf"({_ID.pattern})\.key\.age")
_DISCARDED: Final = re.compile(rf"({_ID.pattern}){re.escape(DISCARDED)}")


class SpoolError(AgentError):
    """The spool cannot take what it should."""

    permanent = False


class SealedError(SpoolError):
    """A sealed recording's list of objects is damaged."""

    permanent = True
    hint = "Its files are whole or not by themselves: upload them by hand."


class SealedObject(msgspec.Struct, frozen=True, kw_only=True):
    """One object of a sealed recording, and where it goes."""

    file: str
    target: Literal["locked", "state"]
    key: str
    sha256: str
    size: int


class Spool:
    """One host's spool directory; one daemon at a time."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.journal_directory = root / "journal"
        self.keys_directory = root / "keys"
        self.sealed_directory = root / "sealed"
        self.work_directory = root / "work"
        self.quarantine_directory = root / "quarantine"
        self._lock: int | None = None

    # -- start and end ------------------------------------------------------------

    def prepare(self) -> None:
        """Make the directories, take the lock, forget what was half-made.

        Raises SpoolError if another daemon has the spool, or it cannot be written.
        """
        try:
            for directory in (
                self.root,
                self.journal_directory,
                self.keys_directory,
                self.sealed_directory,
                self.work_directory,
                self.quarantine_directory,
            ):
                make_private_directory(directory)
            sync_directory(self.root)  # if the start that made them was killed
            self._take_lock()
            for path in self.work_directory.iterdir():
                shutil.rmtree(path) if _is_directory(path) else path.unlink()
            for directory in (self.root, self.keys_directory):
                for path in filter(_is_file, directory.glob(".*.tmp")):
                    path.unlink()
            for path in filter(_is_file, self.keys_directory.glob(f"*{ADDRESSEES}")):
                if not path.with_suffix(".key.age").exists():
                    path.unlink()
        except OSError as error:
            raise SpoolError(
                f"the spool {self.root} cannot be used: {error.strerror}.",
                hint="Check agent.spool, its owner and its file system.",
            ) from error

    def close(self) -> None:
        """Let another daemon have the spool."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _take_lock(self) -> None:
        fd = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            raise SpoolError(
                f"another daemon uses the spool {self.root}.",
                hint="Stop it, or give this one a spool of its own.",
            ) from None
        self._lock = fd

    # -- envelopes and journals -------------------------------------------------------

    def envelope_path(self, recording_id: str) -> Path:
        """Where a segment's key envelope lies until it is sealed."""
        return self.keys_directory / f"{recording_id}.key.age"

    def addressees_path(self, recording_id: str) -> Path:
        """Where it lies beside the envelope to whom that is sealed."""
        return self.keys_directory / f"{recording_id}{ADDRESSEES}"

    def write_envelope(
        self, recording_id: str, data: bytes, addressees: bytes | None = None
    ) -> None:
        """Make a segment's key envelope durable, and what is said of it.

        Where the envelope is, its addressees are. Raises OSError.
        """
        if addressees is not None:
            # Its name becomes durable with the envelope's own.
            write_new(self.addressees_path(recording_id), [addressees])
        write_durably(self.envelope_path(recording_id), data)

    def forget_envelope(self, recording_id: str) -> None:
        """Remove an envelope and what is said of it. Raises OSError."""
        self.addressees_path(recording_id).unlink(missing_ok=True)
        self.envelope_path(recording_id).unlink(missing_ok=True)
        self._discarded_path(recording_id).unlink(missing_ok=True)

    def condemn(self, recording_id: str) -> None:
        """Destroy the only key to a segment that is not sealed, for good.

        `forget_sources` removes the rest of it, or the next start. Raises OSError;
        the key is destroyed also where a full disk does not take the note of it.
        """
        try:
            write_durably(self._discarded_path(recording_id), b"")
        finally:
            self.addressees_path(recording_id).unlink(missing_ok=True)
            self.envelope_path(recording_id).unlink(missing_ok=True)
            sync_directory(self.keys_directory)

    def _discarded_path(self, recording_id: str) -> Path:
        return self.keys_directory / f"{recording_id}{DISCARDED}"

    def list_discarded(self) -> list[str]:
        """Every recording that is condemned, and may not be gone yet."""
        return self._those_of_keys(_DISCARDED)

    def journals_of(self, recording_id: str) -> list[Path]:
        """One recording's journals, in the order of their epochs."""
        # No Path each, nor glob: where thousands wait that takes five times as long.
        names = os.listdir(self.journal_directory)  # noqa: PTH208 - as said
        found = (n for n in names if n.startswith(recording_id))
        paths = (self.journal_directory / name for name in found)
        return _by_recording(paths).get(recording_id, [])

    def list_journals(self) -> dict[str, list[Path]]:
        """Every recording that has journals, and these by epoch."""
        return _by_recording(self.journal_directory.iterdir())

    def list_envelopes(self) -> list[str]:
        """Every recording whose envelope is not sealed with it yet."""
        return self._those_of_keys(_ENVELOPE)

    def _those_of_keys(self, pattern: re.Pattern[str]) -> list[str]:
        found = filter(_is_file, self.keys_directory.iterdir())
        matches = (pattern.fullmatch(path.name) for path in found)
        return sorted(match[1] for match in matches if match)

    def quarantine(self, recording_id: str) -> None:
        """Put a recording's journals aside. Raises OSError."""
        for path in self.journals_of(recording_id):
            path.rename(self.quarantine_directory / path.name)

    def list_quarantined(self) -> list[str]:
        """Every recording whose journals were put aside."""
        return sorted(_by_recording(self.quarantine_directory.iterdir()))

    # -- sealed -----------------------------------------------------------------------

    def begin_work(self, recording_id: str) -> Path:
        """An empty directory in which a recording is sealed."""
        self.abandon_work(recording_id)
        work = self.work_directory / recording_id
        work.mkdir(mode=0o700)
        return work

    def abandon_work(self, recording_id: str) -> None:
        """Give back the room that a half-sealed recording takes."""
        work = self.work_directory / recording_id
        if work.exists():
            shutil.rmtree(work)

    def commit_sealed(
        self, recording_id: str, work: Path, objects: Sequence[SealedObject]
    ) -> None:
        """Make a filled work directory the sealed recording, all of it or nothing."""
        write_durably(work / UPLOADS, msgspec.json.encode(list(objects)))
        destination = self.sealed_directory / recording_id
        try:
            work.rename(destination)
        except OSError as error:
            if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
                raise
            shutil.rmtree(work)  # it was sealed before: the first one stands
        sync_directory(self.sealed_directory)

    def list_sealed(self) -> list[str]:
        """Recordings that wait for upload, the oldest first."""
        found = [
            (_sealed_at(path), path.name)
            for path in self.sealed_directory.iterdir()
            if _ID.fullmatch(path.name) and _is_directory(path)
        ]
        return [name for _, name in sorted(found)]

    def sealed_objects(self, recording_id: str) -> list[SealedObject]:
        """What of a sealed recording goes where. Raises OSError, SealedError."""
        path = self.sealed_directory / recording_id / UPLOADS
        try:
            return msgspec.json.decode(path.read_bytes(), type=list[SealedObject])
        except FileNotFoundError as error:
            raise SealedError(f"{path} is missing.") from error
        except msgspec.DecodeError as error:
            raise SealedError(f"{path} is damaged.") from error

    def is_sealed(self, recording_id: str) -> bool:
        """Whether a recording waits for upload."""
        return (self.sealed_directory / recording_id).is_dir()

    def sealed_at(self, recording_id: str) -> int:
        """When it was sealed, in UTC nanoseconds. Raises FileNotFoundError."""
        return _sealed_at(self.sealed_directory / recording_id)

    def sealed_path(self, recording_id: str, file: str) -> Path:
        """One file of a sealed recording."""
        return self.sealed_directory / recording_id / file

    # -- the end ----------------------------------------------------------------------

    def forget_sources(self, recording_id: str) -> None:
        """Remove journal and envelope: the sealed directory has all that is needed.

        For good, and the envelope last: were they there again after a power cut, and
        the sealed directory not, they would pass for a recording of their own.
        """
        self.forget_journals(recording_id)
        self.forget_envelope(recording_id)
        sync_directory(self.keys_directory)

    def forget_journals(self, recording_id: str) -> None:
        """Remove a recording's journals, for good."""
        for path in self.journals_of(recording_id):
            path.unlink(missing_ok=True)
        sync_directory(self.journal_directory)

    def purge(self, recording_id: str) -> None:
        """Remove all of a recording: storage has it.

        The journals go first: while the sealed directory stands, the next start
        knows that they are not needed.
        """
        if self.envelope_path(recording_id).exists():
            # It goes last: without it there is no journal, and none to be looked for
            # among the thousands that may be there.
            self.forget_sources(recording_id)
        else:
            # A purge that was killed may not have made that durable.
            sync_directory(self.keys_directory)
        sealed = self.sealed_directory / recording_id
        if sealed.exists():
            # Out of the queue in one step, so that no half of it is ever uploaded.
            doomed = self.work_directory / f"purged-{recording_id}"
            sealed.rename(doomed)
            sync_directory(self.sealed_directory)
            shutil.rmtree(doomed)


def _sealed_at(directory: Path) -> int:
    """Its list's age: the directory's own begins anew with each file put into it."""
    try:
        return (directory / UPLOADS).stat().st_mtime_ns
    except FileNotFoundError:
        return directory.stat().st_mtime_ns


def _is_file(path: Path) -> bool:
    """Whether it is a file itself, not a link to one, whatever becomes of it."""
    return path.is_file() and not path.is_symlink()


def _is_directory(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _by_recording(paths: Iterable[Path]) -> dict[str, list[Path]]:
    """Journals by recording, in the order of their epochs; other files left out."""
    found: dict[str, list[tuple[int, Path]]] = {}
    for path in paths:
        if (match := _JOURNAL.fullmatch(path.name)) and _is_file(path):
            found.setdefault(match[1], []).append((int(match[2]), path))
    return {
        recording_id: [path for _, path in sorted(found[recording_id])]
        for recording_id in sorted(found)
    }
