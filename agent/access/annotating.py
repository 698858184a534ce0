"""Statements that belong to a recording without altering it (GDPR Article 16).

An annotation is encrypted to the segment's own key: whoever may open the recording may
read it, and storage and gate may not. The audio and its digest stay what they were.
"""

import os
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

import msgspec

from agent.access.desk import Desk
from agent.access.reason import Reason
from agent.archive import record_state
from agent.archive.record_state import MAX_ANNOTATIONS
from agent.archive.states import States
from agent.common.errors import AgentError
from agent.common.moments import moment_text
from agent.formats.age import decrypt, encrypt, parse_recipient
from agent.formats.canonical import CanonicalError, canonical, parse_canonical
from agent.formats.envelope import SegmentKey
from agent.formats.layout import annotation_key
from agent.upload.backend import read_object

VERSION: Final = 1
MAX_TEXT: Final = 12_000
"Bytes: some four pages."
MAX_SEALED: Final = 1 << 14
"Bytes, as the gate takes them: the text as JSON, and age's header."

Kind = Literal["statement", "correction"]


class AnnotationError(AgentError):
    """It cannot become an annotation, or is none."""

    hint = "Give a text of at most 12000 bytes."


@dataclass(frozen=True, slots=True)
class Statement:
    """What is to be noted, as it was typed."""

    kind: Kind
    text: str = field(repr=False)


class Annotation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One statement about a recording."""

    version: int = VERSION
    id: str
    "Of the recording: an annotation moved to another is found out."
    kind: Kind
    "What the person says about it, or that something in its tags is wrong."
    at: str
    "UTC, ISO 8601."
    by: str
    "Who wrote it down: a person's id in the roster."
    reference: str
    text: str

    def __repr__(self) -> str:
        return f"Annotation(id={self.id!r}, …)"


def seal_annotation(annotation: Annotation, recipient: str) -> bytes:
    """Encrypt an annotation to the segment's public key. Raises AnnotationError."""
    text = annotation.text
    if not text.strip() or len(text.encode()) > MAX_TEXT:
        raise AnnotationError("The annotation is empty or too long.")
    data = canonical(annotation)
    sealed = encrypt(data, [parse_recipient(recipient)], os.urandom)
    if len(sealed) > MAX_SEALED:  # control characters take six bytes each in JSON
        raise AnnotationError("The annotation is too long.")
    return sealed


def open_annotation(sealed: bytes, key: SegmentKey, recording_id: str) -> Annotation:
    """Decrypt one. Raises AnnotationError if it is none, AgeError if it was altered."""
    try:
        annotation = parse_canonical(
            decrypt(sealed, [key.identity]), Annotation, version=VERSION
        )
    except CanonicalError as error:
        raise AnnotationError("An annotation is malformed.", hint="") from error
    if annotation.id != recording_id:
        raise AnnotationError("An annotation is another recording's.", hint="")
    return annotation


async def annotate(
    desk: Desk,
    recording_id: str,
    statement: Statement,
    reason: Reason,
    now: datetime,
) -> int:
    """Add an annotation to a recording; returns its number.

    Raises AnnotationError, and what opening the recording's envelope raises.
    """
    key = await desk.key(recording_id, reason)
    annotation = Annotation(
        id=recording_id,
        kind=statement.kind,
        at=moment_text(now),
        by=desk.person,
        reference=reason.reference,
        text=statement.text,
    )
    sealed = seal_annotation(annotation, key.recipient)
    if desk.gate is not None:
        return await desk.gate.annotate(recording_id, sealed)
    number = 0
    for target in desk.targets:
        # Its number first: two who annotate at once get two.
        state = await States(target.state).change(recording_id, record_state.annotate)
        number = state.annotations[-1]
        await target.state.put(annotation_key(recording_id, number), sealed)
    return number


async def annotations(
    desk: Desk, recording_id: str, key: SegmentKey
) -> list[Annotation]:
    """All annotations of a recording, the oldest first; `key` is the segment's.

    Raises AnnotationError, AgeError, GateError, StorageError.
    """
    if desk.gate is not None:
        sealed = await desk.gate.annotations(recording_id)
    else:
        [archive, *_] = desk.archives
        names = await archive.annotations(recording_id)
        if len(names) > MAX_ANNOTATIONS:
            raise AnnotationError("The recording has too many annotations.", hint="")
        sealed = [await read_object(archive.state, name, MAX_SEALED) for name in names]
    return [open_annotation(data, key, recording_id) for data in sealed]
