"""Documents that who guards central storage writes for itself: states, marks, graves.

Where there is a gate it signs them, and believes no other: who may write to storage
can then neither lift a hold nor have the gate erase what nobody asked for. Without a
gate there is no key to sign by, and whoever may write there decides.
"""

from collections.abc import Callable, Iterable
from typing import Final, Protocol

from agent.common.errors import AgentError
from agent.formats.signed import sign_document, split_document, verify_document
from agent.formats.sshsig import (
    MAX_ARMORED,
    Namespace,
    PublicKey,
    SignatureError,
    SigningKey,
)

MAX_SIGNATURE: Final = MAX_ARMORED
"Bytes that a document may be longer than what stands in it."


class DocumentError(AgentError):
    """A document is not the gate's own."""

    hint = (
        "Find out who could write there; what was written before there was a gate is"
        " taken over by `recording-agent-gate adopt`."
    )


class Believed(Protocol):
    """Which documents are believed."""

    def opened(self, data: bytes, namespace: Namespace) -> bytes:
        """The line that a document holds. Raises DocumentError: it is not believed."""
        ...


class Documents(Believed, Protocol):
    """How a document is stored, too."""

    def sealed(self, payload: bytes, namespace: Namespace) -> bytes:
        """One line, line feed included, as it is stored."""
        ...


class PlainDocuments:
    """Where there is no gate: as they are; a signature is passed over."""

    def sealed(self, payload: bytes, namespace: Namespace) -> bytes:
        """As it is."""
        return payload

    def opened(self, data: bytes, namespace: Namespace) -> bytes:
        """Its line; what it says is judged by who reads it."""
        try:
            return split_document(data)[0]
        except SignatureError:
            return data


class GatesDocuments:
    """The gate's, as others read them: by any key that the roster has for it."""

    def __init__(self, trusted: Callable[[], Iterable[PublicKey]]) -> None:
        """`trusted` are the gate's keys as the newest roster has them."""
        self._trusted = trusted

    def opened(self, data: bytes, namespace: Namespace) -> bytes:
        """The line that a gate has signed for this purpose. Raises DocumentError."""
        try:
            return verify_document(data, namespace, self._trusted()).payload
        except SignatureError as error:
            raise DocumentError(f"It is not signed by the gate: {error}") from None


class SignedDocuments(GatesDocuments):
    """The gate's, as it writes them: signed by its key."""

    def __init__(
        self, key: SigningKey, trusted: Callable[[], Iterable[PublicKey]]
    ) -> None:
        """`trusted` as of GatesDocuments."""
        super().__init__(trusted)
        self._key = key

    def sealed(self, payload: bytes, namespace: Namespace) -> bytes:
        """The line, and a signature under it."""
        return sign_document(payload, [self._key], namespace)


PLAIN: Final = PlainDocuments()
