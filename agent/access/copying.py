"""A copy of a recording for someone outside: standard audio, its tags, and a sheet.

The sheet says what the copy is of, why it was made and by whom, what was masked, and
the digest of each file; it is signed where the person has a signing key. The audio's
metadata hold the same in one line, so that a file that is passed on tells it.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import msgspec

from agent.access.reason import Reason
from agent.common.moments import moment_text
from agent.formats.audio_format import AudioFormat
from agent.formats.canonical import canonical
from agent.formats.manifest import Manifest
from agent.formats.masking import Span, mask
from agent.formats.signed import sign_document
from agent.formats.sshsig import Namespace, SigningKey
from agent.formats.watermark import watermark

VERSION: Final = 1
_SPANS_TOLD: Final = 3
"In the metadata line; the sheet names all."


class MaskedSpan(msgspec.Struct, frozen=True, kw_only=True):
    """Where the copy is silent and the original is not."""

    start_ms: int
    end_ms: int


class CopiedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file of the copy."""

    name: str
    sha256: str
    size: int


class Sheet(msgspec.Struct, frozen=True, kw_only=True):
    """What goes with a copy: canonical JSON, perhaps signed by who made it."""

    version: int = VERSION
    id: str
    made: str
    "UTC, ISO 8601."
    by: str
    "The person's id in the roster; empty where none is configured."
    purpose: str
    reference: str
    recipient: str
    basis: str
    original_sha256: str
    "Of the recording's audio before it was sealed: as in its manifest."
    masked: tuple[MaskedSpan, ...]
    files: tuple[CopiedFile, ...]


@dataclass(frozen=True, slots=True)
class Copy:
    """The files of one copy, by name; a name holds the recording's id alone."""

    id: str
    files: Mapping[str, bytes] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Maker:
    """Who makes a copy, when, and why."""

    person: str
    now: datetime
    reason: Reason
    signing_key: SigningKey | None = field(default=None, repr=False)


def copy_recording(
    manifest: Manifest,
    audio: bytes,
    maker: Maker,
    spans: Sequence[Span] = (),
) -> Copy:
    """A copy of a recording that was opened and verified.

    Raises MaskingError if a span cannot be masked, ContainerError or CommentError if
    the audio is broken.
    """
    format_ = AudioFormat(manifest.audio.format)
    reason = maker.reason
    made = moment_text(maker.now)
    line = _line(manifest.id, maker, made, spans)
    masked = tuple(MaskedSpan(start_ms=one, end_ms=other) for one, other in spans)
    files = {
        f"{manifest.id}.{format_.suffix}": watermark(
            mask(audio, format_, spans), format_, line
        ),
        f"{manifest.id}.json": _tags(manifest, masked),
    }
    sheet = Sheet(
        id=manifest.id,
        made=made,
        by=maker.person,
        purpose=reason.purpose,
        reference=reason.reference,
        recipient=reason.recipient,
        basis=reason.basis,
        original_sha256=manifest.audio.sha256,
        masked=masked,
        files=tuple(copied(name, data) for name, data in files.items()),
    )
    files[f"{manifest.id}.sheet.json"] = signed_sheet(sheet, maker)
    return Copy(manifest.id, files)


def signed_sheet(sheet: object, maker: Maker) -> bytes:
    """One line of canonical JSON, and the maker's signature under it if they sign."""
    payload = canonical(sheet)
    if maker.signing_key is None:
        return payload
    return sign_document(payload, [maker.signing_key], Namespace.EXPORT)


def copied(name: str, data: bytes) -> CopiedFile:
    """A file as a sheet names it."""
    digest = hashlib.sha256(data).hexdigest()
    return CopiedFile(name=name, sha256=digest, size=len(data))


def _line(recording_id: str, maker: Maker, made: str, spans: Sequence[Span]) -> str:
    reason = maker.reason
    words = [f"Copy of recording {recording_id}", f"made {made}"]
    words += [f"by {maker.person}"] if maker.person else []
    words += [f"for {reason.purpose}"]
    words += [f"reference {reason.reference}"] if reason.reference else []
    words += [f"to {reason.recipient}"] if reason.recipient else []
    if spans:
        told = [str(span) for span in spans[:_SPANS_TOLD]]
        told += ["and more"] if len(spans) > _SPANS_TOLD else []
        words += ["masked " + " ".join(told)]
    return ", ".join(words)


def _tags(manifest: Manifest, masked: Sequence[MaskedSpan]) -> bytes:
    """The manifest as people read it, and where the copy is silent."""
    tags = msgspec.to_builtins({"manifest": manifest, "masked": masked})
    return msgspec.json.format(msgspec.json.encode(tags), indent=2) + b"\n"
