"""A whole age file: header, nonce, payload; written and read in pieces."""

from collections.abc import Sequence
from typing import Final

from agent.formats.age import scrypt
from agent.formats.age.errors import HeaderError, NoMatchError, RecipientError
from agent.formats.age.header import (
    MAX_HEADER,
    Header,
    header_size,
    parse_header,
    serialise_header,
)
from agent.formats.age.primitives import FILE_KEY_SIZE, Entropy
from agent.formats.age.recipient import Identity, Recipient
from agent.formats.age.stream import NONCE_SIZE, Buffer, StreamOpener, StreamSealer

MAX_RECIPIENTS: Final = 500
"Their stanzas fit in a header that our own reader believes."


class Encryptor:
    """Writes one age file: `header`, then `update` as often as need be, `finish`."""

    def __init__(self, recipients: Sequence[Recipient], entropy: Entropy) -> None:
        """Draw the keys and wrap them for every recipient.

        Raises RecipientError if there are none, too many, or of kinds that must
        not stand in one file.
        """
        _check(recipients)
        file_key = entropy(FILE_KEY_SIZE)
        nonce = entropy(NONCE_SIZE)
        stanzas = [recipient.wrap(file_key, entropy) for recipient in recipients]
        self._header = serialise_header(stanzas, file_key) + nonce
        self._sealer = StreamSealer(file_key, nonce)

    def header(self) -> bytes:
        """What the file begins with."""
        return self._header

    def update(self, data: Buffer) -> bytes:
        """Take more plaintext; returns the ciphertext that is ready."""
        return self._sealer.update(data)

    def finish(self) -> bytes:
        """The rest, without which the file does not open."""
        return self._sealer.finish()


class Decryptor:
    """Reads one age file; gives out authenticated plaintext only."""

    def __init__(self, identities: Sequence[Identity]) -> None:
        self._identities = identities
        self._buffer = bytearray()
        self._opener: StreamOpener | None = None

    def update(self, data: Buffer) -> bytes:
        """Take more of the file; returns the plaintext that is ready.

        Raises:
            HeaderError: this is not an age file, or a malformed one.
            NoMatchError: it is not for these identities.
            HmacError, PayloadError: it was altered.
        """
        if self._opener is not None:
            return self._opener.update(data)
        held = len(self._buffer)
        # No more than a header can need: `data` may be a whole recording.
        self._buffer += memoryview(data)[: MAX_HEADER + NONCE_SIZE]
        size = header_size(self._buffer)
        if size is None or len(self._buffer) < size + NONCE_SIZE:
            return b""
        header = parse_header(bytes(self._buffer[:size]))
        file_key = self._unwrap(header)
        header.verify(file_key)
        start = size + NONCE_SIZE
        self._opener = StreamOpener(file_key, bytes(self._buffer[size:start]))
        self._buffer.clear()
        return self._opener.update(memoryview(data)[start - held :])

    def finish(self) -> bytes:
        """The last of the plaintext, once the whole file was given.

        Raises HeaderError or PayloadError if the file is cut short.
        """
        if self._opener is None:
            # A header whose fault shows before its end is named first.
            size = header_size(self._buffer)
            if size is not None:
                header = parse_header(bytes(self._buffer[:size]))
                header.verify(self._unwrap(header))
            raise HeaderError("The file ends before its payload begins.")
        return self._opener.finish()

    def _unwrap(self, header: Header) -> bytes:
        types = [stanza.type for stanza in header.stanzas]
        if scrypt.TYPE in types and len(types) > 1:
            raise HeaderError("A passphrase stands beside other recipients.")
        for identity in self._identities:
            file_key = identity.unwrap(header.stanzas)
            if file_key is not None:
                if len(file_key) != FILE_KEY_SIZE:
                    raise HeaderError("The file key has the wrong length.")
                return file_key
        raise NoMatchError("None of the identities opens this file.")


def encrypt(data: Buffer, recipients: Sequence[Recipient], entropy: Entropy) -> bytes:
    """Encrypt what fits in memory; raises RecipientError as Encryptor does."""
    encryptor = Encryptor(recipients, entropy)
    return b"".join([encryptor.header(), encryptor.update(data), encryptor.finish()])


def decrypt(data: Buffer, identities: Sequence[Identity]) -> bytes:
    """Decrypt what fits in memory; raises AgeError as Decryptor does."""
    decryptor = Decryptor(identities)
    return decryptor.update(data) + decryptor.finish()


def _check(recipients: Sequence[Recipient]) -> None:
    if not 0 < len(recipients) <= MAX_RECIPIENTS:
        raise RecipientError("A file needs at least one recipient, and not too many.")
    if len({recipient.kind for recipient in recipients}) > 1:
        raise RecipientError(
            "Classic and post-quantum recipients cannot share a file.",
            hint="Give everyone a key of the same kind.",
        )
    if len(recipients) > 1 and any(
        isinstance(recipient, scrypt.PassphraseRecipient) for recipient in recipients
    ):
        raise RecipientError("A passphrase must be a file's only recipient.")
