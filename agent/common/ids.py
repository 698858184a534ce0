"""Identifiers that say nothing about time, host or person."""

import hashlib
import os
import random
from typing import Final

POOL: Final = 4096
"Bytes asked of the kernel at once: the tags and branches of a hundred calls."


class SecureRandom(random.SystemRandom):
    """The kernel's randomness, fetched by the page: a call needs a dozen numbers."""

    def __init__(self) -> None:
        super().__init__()
        self._pool = b""
        self._taken = 0
        # A child must not draw what its parent draws.
        os.register_at_fork(after_in_child=self._forget)

    def getrandbits(self, k: int) -> int:
        """A number of `k` bits."""
        size = (k + 7) // 8
        if self._taken + size > len(self._pool):
            self._pool, self._taken = os.urandom(max(POOL, size)), 0
        drawn = self._pool[self._taken : self._taken + size]
        self._taken += size
        return int.from_bytes(drawn, "big") >> (8 * size - k)

    def _forget(self) -> None:
        self._pool = b""


def new_id() -> str:
    """A random UUIDv4 in its usual text form (RFC 9562 section 5.4).

    Not a time-ordered UUID: a time in an id would join audit rows to the PBX's
    own records.
    """
    return _uuid(os.urandom(16), version=4)


def id_of(*names: str) -> str:
    """The UUIDv8 of something that has names: told twice it has the same (RFC 9562)."""
    return _uuid(hashlib.sha256("\0".join(names).encode()).digest(), version=8)


def _uuid(octets: bytes, *, version: int) -> str:
    fields = bytearray(octets[:16])
    fields[6] = fields[6] & 0x0F | version << 4
    fields[8] = fields[8] & 0x3F | 0x80
    text = fields.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
