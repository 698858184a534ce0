"""Post-quantum recipients: ML-KEM-768 with X25519, through HPKE (C2SP age).

HPKE (RFC 9180) draws the encapsulation's randomness itself, from the operating
system: `entropy` makes key pairs here, and nothing else.
"""

from collections.abc import Sequence
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import (
    MLKEM768PrivateKey,
    MLKEM768PublicKey,
)
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHAKE256, Hash
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)

from agent.formats.age import bech32
from agent.formats.age.errors import HeaderError, KeyFormatError
from agent.formats.age.header import Stanza
from agent.formats.age.primitives import (
    WRAPPED_SIZE,
    Entropy,
    decode_base64,
    encode_base64,
)
from agent.formats.age.recipient import KeyKind
from agent.formats.age.x25519 import check_point

RECIPIENT_PREFIX: Final = "age1pq"
IDENTITY_PREFIX: Final = "age-secret-key-pq-"
SEED_SIZE: Final = 32
_MLKEM_SEED_SIZE: Final = 64
_MLKEM_PUBLIC_SIZE: Final = 1184
_POINT_SIZE: Final = 32
PUBLIC_SIZE: Final = _MLKEM_PUBLIC_SIZE + _POINT_SIZE
_MLKEM_CIPHERTEXT_SIZE: Final = 1088
ENCAPSULATION_SIZE: Final = _MLKEM_CIPHERTEXT_SIZE + _POINT_SIZE
_TYPE: Final = "mlkem768x25519"
_INFO: Final = b"age-encryption.org/mlkem768x25519"
_SUITE: Final = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)


class HybridRecipient:
    """`age1pq1…`: an ML-KEM-768 encapsulation key and a Curve25519 public key."""

    kind = KeyKind.POST_QUANTUM

    def __init__(self, public: bytes) -> None:
        if len(public) != PUBLIC_SIZE:
            raise KeyFormatError("This public key has the wrong length.")
        try:
            self._key = MLKEM768X25519PublicKey(
                MLKEM768PublicKey.from_public_bytes(public[:_MLKEM_PUBLIC_SIZE]),
                check_point(public[_MLKEM_PUBLIC_SIZE:]),
            )
        except ValueError:
            raise KeyFormatError("This public key is not a usable one.") from None
        self._public = public
        self._text = bech32.encode(RECIPIENT_PREFIX, public)

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"HybridRecipient({self._text[:24]}…)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HybridRecipient) and self._public == other._public

    def __hash__(self) -> int:
        return hash(self._public)

    def wrap(self, file_key: bytes, entropy: Entropy) -> Stanza:
        """Encrypt a file key to this recipient."""
        sealed = _SUITE.encrypt(file_key, self._key, _INFO)
        encapsulation = encode_base64(sealed[:ENCAPSULATION_SIZE])
        return Stanza(_TYPE, (encapsulation,), sealed[ENCAPSULATION_SIZE:])


class HybridIdentity:
    """`AGE-SECRET-KEY-PQ-1…`: the 32-byte seed of both private keys."""

    kind = KeyKind.POST_QUANTUM

    def __init__(self, seed: bytes) -> None:
        if len(seed) != SEED_SIZE:
            raise KeyFormatError("This secret key has the wrong length.")
        xof = Hash(SHAKE256(_MLKEM_SEED_SIZE + _POINT_SIZE))
        xof.update(seed)
        expanded = xof.finalize()
        mlkem = MLKEM768PrivateKey.from_seed_bytes(expanded[:_MLKEM_SEED_SIZE])
        x25519 = X25519PrivateKey.from_private_bytes(expanded[_MLKEM_SEED_SIZE:])
        self._seed = seed
        self._key = MLKEM768X25519PrivateKey(mlkem, x25519)
        self._recipient = HybridRecipient(
            mlkem.public_key().public_bytes_raw()
            + x25519.public_key().public_bytes_raw()
        )

    @classmethod
    def generate(cls, entropy: Entropy) -> Self:
        """A new key pair."""
        return cls(entropy(SEED_SIZE))

    def __repr__(self) -> str:
        return "HybridIdentity(…)"

    def recipient(self) -> HybridRecipient:
        """The public half."""
        return self._recipient

    def encode(self) -> str:
        """The secret, as it stands in an identity file."""
        return bech32.encode(IDENTITY_PREFIX, self._seed).upper()

    def unwrap(self, stanzas: Sequence[Stanza]) -> bytes | None:
        """The file key, or None if no stanza is for this identity.

        Raises HeaderError if a post-quantum stanza is malformed.
        """
        for stanza in stanzas:
            if stanza.type == _TYPE:
                file_key = self._unwrap(stanza)
                if file_key is not None:
                    return file_key
        return None

    def _unwrap(self, stanza: Stanza) -> bytes | None:
        if len(stanza.arguments) != 1 or len(stanza.body) != WRAPPED_SIZE:
            raise HeaderError("A post-quantum stanza is malformed.")
        encapsulation = decode_base64(stanza.arguments[0])
        if len(encapsulation) != ENCAPSULATION_SIZE:
            raise HeaderError("A post-quantum stanza has a wrong length.")
        try:
            # HPKE gives one error for a bad share and for another's stanza.
            check_point(encapsulation[_MLKEM_CIPHERTEXT_SIZE:])
        except ValueError:
            raise HeaderError("A post-quantum stanza's share is no point.") from None
        try:
            return _SUITE.decrypt(encapsulation + stanza.body, self._key, _INFO)
        except InvalidTag:
            return None
