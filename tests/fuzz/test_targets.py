"""The targets themselves, without a fuzzer: on their seeds, cut, and on anything."""

import random

import pytest
from hypothesis import given, settings, strategies as st

from tests.fuzz.seeds import seeds
from tests.fuzz.targets import TARGETS

NAMES = list(TARGETS)


@pytest.mark.parametrize("name", NAMES)
def test_seeds_and_their_halves(name: str) -> None:
    rng = random.Random(name)
    for seed in seeds(name):
        TARGETS[name](seed)
        TARGETS[name](seed[: rng.randrange(len(seed) + 1)])


@pytest.mark.parametrize("name", NAMES)
def test_seeds_with_a_few_other_octets(name: str) -> None:
    rng = random.Random(name)
    for seed in seeds(name):
        changed = bytearray(seed)
        for _ in range(min(4, len(changed))):
            changed[rng.randrange(len(changed))] = rng.choice(b'\r\n\t ";,<>@=0A\xff\0')
        TARGETS[name](bytes(changed))


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=50)
@given(data=st.binary(max_size=300))
def test_anything(name: str, data: bytes) -> None:
    TARGETS[name](data)
