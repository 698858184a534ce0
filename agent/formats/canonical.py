"""Canonical JSON documents: equal contents are equal bytes, so that one can be signed.

UTF-8, keys sorted, no space, no escape that is not needed, and one line feed at the
end: a document is one line, which `head -n 1` takes off what is signed.
"""

from typing import Final, TypeVar

import msgspec

from agent.common.errors import AgentError

MAX_DOCUMENT: Final = 1 << 20
"Bytes of a document whose reader names no other limit."
T = TypeVar("T")


class CanonicalError(AgentError):
    """The bytes are not the document that is expected; none of them is repeated."""


class DocumentVersionError(CanonicalError):
    """The document is of a version this software does not know."""

    hint = "Read it with a newer version of this software."


class _Versioned(msgspec.Struct):
    version: int


_ENCODER: Final = msgspec.json.Encoder(order="sorted")
_VERSION: Final = msgspec.json.Decoder(_Versioned)


def canonical(document: object) -> bytes:
    """The document's one form, with its line feed."""
    return _ENCODER.encode(document) + b"\n"


def parse_canonical(
    data: bytes,
    type_: type[T],
    *,
    limit: int = MAX_DOCUMENT,
    version: int | None = None,
) -> T:
    """Read what `canonical` wrote, and nothing else; unset fields are left out there.

    Give `type_` `forbid_unknown_fields`; `version` is compared with the document's
    before the rest is read, so that a newer one is called newer.

    Raises:
        DocumentVersionError: it is of another version.
        CanonicalError: it is too long, malformed, or in another form.
    """
    if len(data) > limit:
        raise CanonicalError("The document is longer than any that is believed.")
    try:
        if version is not None and (found := _VERSION.decode(data).version) != version:
            raise DocumentVersionError(f"The document is of version {found}.")
        document = msgspec.json.decode(data, type=type_)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        # The cause names unknown keys, and a key may be anyone's name.
        raise CanonicalError("The document is malformed.") from None
    if canonical(document) != data:
        raise CanonicalError("The document is not in its canonical form.")
    return document
