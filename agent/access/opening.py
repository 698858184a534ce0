"""A recording is verified and opened: nothing is returned before all of it is proven.

Where a roster is at hand: the seal is of a rostered host, all objects are as it says,
the envelope holds the key they were sealed to. Always: the manifest is of this
recording, and the audio is the manifest's. Runs where a person's key is.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Final

from agent.archive.store import Archive
from agent.archive.verification import (
    MAX_OBJECT,
    SEAL,
    VerificationError,
    hosts_of,
    verify_objects,
)
from agent.common.errors import AgentError
from agent.formats.age import AgeError, Identity, NoMatchError, decrypt
from agent.formats.audio_format import AudioFormat
from agent.formats.envelope import SegmentKey, open_envelope
from agent.formats.layout import Domain, Folder
from agent.formats.manifest import Manifest, ManifestError, parse_manifest
from agent.formats.roster import Roster
from agent.formats.seal import Statement, recipient_fingerprint, segment_digest
from agent.recording.assembly import digest
from agent.recording.finisher import finish_journals
from agent.upload.backend import ObjectTooLargeError, StorageBackend, read_object
from agent.upload.targets import Target

AUDIO_NAMES: Final = frozenset(f"{format_.suffix}.age" for format_ in AudioFormat)
MANIFEST: Final = "json.age"
ENVELOPE: Final = "envelope"
INDEX: Final = "index"
FOLDERS: Final = ("audio", "keys", "manifest")
"Of the storage's objects; below them are year, month and day."
NO_ROSTER: Final = (
    "no roster was given: it was not verified which host has made this recording,"
    " nor whether anything of it was replaced"
)


class OpenError(AgentError):
    """The recording cannot be opened."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What a search asked for, and so what the manifest must say."""

    domain: Domain
    number: str = field(repr=False)


@dataclass(slots=True)
class Found:
    """The sealed objects of one recording: as read, not yet believed."""

    id: str
    envelope: bytes = field(default=b"", repr=False)
    "The inner one: what a gate has released, or all there is without one."
    audio: bytes = field(default=b"", repr=False)
    suffix: str = ""
    "What the audio file's name ends in, before it was encrypted."
    manifest: bytes = field(default=b"", repr=False)
    journals: dict[str, bytes] = field(default_factory=dict, repr=False)
    "By what their names end in, `0.journal`."
    seal: bytes = field(default=b"", repr=False)

    def take(self, suffix: str, data: bytes) -> None:
        """Take up an object, by what its name has behind the id and a dot."""
        if suffix == "key.age":
            self.envelope = data
        elif suffix == MANIFEST:
            self.manifest = data
        elif suffix == SEAL:
            self.seal = data
        elif suffix in AUDIO_NAMES:
            self.audio, self.suffix = data, suffix.removesuffix(".age")
        elif suffix.endswith(".journal"):
            self.journals[suffix] = data

    @property
    def objects(self) -> dict[str, bytes]:
        """All that a seal speaks of, by what the names end in."""
        objects = dict(self.journals)
        if self.audio:
            objects[f"{self.suffix}.age"] = self.audio
        if self.manifest:
            objects[MANIFEST] = self.manifest
        return objects


@dataclass(frozen=True, slots=True)
class Opened:
    """A recording that was verified."""

    id: str
    suffix: str
    "What the audio file's name ends in: `wav`, `flac`, `opus`."
    audio: bytes = field(repr=False)
    manifest: Manifest
    facts: bytes = field(repr=False)
    "The manifest's own bytes."
    warnings: tuple[str, ...] = ()
    "What could not be verified, or is unusual: a sentence each, without a name."


def open_found(
    found: Found,
    identities: Sequence[Identity],
    roster: Roster | None,
    *,
    expected: Expected | None = None,
) -> Opened:
    """Verify and open; with `roster` nothing that its hosts did not seal is believed.

    Raises VerificationError, naming the object; NoMatchError where the envelope is for
    others; OpenError where something is not there at all.
    """
    statement, warnings = None, [NO_ROSTER]
    if roster is not None:
        hosts = hosts_of(roster, found.seal)
        statement = verify_objects(found.id, found.seal, found.objects, hosts).statement
        warnings = []
    key = _open_envelope(found, identities)
    if statement is not None and roster is not None:
        warnings += _addressees(statement, key, identities, roster)
    if found.audio:
        suffix = found.suffix
        facts = _decrypt(found.manifest, key, MANIFEST)
        manifest = _manifest(facts, found.id)
        audio = _decrypt(found.audio, key, f"{suffix}.age")
        if digest(iter([audio])) != (manifest.audio.sha256, manifest.audio.size):
            raise VerificationError(
                f"{suffix}.age", "it is not the audio that its manifest is about."
            )
    elif found.journals:
        suffix, audio, manifest = _finish(found, key)
        facts = manifest.to_bytes()
    else:
        raise OpenError("neither audio nor a journal was found beside the envelope.")
    if statement is not None and manifest.host != statement.host:
        raise VerificationError(MANIFEST, "it names another host than the seal.")
    if expected is not None:
        _compare(manifest, expected)
    return Opened(found.id, suffix, audio, manifest, facts, tuple(warnings))


async def collect(
    recording_id: str,
    targets: Sequence[Target],
    *,
    day: date | None = None,
    envelope: bytes | None = None,
) -> Found:
    """Read a recording's objects from the first storage that has it.

    With `envelope`, which a gate has released, nothing in `keys/` is asked for. With
    `day` only its folders are looked into. Raises OpenError, StorageError, LayoutError.
    """
    for target in targets:
        by = Folder.KEYS if envelope is None else Folder.MANIFEST
        archive = Archive.of(target, by=by)
        where = (
            day
            or await archive.locate(recording_id)
            or await _search(archive, by, recording_id)
        )
        if where is None:
            continue
        found = Found(recording_id, envelope or b"")
        folders = [Folder.AUDIO, Folder.MANIFEST]
        if envelope is None:
            folders.insert(0, Folder.KEYS)
        for folder in folders:
            for stored in await archive.objects(folder, recording_id, where):
                data = await _read(archive.backend(folder), stored.key)
                found.take(stored.name.suffix, data)
        if found.envelope and (found.audio or found.journals):
            return found
    raise _no_envelope()


def from_files(path: Path) -> Found:
    """The objects beside a file, or in a copy of the storage's folders.

    Raises OpenError, OSError.
    """
    path = path.resolve()
    found = Found(path.name.partition(".")[0])
    places = [path.parent]
    # …/locked/audio/2026/11/24/ID.wav.age has its envelope in …/state/keys/2026/11/24.
    if len(path.parents) > 5 and path.parents[3].name in FOLDERS:
        day = path.parent.relative_to(path.parents[3])
        places += [
            bucket / folder / day
            for bucket in sorted(path.parents[5].iterdir())
            for folder in FOLDERS
        ]
    for place in places:
        for candidate in sorted(place.glob(f"{found.id}.*")):
            if candidate.stat().st_size > MAX_OBJECT:
                raise OpenError(f"{candidate} is larger than any recording.")
            suffix = candidate.name.removeprefix(f"{found.id}.")
            found.take(suffix, candidate.read_bytes())
    if not found.envelope:
        raise _no_envelope()
    return found


async def _search(archive: Archive, by: Folder, recording_id: str) -> date | None:
    """The day of what is older, or younger, than any that is usual."""
    async for day in archive.days(by):
        if await archive.objects(by, recording_id, day):
            return day
    return None


async def _read(backend: StorageBackend, key: str) -> bytes:
    try:
        return await read_object(backend, key, MAX_OBJECT)
    except ObjectTooLargeError as error:
        raise OpenError(f"{key} is larger than any recording.") from error


def _no_envelope() -> OpenError:
    return OpenError(
        "its key envelope was not found.",
        hint="Check the id; an erased recording has none.",
    )


def _open_envelope(found: Found, identities: Sequence[Identity]) -> SegmentKey:
    try:
        return open_envelope(found.envelope, identities)
    except NoMatchError:
        raise NoMatchError(
            "The envelope is for none of the given keys, within a gate's layer, or"
            " altered."
        ) from None
    except AgeError as error:
        raise VerificationError(ENVELOPE, str(error)) from None


def _addressees(
    statement: Statement,
    key: SegmentKey,
    identities: Sequence[Identity],
    roster: Roster,
) -> Iterable[str]:
    """Whether the envelope holds the key that was sealed to; who else was to have it.

    Raises VerificationError.
    """
    if not statement.segment_key:
        yield (
            "the host did not sign yet when it began this recording: its key is not"
            " in the seal"
        )
        return
    if segment_digest(key.recipient) != statement.segment_key:
        raise VerificationError(
            ENVELOPE, "it holds another key than the recording was made with."
        )
    sealed_to = set(statement.recipients)
    ours = {
        recipient_fingerprint(key.recipient, str(identity.recipient()))
        for identity in identities
    }
    if not ours & sealed_to:
        yield "the envelope was wrapped anew since: your key was not among the first"
    rostered = [person.recipient for person in roster.people if person.recipient]
    known = {
        recipient_fingerprint(key.recipient, text)
        for text in (*rostered, *roster.recovery)
    }
    if strangers := len(sealed_to - known):
        yield f"{strangers} of those it was made for are not in the roster"


def _decrypt(data: bytes, key: SegmentKey, name: str) -> bytes:
    try:
        return decrypt(data, [key.identity])
    except AgeError as error:
        raise VerificationError(name, str(error)) from None


def _manifest(facts: bytes, recording_id: str) -> Manifest:
    try:
        manifest = parse_manifest(facts)
    except ManifestError as error:
        raise VerificationError(MANIFEST, str(error)) from None
    if manifest.id != recording_id:
        raise VerificationError(MANIFEST, "it is that of another recording.")
    return manifest


def _finish(found: Found, key: SegmentKey) -> tuple[str, bytes, Manifest]:
    journals = [found.journals[name] for name in sorted(found.journals)]
    suffix, audio, manifest = finish_journals(journals, key)
    if manifest.id != found.id:
        raise VerificationError("journal", "it is that of another recording.")
    return suffix, audio, manifest


def _compare(manifest: Manifest, expected: Expected) -> None:
    numbers = (
        list(manifest.callers)
        if expected.domain == "caller"
        else [officer.number for officer in manifest.officers]
    )
    if expected.number not in numbers:
        raise VerificationError(
            INDEX, "it led to a recording of somebody else, which is not shown."
        )
