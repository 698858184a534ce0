"""FLAC and Ogg Opus as streams: made while they are read, through libsndfile."""

from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np
import numpy.typing as npt
import soundfile

Samples = npt.NDArray[np.int16]

FLAC_HEADER: Final = 42
"Octets: the marker, and the STREAMINFO block with its own header (RFC 9639 section 8)."
_TOTAL_AT: Final = slice(18, 26)
"In it: rate, channels, depth, and in the last 36 bits the number of samples."
_OPUS_LEVEL: Final = 0.96
"libsndfile's measure of 16 kbit/s a channel: 14 MB for an hour in stereo."


def compress(
    chunks: Iterable[Samples], *, opus: bool, sample_rate: int, samples: int
) -> Iterator[bytes]:
    """A FLAC file, or an Ogg Opus file, of stereo chunks: arrays of (count, 2).

    `samples` per channel are told at the start, for FLAC; its MD5 stays unset, since
    what has been passed on cannot be mended. Another digest covers the file.
    """
    sink = _Sink(FLAC_HEADER if not opus else 0)
    file = soundfile.SoundFile(
        sink,
        "w",
        sample_rate,
        2,
        format="OGG" if opus else "FLAC",
        subtype="OPUS" if opus else "PCM_16",
        compression_level=_OPUS_LEVEL if opus else None,
    )
    with file:
        for chunk in chunks:
            file.write(chunk)
            yield sink.take(samples)
    yield sink.take(samples)


class _Sink:
    """A file to libsndfile, of which all but the end has already gone."""

    def __init__(self, header: int) -> None:
        self._header = header
        self._gone = 0
        self._ready = bytearray()
        self._at = 0

    def take(self, samples: int) -> bytes:
        """What may go: all, once the header is whole."""
        if not self._gone and self._header:
            if len(self._ready) < self._header:
                return b""
            told = int.from_bytes(self._ready[_TOTAL_AT]) | samples
            self._ready[_TOTAL_AT] = told.to_bytes(8)
        ready, self._ready = bytes(self._ready), bytearray()
        self._gone += len(ready)
        return ready

    def write(self, data: bytes) -> int:
        if self._at == self._gone + len(self._ready):
            self._ready += data
        # Else the encoder mends what it wrote first, with what is known by now.
        self._at += len(data)
        return len(data)

    def seek(self, offset: int, whence: int) -> int:
        self._at = offset + (0, self._at, self._gone + len(self._ready))[whence]
        return self._at

    def tell(self) -> int:
        return self._at
