"""Why a recording is opened: a purpose, the case, and for a disclosure to whom."""

import re
from dataclasses import dataclass
from typing import Final

from agent.access.purposes import CASE_BOUND, Purpose
from agent.common.errors import AgentError

_REFERENCE: Final = re.compile(r"[A-Za-z0-9/.-]{0,64}")
# A word of the log: no blank, so that no person's name becomes one by mistake.
_WORD: Final = re.compile(r"(?!\+?[0-9]{7,}\Z)[A-Za-z0-9/.:-]{1,64}")


class ReasonError(AgentError):
    """What is asked for has no sufficient reason."""

    hint = "Give --purpose and --reference; for a disclosure --recipient and --basis."


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """What the log keeps of why; without names. Raises ReasonError."""

    purpose: Purpose
    reference: str = ""
    "Of the case in the controller's register."
    recipient: str = ""
    "To whom it is disclosed: an authority or a party's role, in one word."
    basis: str = ""
    "The law that it rests on, like `621/1999:11`."

    def __post_init__(self) -> None:
        if _REFERENCE.fullmatch(self.reference) is None:
            raise ReasonError(
                "A reference has at most 64 letters, digits, slashes, dots and hyphens."
            )
        if self.purpose in CASE_BOUND and not self.reference:
            raise ReasonError("This purpose belongs to a case: a reference is missing.")
        disclosed = self.purpose is Purpose.DISCLOSURE
        for name in ("recipient", "basis"):
            text = getattr(self, name)
            if disclosed != bool(text):
                need = "needs a" if disclosed else "alone has a"
                raise ReasonError(f"A disclosure {need} {name}.")
            if text and _WORD.fullmatch(text) is None:
                raise ReasonError(f"A {name} is one word, and no number.")

    def words(self) -> dict[str, str]:
        """As the gate is told it, without what is empty."""
        told = {
            "purpose": str(self.purpose),
            "reference": self.reference,
            "recipient": self.recipient,
            "basis": self.basis,
        }
        return {name: text for name, text in told.items() if text}
