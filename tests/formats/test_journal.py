import struct
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given, strategies as st

from agent.formats.journal import (
    HEADER_SIZE,
    MAGIC,
    MAX_BLOCK,
    MAX_BLOCKS,
    MAX_LEG,
    MAX_NOTE,
    MAX_PACKET,
    RECORD_SIZE,
    BlockSealer,
    JournalHeader,
    JournalLimitError,
    JournalRecordError,
    NotAJournalError,
    is_blank,
    iter_records,
    key_id,
    pack_note,
    pack_packet,
    peek_header,
)
from tests.formats.journals import HEADER, KEY, ONE, TWO, WHOLE, journal, packed


def test_header_offsets() -> None:
    data = HEADER.to_bytes()
    assert len(data) == HEADER_SIZE == 88
    assert data[:8] == MAGIC == b"recjrnl\n"
    assert data[8:12].hex() == "00010058"
    assert data[12:16].hex() == "00000003"
    assert data[16:32].hex() == "123e4567e89b42d3a456426614174000"
    assert data[32:40] == key_id("age1example")
    assert data[40:72] == bytes(range(32))
    assert int.from_bytes(data[72:80], "big") == HEADER.utc_ns
    assert int.from_bytes(data[80:88], "big") == HEADER.monotonic_ns


def test_blocks_as_the_format_document_says() -> None:
    info = b"recording-agent journal block v1"
    hkdf = HKDF(algorithm=SHA256(), length=32, salt=HEADER.salt, info=info)
    cipher = ChaCha20Poly1305(hkdf.derive(KEY))
    position, opened = HEADER_SIZE, []
    for kind, counter in ((1, 0), (1, 1), (2, 2)):
        assert WHOLE[position] == kind
        (size,) = struct.unpack_from(">I", WHOLE, position + 1)
        body = WHOLE[position + 5 : position + 5 + size]
        nonce = counter.to_bytes(11, "big") + bytes([kind == 2])
        opened.append(cipher.decrypt(nonce, body, WHOLE[:HEADER_SIZE]))
        position += 5 + size
    assert position == len(WHOLE)
    assert opened == [packed(ONE), packed(TWO), (2).to_bytes(8, "big")]


def test_record_offsets() -> None:
    assert pack_packet(1, 0x0102, b"rtp").hex() == "0100030000000000000102727470"
    assert pack_note(b"{}").hex() == "ff000200000000000000007b7d"
    assert RECORD_SIZE == 11


def test_peek_needs_no_key() -> None:
    assert peek_header(WHOLE) == HEADER
    for data in (b"", WHOLE[: HEADER_SIZE - 1], b"RIFF" * 40):
        with pytest.raises(NotAJournalError):
            peek_header(data)


@given(st.binary(max_size=100))
def test_records_parse_or_raise_the_one_error(block: bytes) -> None:
    try:
        records = list(iter_records(block))
    except JournalRecordError:
        return
    assert sum(RECORD_SIZE + len(record[-1]) for record in records) == len(block)


@pytest.mark.parametrize("cut", [1, 10, 11, 13])
def test_records_cut_short(cut: int) -> None:
    with pytest.raises(JournalRecordError):
        list(iter_records(pack_packet(0, 1, b"abc")[:cut]))


def test_what_does_not_fit() -> None:
    sealer = BlockSealer(HEADER, KEY)
    refused: list[Callable[[], object]] = [
        lambda: pack_packet(0, 0, bytes(MAX_PACKET + 1)),
        lambda: pack_packet(MAX_LEG + 1, 0, b""),
        lambda: pack_note(bytes(MAX_NOTE + 1)),
        lambda: sealer.seal(bytes(MAX_BLOCK + 1)),
        lambda: BlockSealer(HEADER, b"short"),
    ]
    for refuse in refused:
        with pytest.raises(JournalLimitError):
            refuse()


def test_no_nonce_is_used_twice() -> None:
    sealer = BlockSealer(HEADER, KEY)
    sealer._counter = MAX_BLOCKS
    with pytest.raises(JournalLimitError):
        sealer.seal(b"")
    sealer.end()
    for again in (sealer.end, lambda: sealer.seal(b"")):
        with pytest.raises(JournalLimitError):
            again()


@pytest.mark.parametrize(
    "changes",
    [
        {"recording_id": "+358401234567"},
        {"recording_id": HEADER.recording_id.upper()},
        {"key_id": b"short"},
        {"salt": b"short"},
        {"epoch": -1},
        {"epoch": 2**32},
        {"utc_ns": 2**64},
    ],
    ids=str,
)
def test_headers_that_do_not_fit(changes: dict[str, object]) -> None:
    fields = {name: getattr(HEADER, name) for name in HEADER.__slots__}
    with pytest.raises(JournalLimitError):
        JournalHeader(**{**fields, **changes}).to_bytes()


def test_what_holds_nothing_that_opens_is_told_without_the_key() -> None:
    first = len(journal([ONE], end=False))
    whole = journal([ONE, TWO], end=False)
    assert [is_blank(whole[:cut]) for cut in (0, 5, 40, HEADER_SIZE, first - 1)] == (
        [True] * 5
    )
    assert [is_blank(whole[:cut]) for cut in (first, len(whole))] == [False] * 2
    assert is_blank(bytes(4096))
    assert not is_blank(bytes(512) + whole[512:] + b"x")
    assert not is_blank(b"something else")
