from itertools import pairwise

import pytest

from agent.model.recording import (
    MAX_DOCUMENTS,
    MAX_METADATA,
    SegmentMetadata,
    metadata_notes,
)
from agent.recording.documents import Documents

MS = 1_000_000
START = 5_000 * MS


def test_parts_in_any_order_and_twice_make_one_document() -> None:
    first, second = metadata_notes(b"x" * 40_000 + b"y", ("flaw",), START + 9 * MS)
    documents = Documents()
    for note in (second, first, second, first):
        documents.note(note)
    [found] = documents.since(START)
    assert (found.at_ms, found.flaws) == (9, ("flaw",))
    assert found.xml == b"x" * 40_000 + b"y"


def test_a_part_that_is_missing_is_told() -> None:
    documents = Documents()
    documents.note(
        SegmentMetadata(at_monotonic_ns=START - MS, part=1, parts=2, xml=b"end")
    )
    [found] = documents.since(START)
    assert (found.at_ms, found.xml, found.flaws) == (0, b"end", ("torn",))


@pytest.mark.parametrize(
    ("count", "size"), [(MAX_DOCUMENTS + 9, 10), (40, MAX_METADATA // 30)]
)
def test_more_metadata_than_is_kept_is_told(count: int, size: int) -> None:
    documents = Documents()
    for number in range(count):
        for one in metadata_notes(bytes(size), (), START + number * MS):
            documents.note(one)
    found = documents.since(START)
    assert sum(len(one.xml) for one in found) <= MAX_METADATA
    assert len(found) <= MAX_DOCUMENTS + 1
    *_, last = found
    assert (last.xml, last.flaws) == (b"", ("left-out",))
    assert all(a.at_ms < b.at_ms for a, b in pairwise(found[:-1]))
