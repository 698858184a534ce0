import pytest
from hypothesis import given, strategies as st

from agent.media.playable import TICKS, Packets, Samples, pack, unpack
from agent.media.sound import Sound


def sound(*, g722: bytes = b"", opus: tuple[bytes, ...] = ()) -> Sound:
    return Sound("s", "", 0, b"alaw", b"ULAW", g722=g722, opus=opus)


def test_samples_are_cut_anywhere() -> None:
    samples = Samples(b"__audio__", 2, 5)
    assert (samples.ticks, samples.whole) == (5, False)
    assert samples.cut(0, 3) == (b"aud", 3)
    assert samples.cut(3, 9) == (b"io", 2)
    assert samples.cut(5, 1) == (b"", 0)
    assert samples.cut(9, 1) == (b"", 0)


def test_packets_are_not_cut() -> None:
    packets = Packets([b"one", b"two"])
    assert (packets.ticks, packets.whole) == (2 * TICKS, True)
    assert packets.cut(0, TICKS) == (b"one", TICKS)
    assert packets.cut(TICKS - 1, TICKS) == (b"one", TICKS)
    assert packets.cut(TICKS, TICKS) == (b"two", TICKS)
    assert packets.cut(2 * TICKS, TICKS) == (b"", 0)


@given(st.binary(max_size=20), st.lists(st.binary(max_size=1500), max_size=5))
def test_what_is_packed_is_unpacked(g722: bytes, opus: list[bytes]) -> None:
    packed = sound(g722=g722, opus=tuple(opus))
    memory, parts = pack(packed)
    assert len(memory) == sum(part.size for part in parts)
    found = unpack(memory, parts)
    assert found.keys() == packed.encodings.keys()
    for codec, audio in packed.encodings.items():
        encoding = found[codec]
        if isinstance(audio, bytes):
            assert encoding.cut(0, 1 << 20) == (audio, len(audio))
        else:
            cuts = [encoding.cut(n * TICKS, TICKS)[0] for n in range(len(audio))]
            assert tuple(cuts) == audio


@pytest.mark.parametrize(("g722", "opus"), [(b"", ()), (b"g", (b"", b"o"))])
def test_memory_holds_what_there_is(g722: bytes, opus: tuple[bytes, ...]) -> None:
    memory, _ = pack(sound(g722=g722, opus=opus))
    packets = b"".join(len(packet).to_bytes(2) + packet for packet in opus)
    assert memory == b"alawULAW" + g722 + packets
