"""Keys as people keep them: recipients' text, and age's own identity files."""

from datetime import datetime
from typing import Final

from agent.formats.age import bech32, hybrid, x25519
from agent.formats.age.armor import armor, dearmor, is_armored
from agent.formats.age.errors import KeyFormatError
from agent.formats.age.file import decrypt, encrypt
from agent.formats.age.header import VERSION_LINE
from agent.formats.age.primitives import Entropy
from agent.formats.age.recipient import Identity, KeyKind, Recipient
from agent.formats.age.scrypt import (
    WORK_FACTOR,
    PassphraseIdentity,
    PassphraseRecipient,
)

MAX_IDENTITY_FILE: Final = 1 << 20
"Characters; a file of a thousand identities with their comments fits."


def parse_recipient(text: str) -> Recipient:
    """A public key, `age1…` or `age1pq1…`.

    Raises KeyFormatError, which never repeats `text`: it may be a secret key, pasted
    in the wrong place.
    """
    text = text.strip()
    if text.upper().startswith("AGE-SECRET-KEY-"):
        raise KeyFormatError(
            "This is a secret key where a public one belongs.",
            hint="Take it out of there, and give the one that begins with age1.",
        )
    if text != text.lower():
        raise KeyFormatError("A public key is written in lower case.")
    prefix, data = bech32.decode(text)
    if prefix == hybrid.RECIPIENT_PREFIX:
        return hybrid.HybridRecipient(data)
    if prefix == x25519.RECIPIENT_PREFIX:
        return x25519.X25519Recipient(data)
    raise KeyFormatError("This is not a public key of age, or one that needs a plugin.")


def recipient_kind(text: str) -> KeyKind:
    """The kind of a public key that `parse_recipient` has taken: a glance is enough."""
    hybrid_key = text.startswith(f"{hybrid.RECIPIENT_PREFIX}1")
    return KeyKind.POST_QUANTUM if hybrid_key else KeyKind.CLASSIC


def parse_identity(text: str) -> Identity:
    """A secret key. Raises KeyFormatError, which never repeats `text`."""
    text = text.strip()
    if text != text.upper():
        raise KeyFormatError("A secret key is written in upper case.")
    prefix, data = bech32.decode(text)
    if prefix == hybrid.IDENTITY_PREFIX:
        return hybrid.HybridIdentity(data)
    if prefix == x25519.IDENTITY_PREFIX:
        return x25519.X25519Identity(data)
    raise KeyFormatError("This is not a secret key of age, or one that needs a plugin.")


def parse_identities(text: str) -> list[Identity]:
    """The secret keys of an identity file: one a line, comments and blanks beside.

    Raises KeyFormatError, naming the line, never its text.
    """
    if len(text) > MAX_IDENTITY_FILE:
        raise KeyFormatError("This is too long for an identity file.")
    identities: list[Identity] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            identities.append(parse_identity(line))
        except KeyFormatError as error:
            raise KeyFormatError(f"Line {number}: {error}") from None
    if not identities:
        raise KeyFormatError("This file holds no secret key.")
    return identities


def generate_identity(kind: KeyKind, entropy: Entropy) -> Identity:
    """A new key pair."""
    if kind is KeyKind.CLASSIC:
        return x25519.X25519Identity.generate(entropy)
    return hybrid.HybridIdentity.generate(entropy)


def identity_file(identity: Identity, created: datetime | None = None) -> str:
    """One identity as age-keygen writes it, with its public key as a comment."""
    lines = [f"# created: {created.isoformat(timespec='seconds')}"] if created else []
    lines += [f"# public key: {identity.recipient()}", identity.encode(), ""]
    return "\n".join(lines)


def is_protected(data: bytes) -> bool:
    """Whether an identity file asks for a passphrase."""
    return is_armored(data) or data.startswith(VERSION_LINE)


def protect_identity_file(
    text: str, passphrase: str, entropy: Entropy, work_factor: int = WORK_FACTOR
) -> bytes:
    """An identity file under a passphrase, armored; the stock age asks for it."""
    recipient = PassphraseRecipient(passphrase, work_factor)
    return armor(encrypt(text.encode(), [recipient], entropy))


def open_identity_file(data: bytes, passphrase: str | None = None) -> list[Identity]:
    """The secret keys of an identity file, protected or not.

    Raises:
        NoMatchError: the passphrase is wrong.
        KeyFormatError: it is not an identity file, or the passphrase is missing.
        AgeError: its protection is malformed.
    """
    if is_protected(data):
        if passphrase is None:
            raise KeyFormatError("This identity file needs its passphrase.")
        inner = dearmor(data) if is_armored(data) else data
        data = decrypt(inner, [PassphraseIdentity(passphrase)])
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise KeyFormatError("This is not an identity file.") from None
    return parse_identities(text)
