import io

import numpy as np
import pytest
import soundfile

from agent.formats.audio_format import AudioFormat
from agent.formats.comments import CommentError, read_comments
from agent.formats.compression import compress
from agent.formats.container import ContainerError, read_wav, wav_header
from agent.formats.cues import MAX_CUES, MAX_LABEL, Cue, chapters
from agent.formats.watermark import MAX_LINE, WatermarkError, watermark
from tests.formats.cue_chunks import wav_chunks

LINE = "Copy of 0f5c made on 2026-11-29 for a complaint"
CUES = [Cue(number, "x" * MAX_LABEL) for number in range(MAX_CUES)]


@pytest.mark.parametrize("samples", [4, 5])
@pytest.mark.parametrize("line", [LINE, LINE + "!"])
def test_in_a_wav_file(samples: int, line: str) -> None:
    audio = b"\x11" * samples
    data = wav_header("alaw", 8000, 1, samples) + audio + bytes(samples % 2)
    marked = watermark(data, AudioFormat.WAV_ALAW, line)
    assert read_wav(marked).samples == audio
    info = wav_chunks(marked)[b"LIST"]
    assert (info[:8], info[12:].rstrip(b"\0")) == (b"INFOICMT", line.encode())
    with soundfile.SoundFile(io.BytesIO(marked)) as file:
        assert (file.comment, file.frames) == (line, samples)


@pytest.mark.parametrize("format_", [AudioFormat.FLAC, AudioFormat.OPUS])
def test_in_a_file_with_as_many_chapters_as_there_may_be(format_: AudioFormat) -> None:
    samples = np.arange(32_000, dtype=np.int16).reshape(16_000, 2)
    named = chapters(CUES, 8000)
    opus = format_ is AudioFormat.OPUS
    data = b"".join(
        compress(
            [samples], opus=opus, sample_rate=16_000, samples=16_000, comments=named
        )
    )
    marked = watermark(data, format_, "ä" * MAX_LINE)
    assert read_comments(marked) == [*named, "COMMENT=" + "ä" * MAX_LINE]
    before, after = (soundfile.read(io.BytesIO(one))[0] for one in (data, marked))
    assert np.array_equal(before, after)


def test_what_is_no_line_or_no_file() -> None:
    data = wav_header("alaw", 8000, 1, 2) + b"\xd5\xd5"
    for line in ("", "a\nb", "x" * (MAX_LINE + 1)):
        with pytest.raises(WatermarkError):
            watermark(data, AudioFormat.WAV_ALAW, line)
    with pytest.raises(ContainerError):
        watermark(data[:20], AudioFormat.WAV_ALAW, LINE)
    with pytest.raises(CommentError):
        watermark(data, AudioFormat.FLAC, LINE)


def test_a_flac_file_that_ends_in_its_metadata() -> None:
    comments = b"\4\0\0\x08" + bytes(8)
    with pytest.raises(CommentError, match="before its audio"):
        watermark(b"fLaC" + comments, AudioFormat.FLAC, LINE)
