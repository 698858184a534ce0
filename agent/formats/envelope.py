"""A segment's own key pair, and the envelope that carries its private half.

FORMAT.md, section 5. The envelope is an age file whose plaintext is age's own
identity file, so that two runs of the stock tool open a recording. Where there is a
gate, that file is the inner layer, and the outer one, which also names the recording,
is to the gate's key of the day.
"""

import functools
from collections.abc import Sequence
from typing import Final, Protocol, Self

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from agent.formats.age import (
    AgeError,
    Entropy,
    Identity,
    KeyFormatError,
    KeyKind,
    Recipient,
    RecipientError,
    decrypt,
    encrypt,
    generate_identity,
    identity_file,
    parse_identities,
    parse_recipient,
)

JOURNAL_KEY_SIZE: Final = 32
MAX_ENVELOPE: Final = 1 << 20
"Bytes of either layer: 500 post-quantum recipients take 800,000."
_AGE: Final = b"age-encryption.org/v1\n"
_LAYER: Final = b"recording-agent envelope v1 "
"What the gate's layer begins with; the recording's id and a line feed follow."
_JOURNAL_INFO: Final = b"recording-agent journal v1\x00"


class SegmentKey:
    """The key pair of one segment; whoever holds it opens that segment alone."""

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        self.recipient = str(identity.recipient())
        "The public half: `age1…` or `age1pq1…`."

    @classmethod
    def generate(cls, kind: KeyKind, entropy: Entropy) -> Self:
        """A new pair, of the kind of those who may open it."""
        return cls(generate_identity(kind, entropy))

    def __repr__(self) -> str:
        return "SegmentKey(…)"

    def journal_key(self, recording_id: str) -> bytes:
        """The key of this segment's journal: 32 bytes, from which no way leads back.

        It is what a host keeps while it records: it opens the journal, and nothing
        that was sealed.
        """
        hkdf = HKDF(
            algorithm=SHA256(),
            length=JOURNAL_KEY_SIZE,
            salt=None,
            info=_JOURNAL_INFO + recording_id.encode(),
        )
        return hkdf.derive(self.identity.encode().encode())

    def seal(self, recipients: Sequence[Recipient], entropy: Entropy) -> bytes:
        """The key envelope `<id>.key.age`, for those who may open the recording.

        Raises RecipientError if there are none, or one of another kind than this
        pair: the weaker of the two would be all that protects the recording.
        """
        if any(recipient.kind is not self.identity.kind for recipient in recipients):
            raise RecipientError(
                "A recipient's key is of another kind than the segment's.",
                hint="Give everyone a key of the same kind.",
            )
        return encrypt(identity_file(self.identity).encode(), recipients, entropy)


def open_envelope(data: bytes, identities: Sequence[Identity]) -> SegmentKey:
    """Open a key envelope.

    Raises AgeError: NoMatchError where it is not for these identities.
    """
    try:
        text = decrypt(data, identities).decode()
    except UnicodeDecodeError:
        raise KeyFormatError("The envelope holds something else than a key.") from None
    held = parse_identities(text)
    if len(held) != 1:
        raise KeyFormatError("The envelope holds more than one key.")
    return SegmentKey(held[0])


class OuterKey(Protocol):
    """Whom the outer layer is to: a day key of the gate's, or a record's hold key."""

    @property
    def recipient(self) -> str:
        """`age1…` or `age1pq1…`."""


class MisfiledError(AgeError):
    """An envelope lies where another recording's should."""

    hint = "Find out who has put it under this recording's id."


def wrap(inner: bytes, recording_id: str, day: OuterKey, entropy: Entropy) -> bytes:
    """Put the gate's layer around a recording's envelope.

    Without that key nobody opens it, and nobody makes it another recording's. Raises
    KeyFormatError if `inner` is no envelope, or `day` has no recipient.
    """
    _check_inner(inner)
    recipient = _outer_recipient(day.recipient)
    return encrypt(_first_line(recording_id) + inner, [recipient], entropy)


def unwrap(outer: bytes, identities: Sequence[Identity], recording_id: str) -> bytes:
    """Take the gate's layer off; what remains is for those who may open the recording.

    Raises AgeError: NoMatchError where it is not for these identities, MisfiledError
    where it is another recording's.
    """
    if len(outer) > 2 * MAX_ENVELOPE:
        raise KeyFormatError("This is longer than any envelope.")
    plain = decrypt(outer, identities)
    if not plain.startswith(_LAYER):
        raise KeyFormatError("The gate's layer does not say what it is around.")
    line = _first_line(recording_id)
    if not plain.startswith(line):
        raise MisfiledError("The envelope is another recording's.")
    inner = plain[len(line) :]
    _check_inner(inner)
    return inner


def _first_line(recording_id: str) -> bytes:
    return _LAYER + recording_id.encode() + b"\n"


@functools.lru_cache(maxsize=16)
def _outer_recipient(text: str) -> Recipient:
    """All envelopes of a day have one: its text costs more to read than to wrap for."""
    return parse_recipient(text)


def _check_inner(inner: bytes) -> None:
    if not inner.startswith(_AGE) or len(inner) > MAX_ENVELOPE:
        raise KeyFormatError("What the gate's layer is around is no envelope.")
