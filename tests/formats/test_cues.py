import pytest
from hypothesis import given, strategies as st

from agent.formats.container import read_wav, wav_header
from agent.formats.cues import MAX_CUES, MAX_LABEL, Cue, chapters, cue_points, wav_cues
from tests.formats.cue_chunks import wav_chunks, wav_labels

SECOND = 1_000_000_000


def wav(cues: list[Cue]) -> bytes:
    after = wav_cues(cues)
    return wav_header("alaw", 8000, 2, 4, after=len(after)) + bytes(8) + after


def test_moments_become_samples() -> None:
    moments = [
        (2 * SECOND, "hold"),
        (125_000, "one sample"),
        (249_999, "the same"),
        (-SECOND, "before"),
        (0, "first"),
        (2 * SECOND, "hold"),
        (10 * SECOND - 1, "last"),
        (10 * SECOND, "end"),
        (11 * SECOND, "after"),
    ]
    assert cue_points(moments, 8000, 80_000) == (
        (0, "before, first"),
        (1, "one sample, the same"),
        (16_000, "hold"),
        (79_999, "last"),
    )
    assert cue_points(moments, 8000, 0) == ()


def test_their_number_and_length_are_bounded() -> None:
    moments = [(n * SECOND, "x" * 100) for n in range(1000)]
    cues = cue_points(moments, 8000, 8_000_000)
    assert len(cues) == MAX_CUES
    assert cues[-1] == ((MAX_CUES - 1) * 8000, "x" * MAX_LABEL)


def test_the_octets_of_the_chunks() -> None:
    assert wav_cues([Cue(3, "ab"), Cue(0x12345, "abc")]) == bytes.fromhex(
        "63756520 34000000 02000000"
        "01000000 03000000 64617461 00000000 00000000 03000000"
        "02000000 45230100 64617461 00000000 00000000 45230100"
        "4c495354 24000000 6164746c"
        "6c61626c 07000000 01000000 61620000"
        "6c61626c 08000000 02000000 61626300"
    )


def test_no_cues_are_no_chunks() -> None:
    assert wav_cues([]) == b""
    assert list(wav_chunks(wav([]))) == [b"fmt ", b"fact", b"data"]


@given(
    st.lists(
        st.builds(
            Cue,
            st.integers(0, (1 << 32) - 1),
            st.text(st.characters(codec="ascii", exclude_characters="\0"), max_size=80),
        ),
        min_size=1,
        max_size=40,
    )
)
def test_a_reader_finds_what_was_written(cues: list[Cue]) -> None:
    data = wav(cues)
    assert wav_labels(data) == cues
    assert read_wav(data).samples == bytes(8)


@pytest.mark.parametrize(
    ("rate", "position", "time"),
    [
        (8000, 0, "00:00:00.000"),
        (8000, 7, "00:00:00.000"),
        (8000, 8, "00:00:00.001"),
        (16_000, 16_000 * 61 + 8, "00:01:01.000"),
        (48_000, 48_000 * 7325 + 47_999, "02:02:05.999"),
    ],
)
def test_chapters(rate: int, position: int, time: str) -> None:
    assert chapters([Cue(position, "hold"), Cue(position, "a")], rate) == [
        f"CHAPTER001={time}",
        "CHAPTER001NAME=hold",
        f"CHAPTER002={time}",
        "CHAPTER002NAME=a",
    ]
