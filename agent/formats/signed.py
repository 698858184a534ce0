"""Signed documents: one line of canonical JSON, then the SSH signatures over it.

FORMAT.md, section "Signed documents". With stock tools: `head -n 1` is what was
signed, `tail -n +2` what `ssh-keygen -Y verify -s` reads.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from agent.formats.sshsig import (
    BEGIN,
    END,
    MAX_ARMORED,
    Namespace,
    PublicKey,
    SignatureError,
    SigningKey,
    parse_signature,
)

MAX_SIGNATURES: Final = 16
"Far more than anything asks for: each costs a hash over the whole document."


@dataclass(frozen=True, slots=True)
class Verified:
    """A document that enough of the trusted have signed."""

    payload: bytes
    "With its line feed."
    signers: tuple[PublicKey, ...]
    "Trusted keys that signed, each once, in the order of their signatures."


def sign_document(
    payload: bytes, keys: Iterable[SigningKey], namespace: Namespace
) -> bytes:
    """Sign one line, line feed included, by each key."""
    armored = [key.sign(payload, namespace) for key in keys]
    return join_document(payload, armored)


def join_document(payload: bytes, armored: Iterable[str]) -> bytes:
    """Put signatures that others have made under their document.

    Raises SignatureError if the document is not one line: who reads it could not
    tell where it ends.
    """
    if payload[-1:] != b"\n" or payload.count(b"\n") > 1:
        raise SignatureError("What is signed must be one line, with its line feed.")
    return b"".join([payload, *(text.encode() for text in armored)])


def split_document(data: bytes) -> tuple[bytes, list[str]]:
    """The line that is signed and each armored signature; none is verified.

    Raises SignatureError.
    """
    end = data.find(b"\n") + 1
    payload, rest = data[:end], data[end:]
    if not payload:
        raise SignatureError("The document has no end of line.")
    if not rest:
        raise SignatureError("The document is not signed.")
    if len(rest) > MAX_SIGNATURES * MAX_ARMORED:
        raise SignatureError("The signatures are longer than any that are believed.")
    blocks = rest.split(END)
    if blocks.pop():
        raise SignatureError("Something else stands behind the document's signatures.")
    if len(blocks) > MAX_SIGNATURES:
        raise SignatureError("The document has too many signatures.")
    if not all(block.startswith(BEGIN) and block.isascii() for block in blocks):
        raise SignatureError("Something else stands among the document's signatures.")
    return payload, [(block + END).decode() for block in blocks]


def verify_document(
    data: bytes,
    namespace: Namespace,
    trusted: Iterable[PublicKey],
    *,
    needed: int = 1,
) -> Verified:
    """What `needed` different keys of `trusted` have signed.

    Every signature must be good, also one by a key that is not trusted, which counts
    for nothing: no bit of a document can be altered unseen.

    Raises SignatureError.
    """
    payload, armored = split_document(data)
    known = set(trusted)
    signers: list[PublicKey] = []
    for text in armored:
        signature = parse_signature(text.encode())
        signature.verify(payload, namespace)
        if signature.key in known and signature.key not in signers:
            signers.append(signature.key)
    if len(signers) < needed:
        raise SignatureError(
            f"{len(signers)} of the trusted keys signed, {needed} must.",
            hint="Have it signed by those whom the configuration or roster names.",
        )
    return Verified(payload, tuple(signers))
