import io
import struct
from functools import partial

import numpy as np
import pytest
import soundfile

from agent.formats.comments import (
    CommentError,
    read_comments,
    with_flac_comments,
    with_opus_comments,
)
from agent.formats.cues import MAX_CUES, MAX_LABEL, Cue, chapters
from agent.formats.ogg import split_page, unwrap

COMMENTS = ["CHAPTER001=00:00:00.000", "CHAPTER001NAME=segment 0"]
SAMPLES = (np.arange(24_000).reshape(12_000, 2) % 5000).astype(np.int16)


def made(**wished: str) -> bytes:
    """A file as libsndfile makes it."""
    buffer = io.BytesIO()
    with soundfile.SoundFile(buffer, "w", 8000, 2, **wished) as file:
        file.write(SAMPLES)
    return buffer.getvalue()


def comments_in(packet: bytes) -> tuple[bytes, list[str]]:
    """Vendor and comments of a whole comment packet."""
    (length,) = struct.unpack_from("<I", packet)
    vendor, rest = packet[4 : 4 + length], packet[4 + length :]
    (count,) = struct.unpack_from("<I", rest)
    rest, found = rest[4:], []
    for _ in range(count):
        (length,) = struct.unpack_from("<I", rest)
        found.append(rest[4 : 4 + length].decode())
        rest = rest[4 + length :]
    assert rest == b""
    return vendor, found


def flac_blocks(data: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """(type, content) of each metadata block, and the frames."""
    assert data[:4] == b"fLaC"
    blocks, at, last = [], 4, 0
    while not last:
        last, kind = data[at] & 0x80, data[at] & 0x7F
        end = at + 4 + int.from_bytes(data[at + 1 : at + 4])
        blocks.append((kind, data[at + 4 : end]))
        at = end
    return blocks, data[at:]


def test_flac() -> None:
    original = made(format="FLAC", subtype="PCM_16")
    before, frames = flac_blocks(original)
    data = with_flac_comments(original, COMMENTS, 12_000)
    assert data is not None
    [(kind, info), (other, packet)], after = flac_blocks(data)
    assert (kind, other, after) == (0, 4, frames)
    assert info == before[0][1]  # libsndfile told the length at its end
    assert comments_in(packet)[1] == COMMENTS
    assert comments_in(packet)[0].startswith(b"reference libFLAC")
    with soundfile.SoundFile(io.BytesIO(data)) as file:
        assert np.array_equal(file.read(dtype="int16"), SAMPLES)


def test_a_flac_file_of_other_blocks_and_no_comments() -> None:
    info = bytes(10) + bytes.fromhex("01f402f000000000") + bytes(16)
    padding = b"\x01\0\0\x02??"
    head = b"fLaC\0\0\0\x22" + info + padding + b"\x86\0\0\x01!frame"
    data = with_flac_comments(head, ["A=b"], 0x123456789)
    assert data is not None
    [(_, told), (_, packet)], frames = flac_blocks(data)
    assert told == info[:13] + bytes.fromhex("f123456789") + info[18:]
    assert comments_in(packet) == (b"", ["A=b"])
    assert frames == b"frame"
    whole = len(head) - len(b"frame")
    for length in range(whole):
        assert with_flac_comments(head[:length], [], 1) is None
    assert with_flac_comments(head[:whole], [], 1) is not None


def test_opus() -> None:
    original = made(format="OGG", subtype="OPUS")
    data = with_opus_comments(original, COMMENTS)
    assert data is not None
    head, tags, *audio = unwrap(data)
    assert [head, *audio] == [p for n, p in enumerate(unwrap(original)) if n != 1]
    assert tags[:8] == b"OpusTags"
    vendor, comments = comments_in(tags[8:])
    assert (vendor[:7], comments) == (b"libopus", COMMENTS)
    with (
        soundfile.SoundFile(io.BytesIO(original)) as plain,
        soundfile.SoundFile(io.BytesIO(data)) as file,
    ):
        assert file.frames == len(SAMPLES)
        assert np.array_equal(file.read(dtype="int16"), plain.read(dtype="int16"))


def test_opus_waits_for_its_second_page() -> None:
    original = made(format="OGG", subtype="OPUS")
    first = split_page(original)
    assert first is not None
    second = split_page(first.rest)
    assert second is not None
    whole = len(original) - len(second.rest)
    for length in range(whole):
        assert with_opus_comments(original[:length], []) is None
    assert with_opus_comments(original[:whole], []) is not None


@pytest.mark.parametrize("number", [1, MAX_CUES])
def test_as_many_chapters_as_there_may_be_fit_one_page(number: int) -> None:
    cues = [Cue(n * 8000 * 60, "x" * MAX_LABEL) for n in range(number)]
    data = with_opus_comments(made(format="OGG", subtype="OPUS"), chapters(cues, 8000))
    assert data is not None
    assert len(list(unwrap(data))[1]) > 126 * number
    with soundfile.SoundFile(io.BytesIO(data)) as file:
        assert file.frames == len(SAMPLES)


@pytest.mark.parametrize(
    "wished",
    [{"format": "FLAC", "subtype": "PCM_16"}, {"format": "OGG", "subtype": "OPUS"}],
)
def test_comments_are_read_back(wished: dict[str, str]) -> None:
    adds = with_opus_comments
    if wished["format"] == "FLAC":
        adds = partial(with_flac_comments, samples=12_000)
    data = adds(made(**wished), COMMENTS)
    assert data is not None
    assert read_comments(data) == COMMENTS


FLAC_HEAD = b"fLaC" + b"\0\0\0\x22" + bytes(34)


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", "neither"),
        (b"OggS" + bytes(40), "neither"),
        (b"fLaC", "no comments"),
        (FLAC_HEAD, "no comments"),
        (FLAC_HEAD + b"\x81\0\0\0", "no comments"),
        (FLAC_HEAD + b"\x84\0\0\0", "cut off"),
        (FLAC_HEAD + b"\x84\0\0\x08" + bytes(4) + b"\xff\xff\xff\xff", "more comments"),
        (FLAC_HEAD + b"\x84\0\0\x08" + bytes(4) + b"\1\0\0\0", "cut off"),
        (
            FLAC_HEAD + b"\x84\0\0\x0d" + bytes(4) + b"\1\0\0\0\1\0\0\0\xff",
            "not UTF-8",
        ),
    ],
)
def test_broken_comments(data: bytes, fault: str) -> None:
    with pytest.raises(CommentError, match=fault):
        read_comments(data)
