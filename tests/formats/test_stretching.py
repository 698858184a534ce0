import numpy as np
import pytest
from hypothesis import given, strategies as st

from agent.formats.codecs.g711 import decode_alaw, encode_alaw
from agent.formats.stretching import stretched
from tests.formats.signals import pcm16, sine


def samples(*values: int) -> np.ndarray:
    return np.array(values, np.int16)


def test_nothing_to_make_up_for_is_the_same_array() -> None:
    given_ = samples(1, 2, 3)
    assert stretched(given_, 0, given_) is given_


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        (1, [0, 900, 1000, 1000, 1001, 500]),
        (2, [0, 900, 900, 1000, 1000, 1001, 500]),
        (-1, [0, 900, 1001, 500]),
        (-2, [0, 1001, 500]),
    ],
)
def test_where_two_neighbours_differ_least(by: int, expected: list[int]) -> None:
    values = samples(0, 900, 1000, 1001, 500)
    assert stretched(values, by, values).tolist() == expected


def test_a_packet_of_one_sample_is_doubled() -> None:
    assert stretched(samples(7), 1, samples(7)).tolist() == [7, 7]


def test_octets_stay_those_that_were_on_the_wire() -> None:
    octets = np.array([0xD5, 0xAA, 0x2A, 0x2A], np.uint8)
    levels = np.frombuffer(decode_alaw(octets.tobytes()), "<i2")
    assert stretched(octets, 1, levels).tolist() == [0xD5, 0xAA, 0x2A, 0x2A, 0x2A]


@pytest.mark.parametrize("by", [1, -1])
@pytest.mark.parametrize("frequency", [200, 440, 1000, 2500, 3400])
def test_a_tone_gets_no_click(by: int, frequency: float) -> None:
    """No step is greater than the greatest of the tone by more than its least."""
    octets = np.frombuffer(encode_alaw(pcm16(sine(frequency, 0.02))), np.uint8)
    levels = np.frombuffer(decode_alaw(octets.tobytes()), "<i2")
    after = stretched(octets, by, levels)
    heard = np.frombuffer(decode_alaw(after.tobytes()), "<i2").astype(int)
    steps = np.abs(np.diff(levels.astype(int)))
    assert len(heard) == 160 + by
    assert np.abs(np.diff(heard)).max() <= steps.max() + steps.min()


@given(
    st.lists(st.integers(-32_768, 32_767), min_size=1, max_size=40),
    st.integers(-40, 40),
)
def test_length_and_order_are_kept(values: list[int], by: int) -> None:
    by = max(min(by, len(values)), -len(values))
    given_ = samples(*values)
    result = stretched(np.arange(len(values)).astype(np.int16), by, given_)
    assert len(result) == len(values) + by
    assert np.all(np.diff(result) >= 0)
