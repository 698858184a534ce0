"""How much of us one peer may have."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from agent.signalling.sip.flow import Flow


@dataclass(frozen=True, slots=True)
class PeerLimits:
    """The share of one configured peer, or of whoever is none."""

    name: str
    "Of the configured peer; empty for a stranger."
    messages: float
    "A second; 0 is no limit."
    connections: int = 0
    "TCP and TLS, at once; 0 is no limit."
    transactions: int = 0
    "That it began, at once; 0 is no limit."
    stranger: bool = False
    "Nobody has proved its address: by UDP it is told no more than it said."


STRANGER: Final = PeerLimits("", messages=50.0, stranger=True)
"Enough to find an honest mistake; what is answered at all is for the guard to say."

UNLIMITED: Final = PeerLimits("", messages=0.0)

LimitsOf = Callable[[Flow], PeerLimits]
"What may come on a flow."
