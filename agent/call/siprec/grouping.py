"""Recordings that belong together, across recording sessions and hosts: sans-IO.

Two recording servers may record one call, and a client may send another recording
session whenever a party changes: what ties them is the group, or else the communication
session, that the metadata names (RFC 7865 sections 6.2 and 6.3).
"""

import base64
import binascii
import hashlib
import uuid
from typing import Final, Protocol

_PURPOSE: Final = b"recording-group\0"


class SessionLike(Protocol):
    """What is asked of a communication session."""

    @property
    def id(self) -> str: ...


class StateLike(Protocol):
    """What is asked of the metadata."""

    @property
    def group(self) -> str: ...

    @property
    def sessions(self) -> tuple[SessionLike, ...]: ...


def group_of(state: StateLike, *, peer: str, fallback: str) -> str:
    """The group of a recording session's recordings, in the form of a random UUID.

    The same on every host for the same group or session. What is no UUID is unique
    with that client at best, so `peer`, the client's configured name, counts then too;
    `fallback`, a random UUID, where the metadata names neither.
    """
    named = state.group or next((one.id for one in state.sessions if one.id), "")
    if not named:
        return fallback
    octets = _uuid(named)
    if octets is None:
        octets = f"{peer}\0{named}".encode(errors="surrogateescape")
    digest = hashlib.sha256(_PURPOSE + octets).digest()
    return str(uuid.UUID(bytes=digest[:16], version=4))


def _uuid(text: str) -> bytes | None:
    """The octets of a UUID, as RFC 7865 section 6.10 or RFC 9562 writes it."""
    try:
        octets = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        try:
            octets = uuid.UUID(text).bytes
        except ValueError:
            return None
    # Some clients encode sixteen characters of a text instead, unique to nobody.
    is_uuid = (
        len(octets) == 16 and octets[8] & 0xC0 == 0x80 and 1 <= octets[6] >> 4 <= 8
    )
    return octets if is_uuid else None
