"""Metadata documents as they came, for the segments that are yet to begin: sans-IO.

A segment holds every document that says who is heard in it: the last complete one, and
what came after. They are evidence; what is wrong in them is named beside them.
"""

from typing import Final

import msgspec

MAX_KEPT: Final = 24 * 1024
"Octets: what is more is told to the segment that is open, and not repeated later. A \
document of two parties takes some 3 kB, and all of it is kept for another process."


class Document(msgspec.Struct, frozen=True, array_like=True):
    """One document."""

    xml: bytes
    flaws: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Document({len(self.xml)} octets, …)"


class Documents:
    """Those that hold now, the oldest first."""

    def __init__(self, documents: tuple[Document, ...] = ()) -> None:
        self._documents = list(documents)

    @property
    def all(self) -> tuple[Document, ...]:
        """What the next segment is to be told."""
        return tuple(self._documents)

    def add(self, document: Document, *, complete: bool) -> None:
        """One more; a complete one stands for all before it."""
        if complete:
            self._documents.clear()
        kept = sum(len(one.xml) for one in self._documents)
        if kept + len(document.xml) <= MAX_KEPT:
            self._documents.append(document)
