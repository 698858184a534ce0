"""The payload: chunks of 64 KiB, each authenticated before it is released."""

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from agent.formats.age.errors import PayloadError
from agent.formats.age.primitives import TAG_SIZE, hkdf

CHUNK: Final = 1 << 16
SEALED_CHUNK: Final = CHUNK + TAG_SIZE
NONCE_SIZE: Final = 16
Buffer = bytes | bytearray | memoryview


def _cipher(file_key: bytes, nonce: bytes) -> ChaCha20Poly1305:
    return ChaCha20Poly1305(hkdf(file_key, salt=nonce, info=b"payload"))


def _chunk_nonce(index: int, *, last: bool) -> bytes:
    # A bare counter is safe because the stream key is drawn afresh for every file;
    # the flag is what makes a file cut off between two chunks fail to open.
    return index.to_bytes(11, "big") + (b"\x01" if last else b"\x00")


class _Chunks:
    """Cuts a stream into chunks, keeping back the one that may be the last."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._pending = bytearray()

    def push(self, data: Buffer) -> list[Buffer]:
        """The chunks that are certainly not the last."""
        if len(self._pending) + len(data) <= self._size:
            self._pending += data
            return []
        view = memoryview(data)
        chunks: list[Buffer] = []
        position = 0
        if self._pending:
            position = self._size - len(self._pending)
            chunks.append(self._pending + view[:position])
        while len(view) - position > self._size:
            chunks.append(view[position : position + self._size])
            position += self._size
        self._pending = bytearray(view[position:])
        return chunks

    def last(self) -> Buffer:
        """What was kept back."""
        return self._pending


class StreamSealer:
    """Encrypts a payload of any length in pieces of any size."""

    def __init__(self, file_key: bytes, nonce: bytes) -> None:
        self._cipher = _cipher(file_key, nonce)
        self._chunks = _Chunks(CHUNK)
        self._index = 0

    def update(self, data: Buffer) -> bytes:
        """Take more plaintext; returns the ciphertext that is ready."""
        return b"".join(
            [self._seal(chunk, last=False) for chunk in self._chunks.push(data)]
        )

    def finish(self) -> bytes:
        """The last chunk, without which the file does not open."""
        return self._seal(self._chunks.last(), last=True)

    def _seal(self, chunk: Buffer, *, last: bool) -> bytes:
        nonce = _chunk_nonce(self._index, last=last)
        self._index += 1
        return self._cipher.encrypt(nonce, chunk, None)


class StreamOpener:
    """Decrypts a payload; nothing leaves it that was not authenticated."""

    def __init__(self, file_key: bytes, nonce: bytes) -> None:
        self._cipher = _cipher(file_key, nonce)
        self._chunks = _Chunks(SEALED_CHUNK)
        self._index = 0

    def update(self, data: Buffer) -> bytes:
        """Take more ciphertext; returns the plaintext that is ready.

        Raises PayloadError where a chunk was altered.
        """
        return b"".join(
            [self._open(chunk, last=False) for chunk in self._chunks.push(data)]
        )

    def finish(self) -> bytes:
        """The last of the plaintext. Raises PayloadError if the file is cut short."""
        plain = self._open(self._chunks.last(), last=True)
        if not plain and self._index > 1:
            raise PayloadError("The last chunk is empty, which no writer leaves.")
        return plain

    def _open(self, chunk: Buffer, *, last: bool) -> bytes:
        nonce = _chunk_nonce(self._index, last=last)
        self._index += 1
        try:
            return self._cipher.decrypt(nonce, chunk, None)
        except InvalidTag:
            raise PayloadError("The payload was altered or cut short.") from None
