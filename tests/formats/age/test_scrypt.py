import random

import pytest

from agent.formats.age.errors import HeaderError, KeyFormatError
from agent.formats.age.header import Stanza
from agent.formats.age.primitives import encode_base64
from agent.formats.age.scrypt import (
    MAX_WORK_FACTOR,
    PassphraseIdentity,
    PassphraseRecipient,
)

ENTROPY = random.Random(1).randbytes
FILE_KEY = b"YELLOW SUBMARINE"
SALT = encode_base64(bytes(16))


def test_wrap_and_unwrap() -> None:
    stanza = PassphraseRecipient("open sesame", 4).wrap(FILE_KEY, ENTROPY)
    assert stanza.arguments[1] == "4"
    assert PassphraseIdentity("open sesame").unwrap([stanza]) == FILE_KEY
    assert PassphraseIdentity("open barley").unwrap([stanza]) is None
    assert PassphraseIdentity("x").unwrap([Stanza("X25519", (), b"")]) is None


def test_nothing_shows_the_passphrase() -> None:
    identity = PassphraseIdentity("open sesame")
    recipient = identity.recipient()
    assert "sesame" not in f"{identity!r} {recipient!r} {recipient}"
    with pytest.raises(KeyFormatError) as caught:
        identity.encode()
    assert "sesame" not in str(caught.value)


@pytest.mark.parametrize(
    ("passphrase", "factor"), [("", 4), ("x", 0), ("x", MAX_WORK_FACTOR + 1)]
)
def test_absurd_recipients(passphrase: str, factor: int) -> None:
    with pytest.raises(KeyFormatError):
        PassphraseRecipient(passphrase, factor)


@pytest.mark.parametrize(
    ("arguments", "body"),
    [
        ((), bytes(32)),
        ((SALT,), bytes(32)),
        ((SALT, "4", "4"), bytes(32)),
        ((SALT, "4"), bytes(31)),
        ((encode_base64(bytes(15)), "4"), bytes(32)),
        ((SALT, "04"), bytes(32)),
        ((SALT, "4 "), bytes(32)),
        ((SALT, "\u0664"), bytes(32)),
        ((SALT, str(MAX_WORK_FACTOR + 1)), bytes(32)),
    ],
)
def test_malformed_stanzas(arguments: tuple[str, ...], body: bytes) -> None:
    with pytest.raises(HeaderError):
        PassphraseIdentity("x").unwrap([Stanza("scrypt", arguments, body)])


def test_a_reader_may_believe_less() -> None:
    stanza = PassphraseRecipient("open sesame", 6).wrap(FILE_KEY, ENTROPY)
    with pytest.raises(HeaderError, match="work"):
        PassphraseIdentity("open sesame", max_work_factor=5).unwrap([stanza])
