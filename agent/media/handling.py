"""What becomes of each payload type that one leg hears: where it goes, and as what."""

from collections.abc import Iterator
from typing import Final

from agent.formats.codecs.g711 import ALAW_TO_ULAW, ULAW_TO_ALAW
from agent.model.media import Codec, NegotiatedAudio

_MARKER: Final = 0x80
_LAWS: Final = {"PCMU": ULAW_TO_ALAW, "PCMA": ALAW_TO_ULAW}

Handling = tuple[int, bytes | None, bool, int]
"""Second header byte towards the partner (-1: not relayed), conversion, is it audio,
and its clock rate (0: whatever the audio's is)."""


def handlings(
    own: NegotiatedAudio, other: NegotiatedAudio | None
) -> dict[int, Handling]:
    """By second header byte: marker bit and payload type, as `own`'s peer sends them.

    `other` is what the leg agreed that is to hear it, None where none is.
    """
    found: dict[int, Handling] = {}
    for payload_type, out, table, is_audio, clock_rate in _rules(own, other):
        for marker in (0, _MARKER):
            second = out | marker if out >= 0 else -1
            found[payload_type | marker] = second, table, is_audio, clock_rate
    return found


def _rules(
    own: NegotiatedAudio, other: NegotiatedAudio | None
) -> Iterator[tuple[int, int, bytes | None, bool, int]]:
    # The codec in use comes last: it has the last word on its payload type.
    for codec in (*own.others, own.codec):
        out, table = (-1, None) if other is None else convert(codec, other)
        yield codec.payload_type, out, table, True, codec.clock_rate
    if own.comfort_noise is not None:
        out = _number(None if other is None else other.comfort_noise)
        yield own.comfort_noise, out, None, True, 0
    if own.telephone_event is not None:
        out = _number(None if other is None else other.telephone_event)
        yield own.telephone_event, out, None, False, 0


def convert(codec: Codec, other: NegotiatedAudio) -> tuple[int, bytes | None]:
    """The payload type by which `codec` goes to the other leg, and a table.

    Of two laws, that of the leg's own choice is sent; -1 where nothing fits.
    """
    table = _LAWS.get(codec.name)
    for candidate in (other.codec, *other.others):
        if (candidate.name, candidate.clock_rate) == (codec.name, codec.clock_rate):
            return candidate.payload_type, None
        if table is not None and candidate.name in _LAWS:
            return candidate.payload_type, table
    return -1, None


def _number(payload_type: int | None) -> int:
    return -1 if payload_type is None else payload_type
