import random
from datetime import UTC, datetime

import pytest

from agent.formats.age import (
    HeaderError,
    KeyFormatError,
    KeyKind,
    NoMatchError,
    dearmor,
    generate_identity,
    identity_file,
    is_protected,
    open_identity_file,
    parse_identities,
    parse_identity,
    parse_recipient,
    protect_identity_file,
    recipient_kind,
)
from agent.formats.age.bech32 import encode
from agent.formats.age.keys import MAX_IDENTITY_FILE

ENTROPY = random.Random(1).randbytes
KINDS = pytest.mark.parametrize("kind", list(KeyKind))
CREATED = datetime(2026, 11, 23, 12, 0, 0, 5, tzinfo=UTC)
KEY_LINE = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"
PUBLIC = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"


def test_the_key_in_age_s_own_example() -> None:
    assert str(parse_identity(KEY_LINE).recipient()) == PUBLIC


@KINDS
def test_keys_survive_their_text(kind: KeyKind) -> None:
    identity = generate_identity(kind, ENTROPY)
    assert identity.kind is kind
    recipient = identity.recipient()
    assert parse_recipient(f" {recipient}\n") == recipient
    assert recipient_kind(str(recipient)) is kind
    assert parse_identity(f" {identity.encode()}\n").recipient() == recipient


@KINDS
def test_identity_file(kind: KeyKind) -> None:
    identity = generate_identity(kind, ENTROPY)
    text = identity_file(identity, CREATED)
    created, public, secret, end = text.split("\n")
    assert created == "# created: 2026-11-23T12:00:00+00:00"
    assert public == f"# public key: {identity.recipient()}"
    assert secret == identity.encode()
    assert end == ""
    assert identity_file(identity) == text.removeprefix(created + "\n")
    (parsed,) = parse_identities(text)
    assert parsed.encode() == secret


def test_identity_files_hold_comments_blanks_and_many_keys() -> None:
    text = f"\n# mine\r\n{KEY_LINE}\r\n\n  \n{KEY_LINE}"
    assert [key.encode() for key in parse_identities(text)] == [KEY_LINE, KEY_LINE]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no secret key"),
        ("# only a comment\n", "no secret key"),
        (f"# x\n{KEY_LINE[:-1]}Q\n", "Line 2"),
        (KEY_LINE.lower(), "Line 1"),
        (PUBLIC.upper(), "not a secret key"),
        ("#" * (MAX_IDENTITY_FILE + 1), "too long"),
    ],
)
def test_what_is_no_identity_file(text: str, message: str) -> None:
    with pytest.raises(KeyFormatError, match=message):
        parse_identities(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cut short"),
        (PUBLIC.upper(), "lower case"),
        (PUBLIC[:-1] + "q", "checksum"),
        (encode("age1tag", bytes(33)), "plugin"),
        (encode("age", b"x" * 31), "point"),
        (encode("age1pq", b"x" * 31), "length"),
        ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5", "lower case"),
        (KEY_LINE, "secret"),
        (KEY_LINE.lower(), "secret"),
        ("AGE-SECRET-KEY-PQ-1XYZ", "secret"),
    ],
)
def test_what_is_no_recipient(text: str, message: str) -> None:
    with pytest.raises(KeyFormatError, match=message) as caught:
        parse_recipient(text)
    assert not text or text not in str(caught.value)


def test_a_broken_secret_is_never_repeated() -> None:
    for place in range(16, len(KEY_LINE)):
        broken = KEY_LINE[:place] + ("B" if place % 2 else "P") + KEY_LINE[place + 1 :]
        if broken == KEY_LINE:
            continue
        with pytest.raises(KeyFormatError) as caught:
            parse_identities(broken)
        shown = f"{caught.value} {caught.value.__cause__}"
        assert not any(broken[i : i + 4] in shown for i in range(16, len(broken) - 4))


def test_a_protected_identity_file() -> None:
    text = f"{KEY_LINE}\n"
    data = protect_identity_file(text, "open sesame", ENTROPY, work_factor=4)
    assert is_protected(data)
    assert is_protected(dearmor(data))
    assert not is_protected(text.encode())
    for form in (data, dearmor(data)):
        (identity,) = open_identity_file(form, "open sesame")
        assert identity.encode() == KEY_LINE
    with pytest.raises(NoMatchError):
        open_identity_file(data, "open barley")
    with pytest.raises(KeyFormatError, match="passphrase"):
        open_identity_file(data)
    with pytest.raises(HeaderError):
        open_identity_file(dearmor(data)[:-100], "open sesame")


def test_an_open_identity_file() -> None:
    (identity,) = open_identity_file(f"{KEY_LINE}\n".encode())
    assert identity.encode() == KEY_LINE
    with pytest.raises(KeyFormatError):
        open_identity_file(b"\xff")
