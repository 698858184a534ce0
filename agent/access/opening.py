"""The reader's side: sealed objects of a recording → verified audio and manifest.

Nothing is given back before all of it was read to its end and agrees: age
authenticates each piece, and the manifest, which is sealed with the audio, has its
digest.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from agent.archive.store import Archive, NotFoundError, Stored
from agent.common.errors import AgentError
from agent.formats.age import Identity, decrypt
from agent.formats.audio_format import AudioFormat
from agent.formats.envelope import SegmentKey, open_envelope
from agent.formats.layout import Domain, Folder
from agent.formats.manifest import Manifest, parse_manifest
from agent.formats.roster import Roster
from agent.recording.finisher import finish_journals
from agent.upload.backend import read_object
from agent.upload.targets import Target

MAX_OBJECT: Final = 1 << 30
"Bytes: two hours of stereo are 115 MB."
AUDIO_NAMES: Final = frozenset(f"{format_.suffix}.age" for format_ in AudioFormat)
UNSEALED: Final = "which host made the recording was not verified."


class OpenError(AgentError):
    """The recording cannot be opened; the message names the object that is at fault."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What was looked for: an index entry that leads elsewhere is found out."""

    domain: Domain
    number: str = field(repr=False)

    def agrees(self, manifest: Manifest) -> bool:
        """Whether the number took part in that recording, on that side."""
        if self.domain == "caller":
            return manifest.caller == self.number
        return any(officer.number == self.number for officer in manifest.officers)


@dataclass(slots=True)
class Found:
    """The sealed objects of one recording."""

    id: str
    envelope: bytes = field(default=b"", repr=False)
    "Without the gate's layer."
    audio: bytes = field(default=b"", repr=False)
    suffix: str = ""
    "What the audio file's name ends in, before it was encrypted."
    manifest: bytes = field(default=b"", repr=False)
    journals: dict[str, bytes] = field(default_factory=dict, repr=False)
    seal: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Opened:
    """A recording in the clear, verified."""

    id: str
    suffix: str
    audio: bytes = field(repr=False)
    manifest: Manifest
    facts: bytes = field(repr=False)
    "The manifest's bytes."
    warnings: tuple[str, ...] = ()
    "What could not be verified, a sentence each."


async def collect(
    recording_id: str,
    targets: Sequence[Target],
    *,
    day: date | None = None,
    envelope: bytes | None = None,
) -> Found:
    """Read a recording's objects, from the first storage that has it.

    With `day` nothing is looked for elsewhere; with `envelope`, as a gate gave it,
    nothing is asked of `keys/`. Raises OpenError, StorageError.
    """
    by = Folder.KEYS if envelope is None else Folder.MANIFEST
    for target in targets:
        archive = Archive.of(target, by=by)
        found_on = day or await archive.locate(recording_id)
        if found_on is None:
            continue
        found = Found(recording_id, envelope or b"")
        for folder in (Folder.AUDIO, Folder.MANIFEST):
            for stored in await archive.objects(folder, recording_id, found_on):
                data = await read_object(archive.locked, stored.key, MAX_OBJECT)
                _take(found, stored, data)
        if not found.audio and not found.journals:
            continue
        if envelope is None:
            try:
                found.envelope = await archive.envelope(recording_id, found_on)
            except NotFoundError:
                continue
        return found
    raise OpenError(
        "the recording was not found, or its key envelope.",
        hint="Check the id; an erased recording has none.",
    )


def open_found(
    found: Found,
    identities: Sequence[Identity],
    roster: Roster | None,
    *,
    expected: Expected | None = None,
) -> Opened:
    """Decrypt and verify what `collect` gave.

    Raises OpenError naming what does not agree, AgeError, ManifestError, JournalError,
    AssemblyError.
    """
    key = open_envelope(found.envelope, identities)
    opened = _open_sealed(found, key) if found.audio else _open_journals(found, key)
    if opened.manifest.id != found.id:
        raise OpenError("the manifest is that of another recording.")
    if expected is not None and not expected.agrees(opened.manifest):
        raise OpenError(
            "the index names it under a number that had no part in it.",
            hint="Find out who could write the index; run `archive verify`.",
        )
    return opened


def _open_sealed(found: Found, key: SegmentKey) -> Opened:
    facts = decrypt(found.manifest, [key.identity])
    manifest = parse_manifest(facts)
    audio = decrypt(found.audio, [key.identity])
    if hashlib.sha256(audio).hexdigest() != manifest.audio.sha256:
        raise OpenError("the audio is not what its manifest says.")
    return Opened(found.id, found.suffix, audio, manifest, facts, (UNSEALED,))


def _open_journals(found: Found, key: SegmentKey) -> Opened:
    """What a host left that died over it: finished where the key is."""
    journals = [found.journals[name] for name in sorted(found.journals)]
    suffix, audio, manifest = finish_journals(journals, key)
    return Opened(found.id, suffix, audio, manifest, manifest.to_bytes(), (UNSEALED,))


def _take(found: Found, stored: Stored, data: bytes) -> None:
    suffix = stored.name.suffix
    if suffix == "json.age":
        found.manifest = data
    elif suffix == "seal":
        found.seal = data
    elif suffix in AUDIO_NAMES:
        found.audio, found.suffix = data, suffix.removesuffix(".age")
    elif suffix.endswith("journal"):
        found.journals[stored.key] = data
