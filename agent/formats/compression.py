"""FLAC and Ogg Opus as streams: made while they are read, through libsndfile."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
import soundfile

from agent.formats.comments import with_flac_comments, with_opus_comments
from agent.model.recording import MAX_OPUS_BITRATE, MIN_OPUS_BITRATE, OPUS_BITRATE

Samples = npt.NDArray[np.int16]


def compress(
    chunks: Iterable[Samples],
    *,
    opus: bool,
    sample_rate: int,
    samples: int,
    comments: Sequence[str] = (),
    opus_bitrate: int = OPUS_BITRATE,
) -> Iterator[bytes]:
    """A FLAC file, or an Ogg Opus file, of stereo chunks: arrays of (count, 2).

    `samples` per channel are told at the start, for FLAC; its MD5 stays unset, since
    what has been passed on cannot be mended. Another digest covers the file.
    """
    if opus:
        sink = _Sink(partial(with_opus_comments, comments=comments))
    else:
        sink = _Sink(partial(with_flac_comments, comments=comments, samples=samples))
    file = soundfile.SoundFile(
        sink,
        "w",
        sample_rate,
        2,
        format="OGG" if opus else "FLAC",
        subtype="OPUS" if opus else "PCM_16",
        compression_level=_level(opus_bitrate) if opus else None,
    )
    with file:
        for chunk in chunks:
            file.write(chunk)
            yield sink.take()
    yield sink.take()


def _level(bitrate: int) -> float:
    """The compression level of libsndfile: 0 is the highest bit rate, 1 the lowest."""
    span = MAX_OPUS_BITRATE - MIN_OPUS_BITRATE
    return (MAX_OPUS_BITRATE - bitrate) / span


class _Sink:
    """A file to libsndfile, of which all but the end has already gone.

    `mend` makes what goes first of what was written first; None while that is not
    enough.
    """

    def __init__(self, mend: Callable[[bytes], bytes | None]) -> None:
        self._mend = mend
        self._gone = 0
        self._ready = bytearray()
        self._at = 0

    def take(self) -> bytes:
        """What may go: all, once the header is whole."""
        ready: bytes | None = bytes(self._ready)
        if not self._gone:
            ready = self._mend(bytes(self._ready))
        if ready is None:
            return b""
        self._gone += len(self._ready)
        self._ready.clear()
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
