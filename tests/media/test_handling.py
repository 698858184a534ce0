import pytest

from agent.formats.codecs.g711 import ALAW_TO_ULAW, ULAW_TO_ALAW
from agent.media.handling import convert, handlings
from agent.model.media import G722, OPUS, PCMA, PCMU, Address, Codec, NegotiatedAudio


def agreed(
    codec: Codec,
    *others: Codec,
    event: int | None = None,
    noise: int | None = None,
) -> NegotiatedAudio:
    return NegotiatedAudio(
        remote=Address("192.0.2.1", 4000),
        remote_rtcp=Address("192.0.2.1", 4001),
        codec=codec,
        others=others,
        telephone_event=event,
        comfort_noise=noise,
    )


OPUS_96 = Codec("opus", 96, 48_000, 2)

# What comes; what the other leg agreed; under which number it goes, and by what table.
TABLE = [
    (PCMA, agreed(PCMA), 8, None),
    (PCMA, agreed(PCMU), 0, ALAW_TO_ULAW),
    (PCMU, agreed(PCMA), 8, ULAW_TO_ALAW),
    (PCMU, agreed(PCMA, PCMU), 8, ULAW_TO_ALAW),
    (PCMA, agreed(G722), -1, None),
    (PCMA, agreed(G722, PCMU, PCMA), 0, ALAW_TO_ULAW),
    (G722, agreed(G722), 9, None),
    (G722, agreed(PCMA, G722), 9, None),
    (G722, agreed(PCMA), -1, None),
    (OPUS, agreed(OPUS_96), 96, None),
    (OPUS, agreed(PCMA, OPUS_96), 96, None),
    (OPUS, agreed(G722), -1, None),
    (Codec("opus", 107, 8000), agreed(OPUS_96), -1, None),
]


@pytest.mark.parametrize(("codec", "other", "number", "table"), TABLE)
def test_how_a_codec_goes_to_the_other_leg(
    codec: Codec, other: NegotiatedAudio, number: int, table: bytes | None
) -> None:
    assert convert(codec, other) == (number, table)


def test_every_payload_type_with_and_without_its_marker() -> None:
    own = agreed(OPUS_96, PCMA, event=101, noise=13)
    other = agreed(OPUS, PCMU, event=100, noise=13)
    assert handlings(own, other) == {
        96: (107, None, True, 48_000),
        96 | 0x80: (107 | 0x80, None, True, 48_000),
        8: (0, ALAW_TO_ULAW, True, 8000),
        8 | 0x80: (0x80, ALAW_TO_ULAW, True, 8000),
        13: (13, None, True, 0),
        13 | 0x80: (13 | 0x80, None, True, 0),
        101: (100, None, False, 0),
        101 | 0x80: (100 | 0x80, None, False, 0),
    }


@pytest.mark.parametrize("other", [None, agreed(G722)])
def test_what_nobody_hears_is_known_all_the_same(
    other: NegotiatedAudio | None,
) -> None:
    found = handlings(agreed(PCMA, event=101, noise=13), other)
    assert {8, 13, 101} < found.keys()
    assert {second for second, *_ in found.values()} == {-1}


def test_the_codec_in_use_has_the_last_word_on_its_number() -> None:
    found = handlings(agreed(Codec("opus", 8, 48_000), PCMA), None)
    assert found[8][3] == 48_000
