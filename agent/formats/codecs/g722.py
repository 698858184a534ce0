"""G.722 at 64 kbit/s: one octet is one tick of RTP's clock, two samples of 16 kHz.

RFC 3551 section 4.5.2: RTP counts 8000 a second, by an error that stands. Through
libg722, which keeps the codec's state from call to call. Not for the media worker.
"""

from array import array
from typing import Final

from G722 import G722

SAMPLE_RATE: Final = 16_000
BIT_RATE: Final = 64_000
SILENCE: Final = 0xFF
"Decodes to within two steps of nothing, whatever came before."
_NOTICE_RATE: Final = 8000


def encode_8k(pcm16: bytes) -> bytes:
    """Encode 16-bit little-endian samples of 8000 Hz: an octet for each.

    The upper band stays empty, as it is in the audio. Raises ValueError for half a
    sample.
    """
    samples = array("h")
    samples.frombytes(pcm16)
    return bytes(G722(_NOTICE_RATE, BIT_RATE).encode(samples.tolist()))


class G722Decoder:
    """Decodes one stream, packet after packet."""

    def __init__(self) -> None:
        self._codec = G722(SAMPLE_RATE, BIT_RATE)

    def decode(self, payload: bytes) -> bytes:
        """16-bit samples in the machine's order, two for each octet."""
        return bytes(self._codec.decode(payload))
