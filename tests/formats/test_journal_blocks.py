import io
from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given, settings, strategies as st

from agent.formats.journal import FRAME_SIZE, MAX_BLOCK, TAG_SIZE, BlockSealer
from agent.formats.journal_blocks import JournalChangedError, StoredBlocks
from tests.formats.journals import HEADER, KEY


def journal(contents: Sequence[bytes]) -> bytes:
    sealer = BlockSealer(HEADER, KEY)
    return HEADER.to_bytes() + b"".join(map(sealer.seal, contents)) + sealer.end()


def stored(*journals: bytes) -> tuple[StoredBlocks, list[tuple[int, bytes]]]:
    """Journals, and each of their blocks with its place."""
    store = StoredBlocks(KEY)
    return store, [block for data in journals for block in store.read(io.BytesIO(data))]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 3000), min_size=1, max_size=12), st.randoms())
def test_what_stood_at_a_place_is_read_there_again(
    sizes: list[int], random: Random
) -> None:
    contents = [random.randbytes(size) for size in sizes]
    half = len(contents) // 2
    store, found = stored(journal(contents[:half]), journal(contents[half:]))
    assert [block for _, block in found] == contents
    wanted = []
    for _ in range(40):
        place, block = random.choice(found)
        at = random.randrange(len(block))
        size = random.randrange(len(block) - at + 1)
        wanted.append((place + at, block[at : at + size]))
    places = [place for place, _ in wanted]
    again = store.octets(places, [len(octets) for _, octets in wanted])
    assert [bytes(octets) for octets in again] == [octets for _, octets in wanted]


def test_no_more_is_kept_than_memory_is_meant_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("agent.formats.journal_blocks.KEPT", 2 * MAX_BLOCK)
    contents = [bytes((number,)) * MAX_BLOCK for number in range(5)]
    store, found = stored(journal(contents))
    places = [place for place, _ in found]
    for place in [*places, *places]:
        [octets] = store.octets([place + MAX_BLOCK - 1], [1])
        assert octets[0] == places.index(place)
        assert sum(map(len, store._kept.values())) <= 2 * MAX_BLOCK


def test_what_has_changed_is_told() -> None:
    data = bytearray(journal([b"first", b"second"]))
    store = StoredBlocks(KEY)
    file = io.BytesIO(data)
    places = [place for place, _ in store.read(file)]
    file.getbuffer()[-40] ^= 1
    with pytest.raises(JournalChangedError) as error:
        list(store.octets(places, [5, 6]))
    assert not error.value.permanent


def test_a_torn_end_moves_nothing() -> None:
    whole = journal([b"first", b"second", b"third"])
    end = FRAME_SIZE + 8 + TAG_SIZE
    store, found = stored(whole[: -end - 1], whole)
    read = [block for _, block in found]
    assert read == [b"first", b"second", b"first", b"second", b"third"]
    places, sizes = zip(*((place, len(block)) for place, block in found), strict=True)
    again = [bytes(octets) for octets in store.octets(places, sizes)]
    assert again == [block for _, block in found]
