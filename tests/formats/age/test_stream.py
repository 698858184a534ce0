import random

import pytest
from hypothesis import given, settings, strategies as st

from agent.formats.age.errors import PayloadError
from agent.formats.age.stream import (
    CHUNK,
    SEALED_CHUNK,
    StreamOpener,
    StreamSealer,
)

KEY, NONCE = b"k" * 16, b"n" * 16
PLAIN = random.Random(1).randbytes(3 * CHUNK)
SIZES = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 5, 3 * CHUNK]


def sealed(plain: bytes) -> bytes:
    sealer = StreamSealer(KEY, NONCE)
    return sealer.update(plain) + sealer.finish()


def opened(data: bytes) -> bytes:
    opener = StreamOpener(KEY, NONCE)
    return opener.update(data) + opener.finish()


@pytest.mark.parametrize("size", SIZES)
def test_round_trip(size: int) -> None:
    data = sealed(PLAIN[:size])
    assert len(data) == size + 16 * max(1, -(-size // CHUNK))
    assert opened(data) == PLAIN[:size]


@settings(max_examples=30)
@given(st.lists(st.integers(0, CHUNK + 20), max_size=5), st.sampled_from(SIZES))
def test_the_pieces_do_not_matter(cuts: list[int], size: int) -> None:
    plain, whole = PLAIN[:size], sealed(PLAIN[:size])
    sealer, opener = StreamSealer(KEY, NONCE), StreamOpener(KEY, NONCE)
    position, out, back = 0, [], []
    for cut in [*cuts, size]:
        out.append(sealer.update(plain[position : position + cut]))
        position += cut
    out.append(sealer.finish())
    assert b"".join(out) == whole
    position = 0
    for cut in [*cuts, len(whole)]:
        back.append(opener.update(whole[position : position + cut]))
        position += cut
    back.append(opener.finish())
    assert b"".join(back) == plain


@pytest.mark.parametrize("size", SIZES)
def test_every_cut_is_noticed_and_only_whole_chunks_come_out(size: int) -> None:
    data = sealed(PLAIN[:size])
    cuts = {0, 1, 15, 16, 17, SEALED_CHUNK - 1, SEALED_CHUNK, SEALED_CHUNK + 16}
    cuts |= {2 * SEALED_CHUNK, len(data) - 1, len(data) - 16}
    for cut in sorted(cut for cut in cuts if 0 <= cut < len(data)):
        opener = StreamOpener(KEY, NONCE)
        released = opener.update(data[:cut])
        assert released == PLAIN[: len(released)]
        with pytest.raises(PayloadError):
            opener.finish()


@pytest.mark.parametrize("place", [0, CHUNK, SEALED_CHUNK, 2 * SEALED_CHUNK + 3])
def test_an_altered_chunk_is_not_released(place: int) -> None:
    data = bytearray(sealed(PLAIN[: 2 * CHUNK + 5]))
    data[place] ^= 1
    with pytest.raises(PayloadError, match="altered"):
        opened(bytes(data))


def test_an_empty_last_chunk_after_others_is_refused() -> None:
    sealer = StreamSealer(KEY, NONCE)
    data = sealer._seal(PLAIN[:CHUNK], last=False) + sealer._seal(b"", last=True)
    with pytest.raises(PayloadError, match="empty"):
        opened(data)
