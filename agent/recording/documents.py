"""A recording client's metadata, put together from the notes of the journals."""

from dataclasses import dataclass, field
from typing import Final

from agent.formats.manifest import MetadataDocument
from agent.model.recording import (
    LEFT_OUT,
    MAX_DOCUMENTS,
    MAX_METADATA,
    SegmentMetadata,
)

TORN: Final = "torn"
"The flaw of a document of which a part is not in the journals."
_MILLISECOND: Final = 1_000_000


@dataclass(slots=True)
class _Document:
    parts: int
    flaws: tuple[str, ...]
    xml: dict[int, bytes] = field(default_factory=dict)


class Documents:
    """Takes notes in the order of the journals, where some stand twice.

    Bounded as what is written is: several main processes may each have kept as much.
    """

    def __init__(self) -> None:
        self._documents: dict[int, _Document] = {}
        "By their moment: a worker's successor repeats what may have been lost."
        self._size = 0
        self._left_out_ns: int | None = None

    def note(self, note: SegmentMetadata) -> None:
        """Take a document, or a part of one."""
        found = self._documents.get(note.at_monotonic_ns)
        if found is not None and note.part in found.xml:
            return
        size = self._size + len(note.xml)
        full = found is None and len(self._documents) >= MAX_DOCUMENTS
        if self._left_out_ns is not None or size > MAX_METADATA or full:
            if self._left_out_ns is None:
                self._left_out_ns = note.at_monotonic_ns
            return
        if found is None:
            found = _Document(note.parts, note.flaws)
            self._documents[note.at_monotonic_ns] = found
        found.xml[note.part] = note.xml
        self._size = size

    def since(self, start_ns: int) -> tuple[MetadataDocument, ...]:
        """All of them in the order of their moments, told from `start_ns`."""
        found = [
            MetadataDocument(
                at_ms=max(at_ns - start_ns, 0) // _MILLISECOND,
                xml=b"".join(document.xml[part] for part in sorted(document.xml)),
                flaws=document.flaws
                if len(document.xml) == document.parts
                else (*document.flaws, TORN),
            )
            for at_ns, document in sorted(self._documents.items())
        ]
        if self._left_out_ns is not None:
            at_ms = max(self._left_out_ns - start_ns, 0) // _MILLISECOND
            found.append(MetadataDocument(at_ms=at_ms, xml=b"", flaws=(LEFT_OUT,)))
        return tuple(found)
