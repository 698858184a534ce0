import numpy as np
import pytest

from agent.formats.codecs.g711 import decode_alaw
from agent.formats.codecs.g722 import G722Decoder
from agent.formats.codecs.opus import packet_ticks
from agent.formats.codecs.opus_audio import decode
from agent.media.encoding import encode
from agent.media.tones import ringback, tone
from tests.formats.signals import loudest


def test_only_what_is_wanted_is_encoded() -> None:
    sound = ringback()
    assert encode(sound, {"PCMA", "PCMU"}) is sound
    assert encode(sound, {"G722"}).encodings.keys() == {"PCMA", "PCMU", "G722"}
    assert encode(sound, {"opus", "PCMA"}).encodings.keys() == {"PCMA", "PCMU", "opus"}


def test_every_encoding_is_the_sound() -> None:
    sound = encode(tone("t", frequency=425, cadence=(1.0, 0.5)), {"G722", "opus"})
    assert len(sound.g722) == len(sound.pcma) == 12_000
    assert {packet_ticks(packet) for packet in sound.opus} == {960}
    opus = np.concatenate(list(decode([(p, True) for p in sound.opus], 16_000)))
    g722 = np.frombuffer(G722Decoder().decode(sound.g722), np.int16)
    law = np.repeat(np.frombuffer(decode_alaw(sound.pcma), "<i2"), 2)
    for heard in (opus, g722, law):
        burst, rest = heard[1600:14_400].astype(float), heard[16_800:23_000]
        assert loudest(burst, 16_000) == pytest.approx(425, abs=2)
        assert np.sqrt(np.mean(burst**2)) == pytest.approx(5120, rel=0.1)
        assert np.abs(rest).max() < 60
