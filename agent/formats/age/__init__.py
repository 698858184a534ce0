"""The age v1 file format (C2SP age), classic and post-quantum.

Why our own: a recording is encrypted as it is made, in pieces, to post-quantum
recipients. Proven against the public vectors and the stock tools.
"""

from agent.formats.age.armor import armor, dearmor, is_armored
from agent.formats.age.errors import (
    AgeError,
    ArmorError,
    HeaderError,
    HmacError,
    KeyFormatError,
    NoMatchError,
    PayloadError,
    RecipientError,
)
from agent.formats.age.file import Decryptor, Encryptor, decrypt, encrypt
from agent.formats.age.header import Stanza
from agent.formats.age.keys import (
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
from agent.formats.age.primitives import Entropy
from agent.formats.age.recipient import Identity, KeyKind, Recipient
from agent.formats.age.scrypt import PassphraseIdentity, PassphraseRecipient

__all__ = [
    "AgeError",
    "ArmorError",
    "Decryptor",
    "Encryptor",
    "Entropy",
    "HeaderError",
    "HmacError",
    "Identity",
    "KeyFormatError",
    "KeyKind",
    "NoMatchError",
    "PassphraseIdentity",
    "PassphraseRecipient",
    "PayloadError",
    "Recipient",
    "RecipientError",
    "Stanza",
    "armor",
    "dearmor",
    "decrypt",
    "encrypt",
    "generate_identity",
    "identity_file",
    "is_armored",
    "is_protected",
    "open_identity_file",
    "parse_identities",
    "parse_identity",
    "parse_recipient",
    "protect_identity_file",
    "recipient_kind",
]
