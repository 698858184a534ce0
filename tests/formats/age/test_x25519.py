import random

import pytest

from agent.formats.age.errors import HeaderError, KeyFormatError
from agent.formats.age.header import Stanza
from agent.formats.age.primitives import encode_base64
from agent.formats.age.recipient import KeyKind
from agent.formats.age.x25519 import X25519Identity, X25519Recipient

ENTROPY = random.Random(1).randbytes
IDENTITY = X25519Identity.generate(ENTROPY)
OTHER = X25519Identity.generate(ENTROPY)
FILE_KEY = b"YELLOW SUBMARINE"


def test_wrap_and_unwrap() -> None:
    stanza = IDENTITY.recipient().wrap(FILE_KEY, ENTROPY)
    other = OTHER.recipient().wrap(FILE_KEY, ENTROPY)
    foreign = Stanza("ssh-rsa", ("x",), b"")
    assert IDENTITY.unwrap([foreign, other, stanza]) == FILE_KEY
    assert IDENTITY.unwrap([foreign, other]) is None
    assert IDENTITY.kind is IDENTITY.recipient().kind is KeyKind.CLASSIC


def test_text_and_repr() -> None:
    recipient = IDENTITY.recipient()
    assert str(recipient).startswith("age1")
    assert len(str(recipient)) == 62
    assert repr(recipient) == f"X25519Recipient({recipient})"
    assert IDENTITY.encode().startswith("AGE-SECRET-KEY-1")
    assert repr(IDENTITY) == "X25519Identity(…)"


def test_recipients_are_equal_by_key() -> None:
    mine = IDENTITY.recipient()
    assert mine == X25519Recipient(mine._public)
    assert mine != OTHER.recipient()
    assert mine != str(mine)
    assert len({mine, X25519Recipient(mine._public), OTHER.recipient()}) == 2


@pytest.mark.parametrize("public", [bytes(32), b"\x01" + bytes(31), b"x" * 31, b""])
def test_points_that_keep_no_secret_are_refused(public: bytes) -> None:
    with pytest.raises(KeyFormatError):
        X25519Recipient(public)


def test_secret_of_the_wrong_length() -> None:
    with pytest.raises(KeyFormatError):
        X25519Identity(b"x" * 33)


SHARE = encode_base64(b"\x09" + bytes(31))


@pytest.mark.parametrize(
    ("arguments", "body"),
    [
        ((), bytes(32)),
        ((SHARE, SHARE), bytes(32)),
        ((SHARE,), bytes(31)),
        ((SHARE,), bytes(40)),
        ((SHARE + "=",), bytes(32)),
        ((encode_base64(bytes(32)),), bytes(32)),
        ((encode_base64(bytes(31)),), bytes(32)),
    ],
)
def test_malformed_stanzas(arguments: tuple[str, ...], body: bytes) -> None:
    with pytest.raises(HeaderError):
        IDENTITY.unwrap([Stanza("X25519", arguments, body)])
