"""Why the gate does not do what it is asked: a status, and one word."""

from typing import ClassVar

from agent.common.errors import AgentError


class RefusalError(AgentError):
    """An answer other than the one asked for; the audit log may say more."""

    status: ClassVar[int] = 403
    word: str = "denied"

    def __init__(self, word: str = "") -> None:
        if word:
            self.word = word
        super().__init__(f"The gate answers {self.status}, {self.word}.")


class DeniedError(RefusalError):
    """Not to this person; or there is no such record, which is the same answer."""


class ErasedError(RefusalError):
    """It was erased."""

    status = 410
    word = "erased"


class RestrictedError(RefusalError):
    """Only the case handler may open it now."""

    status = 423
    word = "restricted"


class MalformedError(RefusalError):
    """The request makes no sense."""

    status = 422
    word = "malformed"


class ConflictError(RefusalError):
    """The record's state does not allow it."""

    status = 409
    word = "conflict"


class TooManyError(RefusalError):
    """So much was asked lately that somebody has to look first."""

    status = 429
    word = "too-many"
    permanent = False


class UnavailableError(RefusalError):
    """Storage is away: what cannot be logged is not done."""

    status = 503
    word = "unavailable"
    permanent = False
