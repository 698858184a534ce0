import numpy as np
from hypothesis import given, settings, strategies as st

from agent.formats.tables import BATCH, Table

VALUES = st.one_of(
    st.integers(-200, 200), st.integers(-(2**31), 2**32), st.integers(-(2**61), 2**61)
)


@given(st.lists(st.lists(st.tuples(VALUES, VALUES), max_size=40), max_size=5))
def test_what_was_put_in_comes_out(pieces: list[list[tuple[int, int]]]) -> None:
    table = Table()
    for piece in pieces:
        columns = np.array(piece, np.int64).reshape(-1, 2).T
        table.extend(*columns)
    rows = [row for piece in pieces for row in piece]
    assert len(table) == len(rows)
    for number in (0, 1):
        assert table.column(number).tolist() == [row[number] for row in rows]
    read = [
        row
        for batch in range(table.batches)
        for row in zip(*(c.tolist() for c in table.rows(batch)), strict=True)
    ]
    assert read == rows


@settings(max_examples=10)
@given(st.integers(0, 3 * BATCH))
def test_batches_are_as_large_as_they_may_be(count: int) -> None:
    table = Table()
    table.extend(np.arange(count), np.arange(count) % 7)
    sizes = [len(table.rows(batch)[0]) for batch in range(table.batches)]
    assert sizes == [min(BATCH, count - first) for first in range(0, count, BATCH)]
    assert table.column(1, np.uint8).dtype == np.uint8
    assert np.array_equal(table.column(1, np.uint8), np.arange(count) % 7)


def test_a_packet_takes_few_octets() -> None:
    """What steady senders say: numbers that rise by as much each time."""
    table = Table()
    numbers = np.arange(50 * BATCH)
    jitter = numbers * 7919 % 5_000_000
    table.extend(numbers * 20_000_000 + jitter, numbers % 65_536, numbers * 160)
    kept = sum(
        0 if isinstance(packed.steps, int) else packed.steps.nbytes
        for batch in table._batches
        for packed in batch
    )
    assert kept / len(numbers) < 5
