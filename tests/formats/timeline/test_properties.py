"""Whatever comes."""

from hypothesis import given, settings, strategies as st

from agent.formats.timeline import (
    LegTimeline,
)
from tests.formats.streams import (
    CODECS,
    MS,
    START,
    finish,
    heard,
)


@settings(max_examples=60, deadline=None)
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
    leg = LegTimeline(CODECS, START)
    for at, ssrc, sequence, timestamp, samples, payload_type in packets:
        header = bytes((0x80, payload_type))
        data = header + sequence.to_bytes(2, "big") + timestamp.to_bytes(4, "big")
        leg.add(START + at * MS, data + ssrc.to_bytes(4, "big") + bytes(samples))
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
