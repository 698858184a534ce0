"""What can be wrong with SIP: the peer's message, or what we were about to send."""

from typing import TYPE_CHECKING

from agent.common.errors import AgentError

if TYPE_CHECKING:
    from agent.signalling.sip.message import Request


class SipError(AgentError):
    """Something went wrong in SIP."""


class SipParseError(SipError):
    """The peer sent what RFC 3261 does not allow, or more than we take.

    The text never quotes the message: it may hold numbers and names.
    """

    status = 400
    "What to answer, where an answer is possible."
    partial: "Request | None" = None
    """The request as far as it was understood, enough for `response_to`.

    Its URI may be a stand-in and its headers incomplete, but Via, From, To,
    Call-ID and CSeq are there. None: there is nothing to answer.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        partial: "Request | None" = None,
    ) -> None:
        super().__init__(message)
        if status is not None:
            self.status = status
        self.partial = partial

    @property
    def silent(self) -> bool:
        """Whether nothing can, or may, be answered: keep-alives, junk, responses."""
        return self.partial is None


class LocalSipError(SipError):
    """We were about to break the protocol; nothing was sent."""
