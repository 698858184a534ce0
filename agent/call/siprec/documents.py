"""Metadata documents as they came, for the segments that are yet to begin: sans-IO.

A segment holds every document that says who is heard in it: the last complete one, and
what came after. They are evidence; what is wrong in them is named beside them.
"""

from typing import Final

import msgspec

from agent.model.recording import MAX_DOCUMENTS, MAX_METADATA

MAX_SAVED: Final = 24 * 1024
"Octets that are kept for another process; a document of two parties takes some 3 kB."


class Document(msgspec.Struct, frozen=True, array_like=True):
    """One document."""

    xml: bytes
    flaws: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Document({len(self.xml)} octets, …)"


class Documents:
    """Those that hold now, the oldest first; as many as one segment takes."""

    def __init__(self, documents: tuple[Document, ...] = ()) -> None:
        self._documents = list(documents)

    @property
    def all(self) -> tuple[Document, ...]:
        """What the next segment is to be told."""
        return tuple(self._documents)

    @property
    def state(self) -> tuple[Document, ...]:
        """What another process repeats: the oldest, as far as there is room."""
        saved, size = [], 0
        for document in self._documents:
            size += len(document.xml)
            if size <= MAX_SAVED:
                saved.append(document)
        return tuple(saved)

    def add(self, document: Document, *, complete: bool) -> None:
        """One more; a complete one stands for all before it."""
        if complete:
            self._documents.clear()
        size = sum(len(one.xml) for one in self._documents) + len(document.xml)
        if size <= MAX_METADATA and len(self._documents) < MAX_DOCUMENTS:
            self._documents.append(document)
