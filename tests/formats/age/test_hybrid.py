import random

import pytest

from agent.formats.age.errors import HeaderError, KeyFormatError
from agent.formats.age.header import Stanza
from agent.formats.age.hybrid import (
    ENCAPSULATION_SIZE,
    PUBLIC_SIZE,
    HybridIdentity,
    HybridRecipient,
)
from agent.formats.age.primitives import encode_base64
from agent.formats.age.recipient import KeyKind

ENTROPY = random.Random(1).randbytes
IDENTITY = HybridIdentity.generate(ENTROPY)
OTHER = HybridIdentity.generate(ENTROPY)
FILE_KEY = b"YELLOW SUBMARINE"


def test_wrap_and_unwrap() -> None:
    stanza = IDENTITY.recipient().wrap(FILE_KEY, ENTROPY)
    other = OTHER.recipient().wrap(FILE_KEY, ENTROPY)
    foreign = Stanza("X25519", ("x",), b"")
    assert IDENTITY.unwrap([foreign, other, stanza]) == FILE_KEY
    assert IDENTITY.unwrap([foreign, other]) is None
    assert IDENTITY.kind is IDENTITY.recipient().kind is KeyKind.POST_QUANTUM


def test_text_and_repr() -> None:
    recipient = IDENTITY.recipient()
    assert str(recipient).startswith("age1pq1")
    assert len(str(recipient)) == 1959
    assert repr(recipient) == f"HybridRecipient({str(recipient)[:24]}…)"
    assert IDENTITY.encode().startswith("AGE-SECRET-KEY-PQ-1")
    assert repr(IDENTITY) == "HybridIdentity(…)"


def test_recipients_are_equal_by_key() -> None:
    mine = IDENTITY.recipient()
    assert mine == HybridRecipient(mine._public)
    assert mine != OTHER.recipient()
    assert mine != str(mine)
    assert len({mine, HybridRecipient(mine._public), OTHER.recipient()}) == 2


PUBLIC = IDENTITY.recipient()._public


@pytest.mark.parametrize(
    "public",
    [
        b"",
        PUBLIC[:-1],
        PUBLIC + b"x",
        # Coefficients are below 3329 (FIPS 203 section 7.2), and the point is one.
        b"\xff" * 1184 + PUBLIC[1184:],
        PUBLIC[:1184] + bytes(32),
    ],
    ids=["empty", "short", "long", "lattice", "point"],
)
def test_public_keys_that_are_none(public: bytes) -> None:
    with pytest.raises(KeyFormatError):
        HybridRecipient(public)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_seed_of_the_wrong_length(size: int) -> None:
    with pytest.raises(KeyFormatError):
        HybridIdentity(bytes(size))


ENCAPSULATION = encode_base64(b"\x09" * ENCAPSULATION_SIZE)


@pytest.mark.parametrize(
    ("arguments", "body"),
    [
        ((), bytes(32)),
        ((ENCAPSULATION, ENCAPSULATION), bytes(32)),
        ((ENCAPSULATION,), bytes(31)),
        ((ENCAPSULATION + "=",), bytes(32)),
        ((encode_base64(bytes(ENCAPSULATION_SIZE - 1)),), bytes(32)),
        ((encode_base64(bytes(ENCAPSULATION_SIZE)),), bytes(32)),
    ],
)
def test_malformed_stanzas(arguments: tuple[str, ...], body: bytes) -> None:
    with pytest.raises(HeaderError):
        IDENTITY.unwrap([Stanza("mlkem768x25519", arguments, body)])


def test_sizes() -> None:
    assert (PUBLIC_SIZE, ENCAPSULATION_SIZE) == (1216, 1120)
