import io

import pytest
import soundfile
from hypothesis import given, strategies as st

from agent.formats.ogg import (
    PAGE_PACKETS,
    OggError,
    checksum,
    page,
    split_page,
    unwrap,
    wrap_opus,
)

EMPTY_FRAME = b"\x98"
"Narrow-band CELT of 20 ms, not sent."


def test_the_checksum_is_that_of_the_rfc() -> None:
    # CRC with the polynomial 0x04c11db7, bit by bit.
    data = b"The quick brown fox"
    register = 0
    for octet in data:
        register ^= octet << 24
        for _ in range(8):
            register = register << 1 ^ (0x104C11DB7 if register >> 31 else 0)
    assert checksum(data) == register


@given(st.lists(st.binary(max_size=1500), max_size=120))
def test_what_is_wrapped_is_unwrapped(packets: list[bytes]) -> None:
    data = wrap_opus([(packet, 960) for packet in packets], 48_000)
    head, tags, *rest = unwrap(data)
    assert head.startswith(b"OpusHead")
    assert tags == b"OpusTags" + bytes(8)
    assert rest == packets


def test_a_page_is_split_off_once_it_is_whole() -> None:
    data = page(3, 0, 0, [b"a" * 300, b"b"], serial=77) + b"OggS"
    found = split_page(data)
    assert found is not None
    assert found == (77, b"a" * 300 + b"b", b"OggS")
    for length in range(len(data) - 4):
        assert split_page(data[:length]) is None


@pytest.mark.parametrize("count", [1, PAGE_PACKETS, PAGE_PACKETS + 1, 500])
def test_libsndfile_reads_all_of_it(count: int) -> None:
    data = wrap_opus([(EMPTY_FRAME, 960)] * count, 16_000)
    with soundfile.SoundFile(io.BytesIO(data)) as file:
        assert (file.samplerate, file.channels) == (16_000, 1)
        assert len(file.read()) == count * 320


@pytest.mark.parametrize("cut", [1, 20, 27, 28, 40, 60])
def test_a_stream_cut_off(cut: int) -> None:
    data = wrap_opus([(EMPTY_FRAME, 960)], 48_000)[:cut]
    with pytest.raises(OggError, match="cut off"):
        list(unwrap(data))


def test_no_ogg_at_all() -> None:
    with pytest.raises(OggError, match="no Ogg"):
        list(unwrap(b"RIFF" + bytes(40)))
    with pytest.raises(OggError, match="no Ogg"):
        list(unwrap(b"OggS\1" + bytes(40)))
