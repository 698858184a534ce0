"""Copies for outside: one recording, or several, each with its reason (R14)."""

from collections.abc import Mapping, Sequence
from typing import Final

from agent.access.copying import Maker, copy_recording
from agent.access.desk import Desk
from agent.access.files_out import Place
from agent.common.errors import AgentError
from agent.formats.masking import Span, parse_span

MAX_AT_ONCE: Final = 20
"Recordings: a copy is made for a case, never in bulk."


class ExportError(AgentError):
    """That is no copy that may be made."""


def parse_masks(texts: Sequence[str]) -> dict[str, list[Span]]:
    """Spans to be masked, by recording, of texts like `ID:1:02-1:10`.

    Raises ExportError, MaskingError.
    """
    masks: dict[str, list[Span]] = {}
    for text in texts:
        recording_id, colon, span = text.partition(":")
        if not colon:
            raise ExportError(
                "A mask names no recording.", hint="Write --mask ID:START-END."
            )
        masks.setdefault(recording_id, []).append(parse_span(span))
    return masks


async def export(
    desk: Desk,
    recording_ids: Sequence[str],
    maker: Maker,
    place: Place,
    *,
    masks: Mapping[str, Sequence[Span]],
) -> list[str]:
    """Write a copy of each recording; returns warnings on what was not verified.

    Raises ExportError, what `Desk.open` raises, MaskingError, WriteError.
    """
    if not 0 < len(recording_ids) <= MAX_AT_ONCE:
        raise ExportError(
            f"One to {MAX_AT_ONCE} recordings are copied at once.",
            hint="Copies are made for a case; `subject` answers a person's request.",
        )
    if strange := masks.keys() - set(recording_ids):
        raise ExportError(f"{min(strange)} is to be masked, and is not copied.")
    warnings: dict[str, None] = {}
    for recording_id in recording_ids:
        opened = await desk.open(recording_id, maker.reason)
        warnings |= dict.fromkeys(opened.warnings)
        spans = masks.get(recording_id, ())
        copy = copy_recording(opened.manifest, opened.audio, maker, spans)
        for name, data in copy.files.items():
            place.add(name, data)
    return [*warnings]
