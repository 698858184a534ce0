"""Keys in a description that passes through: found and taken out line by line.

RFC 4568 (`a=crypto`), RFC 4567 (`a=key-mgmt`), RFC 8866 section 5.12 (`k=`). Not by
parsing and writing anew: all that is no key stays as it came.
"""

import re
from typing import Final

_KEY: Final = re.compile(rb"(?im)^(?:a=crypto:|a=key-mgmt:|k=)[^\n]*(?:\n|\Z)")
_SECTION: Final = re.compile(rb"(?m)^(?=m=)")
_MEDIA: Final = re.compile(rb"m=([^ \r\n]+) +([0-9]+)([^ \r\n]*) +([^ \r\n]+)")
_SECURE: Final = b"RTP/SAVP"
"And its kin with feedback; DTLS-SRTP (`UDP/TLS/…`) has no keys in its description."


def has_keys(description: bytes) -> bool:
    """Whether who reads it can listen in."""
    return _KEY.search(description) is not None


def without_keys(offer: bytes) -> bytes | None:
    """An offer whose keys are gone; None if there is no audio that can do without.

    Media under RTP/SAVP cannot: beside others that can it is offered with port 0, as
    ended (RFC 3264 section 8.2), and so keeps its place in the answer.
    """
    session, *sections = _SECTION.split(offer)
    kept = [_KEY.sub(b"", session)]
    audio = False
    for section in sections:
        bare = _KEY.sub(b"", section)
        media = _MEDIA.match(bare)
        if media is None:
            kept.append(bare)
            continue
        kind, port, count, profile = media.groups()
        if bare != section and profile.upper().startswith(_SECURE):
            line = b" ".join((b"m=" + kind, b"0" + count, profile))
            kept.append(line + bare[media.end() :])
            continue
        kept.append(bare)
        audio = audio or (kind == b"audio" and int(port) > 0)
    return b"".join(kept) if audio else None
