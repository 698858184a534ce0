import io
import struct
from contextlib import suppress

import numpy as np
import pytest
import soundfile
from hypothesis import given, strategies as st

from agent.formats.audio_format import AudioFormat
from agent.formats.comments import CommentError, read_comments
from agent.formats.compression import Samples, compress
from agent.formats.container import ContainerError, SampleFormat, read_wav, wav_header
from agent.formats.cues import Cue, chapters, wav_cues
from agent.formats.masking import MAX_SPANS, MaskingError, Span, mask, parse_span
from agent.formats.watermark import watermark
from tests.formats.cue_chunks import wav_labels

SECONDS = 3
CUES = (Cue(0, "hold"), Cue(9000, "resume"))
LAWS = {
    SampleFormat.ALAW: AudioFormat.WAV_ALAW,
    SampleFormat.ULAW: AudioFormat.WAV_ULAW,
}


def noise(rate: int, seconds: int = SECONDS) -> Samples:
    drawn = np.random.default_rng(1).integers(2000, 9000, (rate * seconds, 2))
    return drawn.astype(np.int16)


def coded(samples: Samples, rate: int, *, opus: bool) -> bytes:
    made = compress(
        [samples],
        opus=opus,
        sample_rate=rate,
        samples=len(samples),
        comments=chapters(CUES, rate),
    )
    return b"".join(made)


def samples_of(data: bytes) -> Samples:
    return soundfile.read(io.BytesIO(data), dtype="int16")[0]


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("0-1", Span(0, 1000)),
        ("1:02.5-1:10", Span(62_500, 70_000)),
        ("1:00:00-1:00:00.001", Span(3_600_000, 3_600_001)),
        ("90.25-120", Span(90_250, 120_000)),
    ],
)
def test_a_span_is_read_and_written(text: str, span: Span) -> None:
    assert parse_span(text) == span
    assert parse_span(str(span)) == span


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "1-",
        "-1",
        "2-1",
        "1-1",
        "a-b",
        "1.2345-2",
        "1-2-3",
        "1:-2",
        "\u0661-\u0662",
    ],
)
def test_a_span_that_is_none(text: str) -> None:
    with pytest.raises(MaskingError, match="span") as caught:
        parse_span(text)
    assert not text or text not in str(caught.value).split(caught.value.hint)[0]


@given(st.integers(0, 340_000_000), st.integers(1, 10_000_000))
def test_every_span_is_read_as_it_is_written(start: int, length: int) -> None:
    assert parse_span(str(Span(start, start + length))) == (start, start + length)


@pytest.mark.parametrize("kind", LAWS)
def test_a_wav_file_is_silent_in_the_spans_alone(kind: SampleFormat) -> None:
    audio = bytes(range(1, 101)) * 480  # 3 s of two channels
    cues = wav_cues(CUES)
    data = wav_header(kind, 8000, 2, 24_000, after=len(cues)) + audio + cues
    copy = mask(data, LAWS[kind], [Span(500, 1001), Span(2900, 5000)])
    silence = b"\xd5" if kind is SampleFormat.ALAW else b"\xff"
    expected = bytearray(audio)
    expected[8000:16_016] = silence * 8016
    expected[46_400:] = silence * 1600
    assert read_wav(copy).samples == expected
    assert wav_labels(copy) == [(cue.position, cue.label) for cue in CUES]
    assert len(copy) == len(data)


def test_a_wav_file_of_16_bits() -> None:
    data = wav_header("pcm16", 1000, 1, 4) + struct.pack("<4h", 1, 2, 3, 4)
    copy = mask(data, AudioFormat.WAV_ALAW, [Span(1, 3)])
    assert struct.unpack("<4h", read_wav(copy).samples) == (1, 0, 0, 4)


@pytest.mark.parametrize("rate", [8000, 16_000, 48_000])
def test_flac_is_sample_for_sample_what_it_was_elsewhere(rate: int) -> None:
    original = noise(rate)
    data = coded(original, rate, opus=False)
    copy = mask(data, AudioFormat.FLAC, [Span(1000, 2500)])
    expected = original.copy()
    expected[rate : rate * 5 // 2] = 0
    assert np.array_equal(samples_of(copy), expected)
    assert read_comments(copy) == chapters(CUES, rate)


def test_a_span_over_several_blocks() -> None:
    original = noise(48_000, 6)
    copy = mask(coded(original, 48_000, opus=False), AudioFormat.FLAC, [Span(1, 5999)])
    expected = original.copy()
    expected[48 : 5999 * 48] = 0
    assert np.array_equal(samples_of(copy), expected)


@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_opus_holds_nothing_of_what_is_masked(rate: int) -> None:
    original = noise(rate)
    data = coded(original, rate, opus=True)
    before = samples_of(data)
    copy = mask(data, AudioFormat.OPUS, [Span(1000, 2000)])
    after = samples_of(copy)
    assert len(after) == len(before)
    # A coder's frame smears what is beside the span into it; a frame in, all is still.
    margin = rate // 25
    assert np.abs(after[rate + margin : 2 * rate - margin]).max() < 40
    for part in (slice(margin, rate - margin), slice(2 * rate + margin, -margin)):
        kept, was = np.abs(after[part]).mean(), np.abs(before[part]).mean()
        assert kept == pytest.approx(was, rel=0.1)
    assert read_comments(copy) == chapters(CUES, rate)


def test_the_audio_beside_a_masked_span_tells_nothing_of_it() -> None:
    one, other = noise(16_000), noise(16_000)
    other[16_000:32_000] = 0
    copies = [
        mask(coded(samples, 16_000, opus=False), AudioFormat.FLAC, [Span(1000, 2000)])
        for samples in (one, other)
    ]
    assert copies[0] == copies[1]


def test_without_a_span_nothing_is_touched() -> None:
    assert mask(b"anything", AudioFormat.OPUS, []) == b"anything"


def test_what_cannot_be_masked() -> None:
    data = coded(noise(8000), 8000, opus=False)
    with pytest.raises(MaskingError, match="after the recording's end"):
        mask(data, AudioFormat.FLAC, [Span(3000, 4000)])
    with pytest.raises(MaskingError, match="too many"):
        mask(data, AudioFormat.FLAC, [Span(0, 1)] * (MAX_SPANS + 1))
    head = data[: data.index(b"\xff\xf8")]
    with pytest.raises(MaskingError, match="cannot be decoded"):
        mask(head[:4] + b"\x7f" + head[5:], AudioFormat.FLAC, [Span(0, 1)])


@given(st.binary(max_size=200), st.sampled_from(AudioFormat))
def test_garbage_is_refused_by_name_and_nothing_else_happens(
    data: bytes, format_: AudioFormat
) -> None:
    for head in (b"", b"RIFF\0\0\0\0WAVE", b"fLaC", b"OggS\0"):
        for act in (
            lambda whole: mask(whole, format_, [Span(0, 1)]),
            lambda whole: watermark(whole, format_, "a line"),
        ):
            with suppress(MaskingError, ContainerError, CommentError):
                act(head + data)
