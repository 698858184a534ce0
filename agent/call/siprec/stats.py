"""What is counted of recording sessions since the start: sans-IO."""

from collections import Counter
from dataclasses import dataclass, field

from agent.call.siprec.commands import Withheld
from agent.call.siprec.parties import Basis


@dataclass(slots=True)
class SessionStats:
    """Of all recording sessions."""

    segments: Counter[Basis] = field(default_factory=Counter)
    "Begun, by what told officer and caller apart."
    withheld: Counter[Withheld] = field(default_factory=Counter)
    "Times that recording was not allowed from then on, by the reason."
    notices_missing: int = 0
    "Times that nothing showed that the parties were told, whatever became of it."
