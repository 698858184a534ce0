import numpy as np
import pytest

from agent.formats.codecs.opus import is_well_formed, is_wide, packet_ticks
from agent.formats.codecs.opus_audio import OpusError, Samples, decode, encode
from tests.formats.signals import RATE, loudest, pcm16, sine

LAG = 312
"The coder's delay in 48 kHz samples."


def decoded(
    packets: list[bytes], rate: int, *, lost: frozenset[int] = frozenset()
) -> Samples:
    pieces = decode(((p, n not in lost) for n, p in enumerate(packets)), rate)
    return np.concatenate(list(pieces))


@pytest.mark.parametrize("samples", [1, 160, 161, 8000, 12_345])
def test_packets_are_of_20_ms_and_hold_all_of_it(samples: int) -> None:
    packets = encode(bytes(2 * samples), RATE)
    assert {packet_ticks(p) for p in packets} == {960}
    assert all(map(is_well_formed, packets))
    room = len(packets) * 960 - LAG
    assert samples * 6 <= room < samples * 6 + 2 * 960


def test_nothing_is_nothing() -> None:
    assert encode(b"", RATE) == []
    assert list(decode([], 48_000)) == []


@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_a_tone_comes_back_in_its_place(rate: int) -> None:
    silence = np.zeros(RATE // 2)
    audio = np.concatenate((silence, sine(440, 1.0), silence))
    back = decoded(encode(pcm16(audio), RATE), rate)
    lag = LAG * rate // 48_000
    spoken = back[lag + rate // 2 : lag + rate + rate // 2].astype(float)
    assert loudest(spoken, rate) == pytest.approx(440, abs=2)
    assert np.sqrt(np.mean(spoken**2)) == pytest.approx(8000 / np.sqrt(2), rel=0.1)
    before = back[: lag + rate // 2 - rate // 50]
    assert np.abs(before).max() < 100


def test_narrow_audio_is_sent_as_narrow() -> None:
    assert not any(is_wide(p[0]) for p in encode(pcm16(sine(440, 0.5)), RATE))


def test_what_was_lost_is_bridged_and_moves_nothing() -> None:
    packets = encode(pcm16(sine(440, 2.0)), RATE)
    whole = decoded(packets, 48_000)
    gappy = decoded(packets, 48_000, lost=frozenset(range(40, 45)))
    assert len(gappy) == len(whole)
    assert np.array_equal(gappy[: 40 * 960], whole[: 40 * 960])
    later = slice(60 * 960, 80 * 960)
    apart = gappy[later].astype(float) - whole[later]
    assert np.abs(apart).max() < 1500


def test_a_packet_that_does_not_parse_is_refused() -> None:
    packets = encode(pcm16(sine(440, 0.2)), RATE)
    broken = [*packets]
    broken[5] = bytes((packets[5][0] & 0xFC | 1, 1, 2, 3))
    assert not is_well_formed(broken[5])
    with pytest.raises(OpusError, match="cannot be decoded") as caught:
        list(decode(((p, True) for p in broken), 48_000))
    assert caught.value.permanent
    # Marked as unusable, it is only bridged.
    marked = ((p, is_well_formed(p)) for p in broken)
    sizes = [len(piece) for piece in decode(marked, 48_000)]
    assert sizes == [960] * 5 + [1920] + [960] * (len(packets) - 6)
