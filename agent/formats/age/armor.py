"""ASCII armor: PEM (RFC 7468) in its strict form, around an age file."""

from base64 import b64decode, b64encode
from typing import Final

from agent.formats.age.errors import ArmorError

BEGIN: Final = b"-----BEGIN AGE ENCRYPTED FILE-----"
END: Final = b"-----END AGE ENCRYPTED FILE-----"
_COLUMNS: Final = 64
_SPACE: Final = b" \t\r\n"
MAX_ARMORED: Final = 1 << 24
"Bytes: armor is for keys and messages; recordings are never armored."


def is_armored(data: bytes) -> bool:
    """Whether `data` claims to be armored; it may be malformed all the same."""
    return data.lstrip(_SPACE).startswith(BEGIN)


def armor(data: bytes) -> bytes:
    """Put armor around a file."""
    text = b64encode(data)
    lines = [text[i : i + _COLUMNS] for i in range(0, len(text), _COLUMNS)]
    return b"\n".join([BEGIN, *lines, END, b""])


def dearmor(data: bytes) -> bytes:
    """Take the armor off. Raises ArmorError unless it is as `armor` leaves it.

    Space around it, and CRLF for LF, are what mail and editors do, and allowed.
    """
    if len(data) > MAX_ARMORED:
        raise ArmorError("The armored file is longer than any that is believed.")
    first, *lines = data.strip(_SPACE).replace(b"\r\n", b"\n").split(b"\n")
    if first != BEGIN or not lines or lines.pop() != END:
        raise ArmorError("The armor's first or last line is missing.")
    if any(len(line) != _COLUMNS for line in lines[:-1]) or not all(
        0 < len(line) <= _COLUMNS for line in lines[-1:]
    ):
        raise ArmorError("The armor's lines are not of 64 columns.")
    text = b"".join(lines)
    try:
        decoded = b64decode(text, validate=True)
    except ValueError:
        raise ArmorError("The armor's base64 is malformed.") from None
    if b64encode(decoded) != text:
        raise ArmorError("The armor's base64 is not canonical.")
    return decoded
