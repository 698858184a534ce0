"""Sounds in wide-band codecs: encoded once, at the start, never in a worker."""

from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Final

from agent.formats.codecs import g722, opus_audio
from agent.formats.codecs.g711 import decode_alaw
from agent.media.sound import Sound

SAMPLE_RATE: Final = 8000


def encode(sound: Sound, codecs: AbstractSet[str]) -> Sound:
    """The same sound, in those of `codecs` as well that it needs encoding for."""
    linear = decode_alaw(sound.pcma)
    if "G722" in codecs:
        sound = replace(sound, g722=g722.encode_8k(linear))
    if "opus" in codecs:
        packets = tuple(opus_audio.encode(linear, SAMPLE_RATE))
        sound = replace(sound, opus=packets)
    return sound
