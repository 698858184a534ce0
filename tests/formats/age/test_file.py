import random

import pytest
from hypothesis import given, settings, strategies as st

from agent.formats.age import (
    AgeError,
    Decryptor,
    Encryptor,
    HeaderError,
    HmacError,
    Identity,
    KeyKind,
    NoMatchError,
    PassphraseIdentity,
    PassphraseRecipient,
    PayloadError,
    Recipient,
    RecipientError,
    Stanza,
    decrypt,
    encrypt,
    generate_identity,
)
from agent.formats.age.file import MAX_RECIPIENTS
from agent.formats.age.header import MAX_HEADER, serialise_header

ENTROPY = random.Random(1).randbytes
CLASSIC = generate_identity(KeyKind.CLASSIC, ENTROPY)
HYBRID = generate_identity(KeyKind.POST_QUANTUM, ENTROPY)
STRANGER = generate_identity(KeyKind.POST_QUANTUM, ENTROPY)


@pytest.mark.parametrize("identity", [CLASSIC, HYBRID], ids=["classic", "pq"])
@pytest.mark.parametrize("size", [0, 1, 1 << 16, 200_000])
def test_round_trip(identity: Identity, size: int) -> None:
    plain = ENTROPY(size)
    data = encrypt(plain, [identity.recipient()], ENTROPY)
    assert decrypt(data, [STRANGER, identity]) == plain


@settings(max_examples=25)
@given(st.binary(max_size=300), st.integers(1, 700))
def test_pieces_of_any_size(plain: bytes, step: int) -> None:
    encryptor = Encryptor([HYBRID.recipient()], ENTROPY)
    data = encryptor.header() + encryptor.update(plain) + encryptor.finish()
    decryptor = Decryptor([HYBRID])
    pieces = [data[i : i + step] for i in range(0, len(data), step)]
    opened = [decryptor.update(piece) for piece in pieces]
    assert b"".join(opened) + decryptor.finish() == plain


def test_byte_by_byte() -> None:
    data = encrypt(b"speech", [CLASSIC.recipient()], ENTROPY)
    decryptor = Decryptor([CLASSIC])
    for i in range(len(data)):
        assert decryptor.update(data[i : i + 1]) == b""
    assert decryptor.finish() == b"speech"


def test_everyone_named_opens_it_and_nobody_else() -> None:
    people = [generate_identity(KeyKind.POST_QUANTUM, ENTROPY) for _ in range(4)]
    data = encrypt(b"speech", [person.recipient() for person in people], ENTROPY)
    for person in people:
        assert decrypt(data, [person]) == b"speech"
    with pytest.raises(NoMatchError):
        decrypt(data, [STRANGER, CLASSIC])
    with pytest.raises(NoMatchError):
        decrypt(data, [])


def test_kinds_do_not_mix() -> None:
    with pytest.raises(RecipientError, match="same kind"):
        Encryptor([CLASSIC.recipient(), HYBRID.recipient()], ENTROPY)


@pytest.mark.parametrize("count", [0, MAX_RECIPIENTS + 1])
def test_nobody_and_everybody_are_refused(count: int) -> None:
    with pytest.raises(RecipientError):
        Encryptor([CLASSIC.recipient()] * count, ENTROPY)


def test_the_largest_header_that_is_written_is_believed() -> None:
    stanza = HYBRID.recipient().wrap(bytes(16), ENTROPY)
    header = serialise_header([stanza] * MAX_RECIPIENTS, bytes(16))
    assert len(header) <= MAX_HEADER


def test_a_passphrase_stands_alone() -> None:
    passphrase = PassphraseRecipient("open sesame", 4)
    data = encrypt(b"key", [passphrase], ENTROPY)
    assert decrypt(data, [PassphraseIdentity("open sesame")]) == b"key"
    with pytest.raises(RecipientError, match="only"):
        encrypt(b"key", [passphrase, HYBRID.recipient()], ENTROPY)
    beside = [passphrase.wrap(bytes(16), ENTROPY), Stanza("x", (), b"")]
    with pytest.raises(HeaderError, match="beside"):
        decrypt(serialise_header(beside, bytes(16)) + bytes(32), [HYBRID])


class TellsAll:
    """A recipient and identity whose stanza is the file key itself."""

    kind = KeyKind.CLASSIC

    def __init__(self, file_key: bytes | None = None) -> None:
        self._file_key = file_key

    def wrap(self, file_key: bytes, entropy: object) -> Stanza:
        del entropy
        return Stanza("clear", (), file_key)

    def unwrap(self, stanzas: tuple[Stanza, ...]) -> bytes:
        return self._file_key or stanzas[0].body

    def recipient(self) -> Recipient:
        return self

    def encode(self) -> str:
        return ""


def test_a_header_altered_by_an_outsider() -> None:
    data = encrypt(b"speech", [TellsAll(), CLASSIC.recipient()], ENTROPY)
    altered = data.replace(b"-> clear", b"-> cleer")
    with pytest.raises(HmacError):
        decrypt(altered, [CLASSIC])
    with pytest.raises(HeaderError, match="file key"):
        decrypt(data, [TellsAll(b"too short")])


def test_every_cut_is_noticed() -> None:
    data = encrypt(b"speech", [CLASSIC.recipient()], ENTROPY)
    for cut in range(len(data)):
        with pytest.raises((HeaderError, PayloadError)):
            decrypt(data[:cut], [CLASSIC])


def test_a_faulty_header_is_named_before_a_missing_payload() -> None:
    header = serialise_header([Stanza("x", (), b"")], bytes(16))
    with pytest.raises(NoMatchError):
        decrypt(header, [CLASSIC])


@settings(max_examples=200)
@given(st.binary(max_size=30), st.integers(0, 250))
def test_garbage_opens_or_raises_the_one_error(noise: bytes, position: int) -> None:
    data = bytearray(encrypt(b"speech", [CLASSIC.recipient()], ENTROPY))
    data[position : position + len(noise)] = noise
    try:
        opened = decrypt(data, [CLASSIC])
    except AgeError:
        return
    assert opened == b"speech"
