"""Reads the cues of a WAV file, as a player would."""

import struct


def wav_chunks(data: bytes) -> dict[bytes, bytes]:
    """Each chunk by its name; fails unless they fill the file."""
    assert (data[:4], data[8:12]) == (b"RIFF", b"WAVE")
    assert int.from_bytes(data[4:8], "little") == len(data) - 8
    found, at = {}, 12
    while at < len(data):
        name, size = struct.unpack_from("<4sI", data, at)
        found[name] = data[at + 8 : at + 8 + size]
        assert len(found[name]) == size
        at += 8 + size + size % 2
    assert at == len(data)
    return found


def wav_labels(data: bytes) -> list[tuple[int, str]]:
    """(sample, label) of each cue."""
    chunks = wav_chunks(data)
    adtl, points = chunks[b"LIST"], chunks[b"cue "]
    assert adtl[:4] == b"adtl"
    labels, at = {}, 4
    while at < len(adtl):
        name, size, number = struct.unpack_from("<4sII", adtl, at)
        assert name == b"labl"
        text = adtl[at + 12 : at + 8 + size]
        assert text[-1] == 0
        labels[number] = text[:-1].decode()
        at += 8 + size + size % 2
    (count,) = struct.unpack_from("<I", points)
    assert len(points) == 4 + 24 * count
    cues = []
    for number, play, chunk, start, block, offset in struct.iter_unpack(
        "<II4sIII", points[4:]
    ):
        assert (chunk, start, block, play) == (b"data", 0, 0, offset)
        cues.append((offset, labels.pop(number)))
    assert not labels
    return cues
