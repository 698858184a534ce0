from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from agent.formats.senders import MAX_AT_ONCE, senders


def split(sequence: Sequence[int]) -> list[list[int]]:
    """The sequence numbers of each sender."""
    given_ = np.array(sequence, np.int64) % (1 << 16)
    return [given_[places].tolist() for places in senders(given_)]


def alternating(*streams: Sequence[int]) -> list[int]:
    return [number for numbers in zip(*streams, strict=True) for number in numbers]


def run(first: int, count: int = 300) -> list[int]:
    return [number % (1 << 16) for number in range(first, first + count)]


def test_no_packet_no_stream() -> None:
    assert split([]) == [[]]


@pytest.mark.parametrize(
    "sequence",
    [
        run(65_500),
        run(100) + run(40_000),
        run(40_000) + run(100) + run(20_000),
        [*run(100), 30_000, *run(400)],
        [*run(100), 30_000, 50_000, 5, *run(400), 7],
        [*run(40_000), 100, 40_300, 101, 40_301, *run(102)],
        run(0, 10) + run(5000) + run(10, 90),
        run(0) + run(2000) + run(6000),
    ],
    ids=[
        "plain",
        "restart",
        "restarts",
        "a wild number",
        "wild numbers",
        "stragglers at a restart",
        "an old stream that ends soon",
        "losses",
    ],
)
def test_one_sender(sequence: list[int]) -> None:
    assert split(sequence) == [sequence]


@pytest.mark.parametrize("apart", [20_000, 32_768, 45_000, 2000, -2000])
def test_two_that_alternate(apart: int) -> None:
    first, second = run(100), run(100 + apart)
    found = split([*run(90, 10), *alternating(first, second)])
    # Where they are close, what came before the second goes with the wrong one.
    assert sorted(numbers[-299:] for numbers in found) == sorted(
        numbers[-299:] for numbers in (first, second)
    )


def test_one_that_talks_into_another() -> None:
    first, second = run(100, 500), run(30_000, 20)
    assert split([*first[:200], *second, *first[200:]]) == [first, second]


def test_a_sender_that_begins_anew_beside_another() -> None:
    one, other = run(100, 600), [*run(20_000), *run(50_000)]
    assert split(alternating(one, other)) == [one, other]


def test_only_so_many_at_once() -> None:
    streams = [run(n * 10_000) for n in range(MAX_AT_ONCE)]
    assert split(alternating(*streams)) == streams
    found = split(alternating(*(run(n * 10_000) for n in range(MAX_AT_ONCE + 1))))
    assert sum(map(len, found)) == 300 * (MAX_AT_ONCE + 1)
    one_after_the_other = [
        number for n in range(MAX_AT_ONCE + 1) for number in run(n * 10_000, 150)
    ]
    again = [
        number for n in range(MAX_AT_ONCE + 1) for number in run(n * 10_000 + 150, 150)
    ]
    assert len(split(one_after_the_other + again)) <= MAX_AT_ONCE


@settings(max_examples=60)
@given(
    st.lists(
        st.one_of(
            st.integers(0, 65_535).map(lambda number: [number]),
            st.tuples(st.integers(0, 65_535), st.integers(2, 250)).map(
                lambda pair: run(*pair)
            ),
        ),
        max_size=12,
    )
)
def test_each_packet_has_one_sender_and_keeps_its_order(
    pieces: list[list[int]],
) -> None:
    sequence = np.array([number for piece in pieces for number in piece], np.int64)
    found = senders(sequence)
    assert sorted(np.concatenate(found).tolist()) == list(range(len(sequence)))
    assert all(np.all(np.diff(places) > 0) for places in found)


def test_an_attacker_costs_little() -> None:
    rng = np.random.default_rng(1)
    assert len(senders(rng.integers(0, 1 << 16, 200_000))) <= MAX_AT_ONCE
