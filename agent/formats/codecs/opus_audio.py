"""Opus to samples and back, through libsndfile: not for the media worker.

libsndfile brings libopus with it, in its wheel as well as in Debian. It has no way to
the in-band FEC (RFC 6716 section 2.1.7), so what was lost stays lost here; the party
on the other leg gets the packets as they are and may use it.
"""

import io
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt
import soundfile

from agent.common.errors import AgentError
from agent.formats.codecs.opus import CLOCK_RATE, concealment, packet_ticks
from agent.formats.ogg import unwrap, wrap_opus

Samples = npt.NDArray[np.int16]

FRAME_TICKS: Final = 960
"20 ms: what is encoded here."
DECODED_RATES: Final = (16_000, 48_000)
_HEADERS: Final = 2
"Packets of an Ogg Opus stream before the audio."
_TAIL: Final = 2
"Frames after the last whole one: the coder's delay, and a last packet cut short."


class OpusError(AgentError):
    """libopus refused a packet that was passed off as well-formed."""


def encode(pcm16: bytes, sample_rate: int) -> list[bytes]:
    """Packets of 20 ms each of 16-bit mono samples, filled up with silence.

    The rates are Opus's: 8000, 16000, 48000. The decoded audio lags 6.5 ms behind.
    """
    frame = sample_rate * FRAME_TICKS // CLOCK_RATE
    count = -(-len(pcm16) // (2 * frame))
    padded = pcm16.ljust(2 * frame * (count + _TAIL), b"\0")
    buffer = io.BytesIO()
    with soundfile.SoundFile(
        buffer, "w", sample_rate, 1, format="OGG", subtype="OPUS"
    ) as file:
        file.write(np.frombuffer(padded, "<i2"))
    packets = list(unwrap(buffer.getvalue()))[_HEADERS:]
    # A frame more than there is audio: the lag must not cut the last syllable.
    return packets[: count + 1] if count else []


def decode(
    packets: Iterable[tuple[bytes, bool]], sample_rate: int
) -> Iterator[Samples]:
    """The samples of each packet of one stream, each as long as its packet.

    Those marked False are only bridged; the others must be well-formed, or OpusError
    is raised. `sample_rate` is one of DECODED_RATES.
    """
    wanted = []
    stream: list[tuple[bytes, int]] = []
    for packet, usable in packets:
        wanted.append(packet_ticks(packet))
        pieces = [packet] if usable else concealment(packet)
        stream += [(piece, packet_ticks(piece)) for piece in pieces]
    if not stream:
        return
    per_tick = CLOCK_RATE // sample_rate
    ends = np.cumsum([0, *wanted]) // per_tick
    data = wrap_opus(stream, sample_rate)
    with soundfile.SoundFile(io.BytesIO(data)) as file:
        for start, end in pairwise(ends.tolist()):
            samples = np.zeros(end - start, np.int16)
            try:
                read = file.read(end - start, dtype="int16")
            except soundfile.LibsndfileError as error:
                raise OpusError("a packet of Opus cannot be decoded.") from error
            samples[: len(read)] = read
            yield samples
