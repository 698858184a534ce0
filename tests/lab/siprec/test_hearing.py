"""The judge of recordings hears what is there, where it is, and nothing else."""

from collections.abc import Iterator

import numpy as np
import pytest

from tests.lab.parties import FRAME
from tests.lab.siprec.hearing import heard, samples_of, silent
from tests.lab.siprec.streams import Stream

START = 500
"Sample of the recording at which the streams' frame 0 would be."


@pytest.fixture
def streams() -> Iterator[tuple[Stream, Stream]]:
    made = Stream("1", 1), Stream("2", 2)
    yield made
    for stream in made:
        stream.close()


def recorded(stream: Stream, frames: range) -> np.ndarray:
    """A channel of two and a half seconds in which some frames are."""
    stream.said.update(frames)
    channel = np.zeros(20_000)
    begin, end = frames.start * FRAME, frames.stop * FRAME
    channel[START + begin : START + end] = samples_of(stream)[begin:end]
    return channel


def test_a_stream_is_found_to_the_sample(streams: tuple[Stream, Stream]) -> None:
    first, second = streams
    channel = recorded(first, range(100))
    where = heard(channel, first)
    assert where is not None
    assert (where.offset, where.frames) == (START, frozenset(range(100)))
    second.said.update(range(100))
    assert heard(channel, second) is None
    assert heard(np.zeros(20_000), first) is None


def test_both_are_found_in_a_mixture(streams: tuple[Stream, Stream]) -> None:
    first, second = streams
    channel = recorded(first, range(100)) + recorded(second, range(20, 70))
    channel = np.clip(channel, -1.0, 1.0)
    for stream in streams:
        where = heard(channel, stream)
        assert where is not None
        assert (where.offset, where.frames) == (START, frozenset(stream.said))


def test_what_is_missing_is_missed(streams: tuple[Stream, Stream]) -> None:
    first, _ = streams
    channel = recorded(first, range(100))
    channel[START + 30 * FRAME : START + 40 * FRAME] = 0.0
    where = heard(channel, first)
    assert where is not None
    assert first.said - where.frames == set(range(30, 40))
    assert silent(channel, where, range(30, 40))
    assert not silent(channel, where, range(29, 40))


def test_what_was_spliced_is_not_there(streams: tuple[Stream, Stream]) -> None:
    first, _ = streams
    channel = recorded(first, range(100))
    spliced = np.delete(channel, slice(START + 30 * FRAME, START + 40 * FRAME))
    where = heard(spliced, first)
    assert where is not None
    assert where.frames == frozenset(range(30))
