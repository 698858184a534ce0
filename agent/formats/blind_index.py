"""The blind index: finding recordings by number in names that tell no number.

FORMAT.md, section "Blind index". A month's key comes from a root that stays at the
gate; a host holds those of the months it files recordings under, and no more.
"""

import hmac
import re
from typing import Final

import msgspec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from agent.common.errors import AgentError
from agent.formats.layout import Domain

KEY_SIZE: Final = 32
MAX_MONTHS: Final = 3
"The one before, at its turn, this one and the next: a host needs no more."
MAX_FILE: Final = 4096
MAX_NUMBER: Final = 256
"Characters; numbers have 16, and what is indexed as it was dialled is a SIP user."
VERSION: Final = 1
_INFO: Final = b"recording-agent index v1\x00"
_MONTH: Final = re.compile(r"\d{4}-(0[1-9]|1[0-2])", re.ASCII)


class IndexKeyError(AgentError):
    """An index key cannot be used; the message never repeats it."""

    hint = "Take the file as the gate's `index-keys` command prints it."


def month_key(root: bytes, month: str) -> bytes:
    """The key of a month like `2026-11`: 32 bytes; no way leads to another month's.

    Raises IndexKeyError.
    """
    if len(root) != KEY_SIZE:
        raise IndexKeyError("The root of the index keys must be 32 bytes.")
    _check_month(month)
    hkdf = HKDF(
        algorithm=SHA256(), length=KEY_SIZE, salt=None, info=_INFO + month.encode()
    )
    return hkdf.derive(root)


def blind(key: bytes, domain: Domain, number: str) -> str:
    """HMAC-SHA-256 of a number, as 64 hexadecimal digits.

    `number` is as the manifest has it: E.164, or as it was dialled. The domains are
    apart: who knows which numbers are officers' learns nothing about callers.

    Raises IndexKeyError.
    """
    if len(key) != KEY_SIZE:
        raise IndexKeyError("An index key must be 32 bytes.")
    if not 0 < len(number) <= MAX_NUMBER:
        raise IndexKeyError("What is indexed is no number.")
    message = domain.encode() + b"\x00" + number.encode()
    return hmac.digest(key, message, "sha256").hex()


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: int
    keys: dict[str, str]

    def __repr__(self) -> str:
        return "_File(…)"


class IndexKeys(msgspec.Struct, frozen=True):
    """What a host holds: keys of at most three months, by month. Never printed."""

    months: dict[str, bytes] = {}

    def __repr__(self) -> str:
        return f"IndexKeys({sorted(self.months)})"

    @classmethod
    def parse(cls, data: bytes) -> "IndexKeys":
        """Read `{"version":1,"keys":{"2026-11":"<64 hexadecimal digits>"}}`.

        Raises IndexKeyError.
        """
        if len(data) > MAX_FILE:
            raise IndexKeyError("The file of index keys is too long.")
        try:
            held = msgspec.json.decode(data, type=_File)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise IndexKeyError("The file of index keys is malformed.") from None
        if held.version != VERSION:
            raise IndexKeyError(
                f"The file of index keys is of version {held.version}.",
                hint="Read it with a newer version of this software.",
            )
        if not 0 < len(held.keys) <= MAX_MONTHS:
            raise IndexKeyError(
                f"The file of index keys has {len(held.keys)} months, not 1 to 3."
            )
        months = {}
        for month, text in held.keys.items():
            _check_month(month)
            if re.fullmatch(r"[0-9a-f]{64}", text, re.ASCII) is None:
                raise IndexKeyError(f"The index key of {month} is malformed.")
            months[month] = bytes.fromhex(text)
        return cls(months)

    def to_bytes(self) -> bytes:
        """The file, as `parse` reads it: secret."""
        keys = {month: key.hex() for month, key in sorted(self.months.items())}
        return msgspec.json.encode(_File(VERSION, keys)) + b"\n"

    def blind(self, month: str, domain: Domain, number: str) -> str | None:
        """A number's name in a month's index; None where its key is not held."""
        key = self.months.get(month)
        return None if key is None else blind(key, domain, number)


def _check_month(month: str) -> None:
    if _MONTH.fullmatch(month) is None:
        raise IndexKeyError("A month is written like 2026-11.")
