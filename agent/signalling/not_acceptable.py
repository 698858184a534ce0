"""Why a description cannot be taken, and what to answer: RFC 3261 section 20.43."""

from typing import Final

from agent.common.errors import AgentError

INCOMPATIBLE_PROTOCOL: Final = 300
INCOMPATIBLE_ADDRESS: Final = 301
MEDIA_TYPE_UNAVAILABLE: Final = 304
INCOMPATIBLE_FORMAT: Final = 305
MISCELLANEOUS: Final = 399


class NotAcceptableError(AgentError):
    """The peer's description, or its timing, leaves us without common audio."""

    status = 488
    "What to answer to an offer; 491 where ours is still unanswered."

    def __init__(
        self, message: str, *, warn_code: int = MISCELLANEOUS, status: int = 488
    ) -> None:
        super().__init__(message)
        self.status = status
        self.warn_code = warn_code
        "Which of RFC 3261 section 20.43 applies."

    def warning(self, agent: str) -> tuple[str, str]:
        """The Warning header that tells the peer why; `agent` is our host."""
        return "Warning", f'{self.warn_code} {agent} "{self}"'
