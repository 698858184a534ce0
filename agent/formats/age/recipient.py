"""What a recipient and an identity are, whatever their kind."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

from agent.formats.age.header import Stanza
from agent.formats.age.primitives import Entropy


class KeyKind(StrEnum):
    """Kinds of key pair that must not meet in one file.

    A file is as safe as its weakest recipient: one classic recipient would undo
    what the post-quantum ones are for.
    """

    CLASSIC = "classic"
    "X25519: `age1…`."
    POST_QUANTUM = "pq"
    "ML-KEM-768 with X25519: `age1pq1…`."


class Recipient(Protocol):
    """One to whom a file may be encrypted; `str` gives the text form."""

    @property
    def kind(self) -> KeyKind:
        """What it may stand beside in one file."""
        ...

    def wrap(self, file_key: bytes, entropy: Entropy) -> Stanza:
        """Encrypt a file key to this recipient."""
        ...

    def __str__(self) -> str: ...


class Identity(Protocol):
    """One who can open what was encrypted to its recipient; `repr` elides."""

    @property
    def kind(self) -> KeyKind:
        """The kind of its recipient."""
        ...

    def unwrap(self, stanzas: Sequence[Stanza]) -> bytes | None:
        """The file key, or None if no stanza is for this identity.

        Raises HeaderError if a stanza of this identity's type is malformed.
        """
        ...

    def recipient(self) -> Recipient:
        """The public half."""
        ...

    def encode(self) -> str:
        """The secret, as it stands in an identity file."""
        ...
