"""Whatever comes."""

from random import Random

import numpy as np
from hypothesis import given, settings, strategies as st

from tests.formats.streams import (
    CODECS,
    MS,
    START,
    Leg,
    finish,
    heard,
    of_frames,
    result_of,
    sender,
)


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.integers(-500, 3000),
            st.sampled_from([0xA, 0xA, 0xA, 0xB, 0xC]),
            st.one_of(st.integers(0, 120), st.integers(0, 65_535)),
            st.one_of(st.integers(0, 20_000), st.integers(0, 2**32 - 1)),
            st.integers(0, 400),
            st.sampled_from([0, 8, 13, 101, 55]),
        ),
        max_size=60,
    ),
    st.integers(0, 3000),
)
def test_whatever_comes_frames_and_gaps_tile_the_segment(
    packets: list[tuple[int, int, int, int, int, int]], milliseconds: int
) -> None:
    leg = Leg(CODECS, START)
    for at, ssrc, sequence, timestamp, samples, payload_type in packets:
        header = bytes((0x80, payload_type))
        data = header + sequence.to_bytes(2, "big") + timestamp.to_bytes(4, "big")
        leg.take(START + at * MS, data + ssrc.to_bytes(4, "big") + bytes(samples))
    result = finish(leg, milliseconds=milliseconds)
    pieces = sorted(
        [(f.position, f.length) for f in result.frames]
        + [(g.start, g.samples) for g in result.gaps]
    )
    at = 0
    for position, length in pieces:
        assert position == at
        assert length > 0
        at += length
    assert at == result.total
    figures = result.figures
    assert figures.packets + figures.duplicates + figures.invalid == len(packets)
    assert all(len(heard(f)) == f.length for f in result.frames)


@settings(max_examples=12)
@given(
    ppm=st.integers(-800, 800),
    loss=st.floats(0, 0.3),
    jitter_ms=st.integers(0, 200),
    seed=st.integers(0, 2**32),
    samples=st.sampled_from([80, 160, 240]),
)
def test_any_clock_any_loss_any_jitter(
    ppm: int, loss: float, jitter_ms: int, seed: int, samples: int
) -> None:
    """Tiled, in order, and each packet within 20 ms of where it was sent."""
    rng = Random(seed)
    count = 100 * 8000 // samples
    sent = [
        s._replace(at=s.at * (1 + ppm * 1e-6) + rng.random() * jitter_ms)
        for s in sender(range(count), samples=samples, first_sequence=60_000)
        if rng.random() >= loss
    ]
    result = result_of(sent, milliseconds=101_000)
    tiles = sorted(
        [
            *zip(
                of_frames(result, "position").tolist(),
                of_frames(result, "length").tolist(),
                strict=True,
            ),
            *((gap.start, gap.samples) for gap in result.gaps),
        ]
    )
    ends = [position + length for position, length in tiles]
    assert [position for position, _ in tiles] == [0, *ends[:-1]]
    assert ends[-1] == result.total
    numbers = np.array([frame.payload[0] for frame in result.frames])
    begins = of_frames(result, "position") - of_frames(result, "skip")
    starts = begins / (1 + ppm * 1e-6) / samples
    # Payloads repeat after 256 packets, 2.5 s at least.
    packets_off = (starts - numbers + 128) % 256 - 128
    assert np.abs(packets_off).max() * samples <= 160
