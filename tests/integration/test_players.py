"""What other people's programs make of a recording's file, and show of it."""

import io
import subprocess
from pathlib import Path

import pytest

from agent.formats.audio_format import AudioFormat
from agent.formats.masking import Span, mask
from agent.formats.watermark import watermark
from agent.model.recording import RecordingFormat
from agent.recording.assembly import assemble
from tests.lab.peers import FLAC, METAFLAC, OPUSINFO, Program
from tests.recording.segments import begin, end, journal, mark, note, quality, records

pytestmark = pytest.mark.integration

ID = "11111111-2222-4333-8444-555555555555"
CHAPTERS = [
    "CHAPTER001=00:00:00.000",
    "CHAPTER001NAME=segment 0, notice-end",
    "CHAPTER002=00:00:02.000",
    "CHAPTER002NAME=hold",
    "CHAPTER003=00:00:03.000",
    "CHAPTER003NAME=resume",
]


def recording(directory: Path, kept: RecordingFormat) -> Path:
    """Four seconds, of which the third was held."""
    blocks = (
        note(begin(ID)),
        b"".join(records(range(100))),
        note(mark(100, "hold")),
        note(mark(150, "resume")),
        b"".join(records(range(150, 200))),
        note(end(200)),
    )
    data = journal(quality(), ID, blocks)
    made = assemble([io.BytesIO(data)], quality().journal_key(ID), kept=kept)
    path = directory / f"recording.{made.track.format.suffix}"
    path.write_bytes(b"".join(made.file()))
    return path


def ask(program: Program, *arguments: str | Path) -> str:
    asked = subprocess.run(
        [*program.command, *map(str, arguments)],
        check=True,
        capture_output=True,
        text=True,
        timeout=20,
    )
    return asked.stdout + asked.stderr


def test_flac_is_whole_and_has_its_chapters(tmp_path: Path) -> None:
    path = recording(tmp_path, RecordingFormat.FLAC)
    told = ask(FLAC, "--test", path)
    # The one thing it misses is the MD5, which cannot be known when the header is made.
    assert told.count("WARNING") == told.count("MD5") == 1
    assert told.split()[-1] == "ok"
    assert ask(METAFLAC, "--show-total-samples", path).strip() == "32000"
    comments = ask(METAFLAC, "--export-tags-to=-", path)
    assert comments.splitlines() == CHAPTERS


def test_opus_is_whole_and_has_its_chapters(tmp_path: Path) -> None:
    told = ask(OPUSINFO, recording(tmp_path, RecordingFormat.OPUS))
    assert "WARNING" not in told
    assert "Playback length: 0m:04.000s" in told
    lines = [line.strip() for line in told.splitlines()]
    assert [line for line in lines if line.startswith("CHAPTER")] == CHAPTERS


def test_copies_are_whole_and_say_whose_they_are(tmp_path: Path) -> None:
    line = "Copy of recording 1, masked 0:00:00.500-0:00:01.000"
    for kept, format_ in (
        (RecordingFormat.FLAC, AudioFormat.FLAC),
        (RecordingFormat.OPUS, AudioFormat.OPUS),
    ):
        path = recording(tmp_path, kept)
        masked = mask(path.read_bytes(), format_, [Span(500, 1000)])
        path.write_bytes(watermark(masked, format_, line))
    flac, opus = tmp_path / "recording.flac", tmp_path / "recording.opus"
    assert ask(FLAC, "--test", flac).split()[-1] == "ok"
    comments = ask(METAFLAC, "--export-tags-to=-", flac).splitlines()
    assert comments == [*CHAPTERS, f"COMMENT={line}"]
    told = ask(OPUSINFO, opus)
    assert "WARNING" not in told
    assert "Playback length: 0m:04.000s" in told
    assert f"COMMENT={line}" in told
