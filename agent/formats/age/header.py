"""The header of an age file: stanzas, one per recipient, and their MAC."""

import re
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from agent.formats.age.errors import HeaderError, HmacError
from agent.formats.age.primitives import decode_base64, encode_base64, hkdf

VERSION_LINE: Final = b"age-encryption.org/v1\n"
MAX_HEADER: Final = 1 << 20
"Bytes; six hundred post-quantum recipients fit, far above any envelope of ours."
MAC_SIZE: Final = 32
_COLUMNS: Final = 64
_END: Final = re.compile(rb"\n---[^\n]*\n")
_ARGUMENT: Final = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True)
class Stanza:
    """The file key, wrapped for one recipient."""

    type: str
    arguments: tuple[str, ...]
    body: bytes

    def to_bytes(self) -> bytes:
        """Serialise, with the body in lines of 64 columns, the last one shorter."""
        text = encode_base64(self.body)
        lines = [" ".join(("->", self.type, *self.arguments))]
        lines += [text[i : i + _COLUMNS] for i in range(0, len(text) + 1, _COLUMNS)]
        return "\n".join([*lines, ""]).encode()


@dataclass(frozen=True, slots=True)
class Header:
    """A parsed header, whose MAC is yet to be verified under the file key."""

    stanzas: tuple[Stanza, ...]
    authenticated: bytes
    "What the MAC is over: everything before it, up to and including `---`."
    mac: bytes

    def verify(self, file_key: bytes) -> None:
        """Raises HmacError unless someone with the file key wrote this header."""
        try:
            _hmac(file_key, self.authenticated).verify(self.mac)
        except InvalidSignature:
            raise HmacError("The header's MAC is wrong.") from None


def serialise_header(stanzas: list[Stanza], file_key: bytes) -> bytes:
    """A whole header, up to where the payload begins."""
    authenticated = b"".join(
        [VERSION_LINE, *(stanza.to_bytes() for stanza in stanzas), b"---"]
    )
    mac = encode_base64(_hmac(file_key, authenticated).finalize())
    return authenticated + b" " + mac.encode() + b"\n"


def header_size(data: bytes | bytearray) -> int | None:
    """Where the header in `data` ends, or None while its end has not come.

    Raises HeaderError if no more data can make it a header.
    """
    if not data.startswith(VERSION_LINE[: len(data)]):
        raise HeaderError("This is not an age file of version 1.")
    # A dash is not in the base64 alphabet: no body can look like the last line.
    found = _END.search(data, len(VERSION_LINE) - 1, MAX_HEADER)
    if found:
        return found.end()
    if len(data) > MAX_HEADER:
        raise HeaderError("The header is longer than any that is believed.")
    return None


def parse_header(data: bytes) -> Header:
    """Parse a header of exactly the length header_size gave. Raises HeaderError."""
    try:
        lines = data.decode("ascii").split("\n")
    except UnicodeDecodeError:
        raise HeaderError("The header holds bytes that are not ASCII.") from None
    stanzas: list[Stanza] = []
    position = 1
    while not lines[position].startswith("---"):
        stanza, position = _parse_stanza(lines, position)
        stanzas.append(stanza)
    mark, _, text = lines[position].partition(" ")
    if mark != "---" or not stanzas:
        raise HeaderError("The header's last line is malformed, or its only one.")
    mac = decode_base64(text)
    if len(mac) != MAC_SIZE:
        raise HeaderError("The header's MAC has the wrong length.")
    return Header(tuple(stanzas), data[: -len(text) - len(" \n")], mac)


def _parse_stanza(lines: list[str], position: int) -> tuple[Stanza, int]:
    mark, *arguments = lines[position].split(" ")
    if (
        mark != "->"
        or not arguments
        or not all(_ARGUMENT.fullmatch(argument) for argument in arguments)
    ):
        raise HeaderError("A stanza's first line is malformed.")
    body: list[str] = []
    while True:
        position += 1
        line = lines[position]
        if len(line) > _COLUMNS or line.startswith("-"):
            raise HeaderError("A stanza's body is malformed.")
        body.append(line)
        if len(line) < _COLUMNS:
            break
    stanza = Stanza(arguments[0], tuple(arguments[1:]), decode_base64("".join(body)))
    return stanza, position + 1


def _hmac(file_key: bytes, data: bytes) -> HMAC:
    mac = HMAC(hkdf(file_key, salt=b"", info=b"header"), SHA256())
    mac.update(data)
    return mac
