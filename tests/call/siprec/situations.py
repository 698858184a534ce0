"""Situations of recording sessions, in few words."""

from typing import Any

from agent.call.siprec.parties import Parties
from agent.call.siprec.situation import Situation, StreamView
from agent.model.recording import Channel

CALLER = "+358401234567"
OFFICER = "201"


def stream(name: str, label: str = "", *, active: bool = True) -> StreamView:
    return StreamView(name=name, label=label or f"label-{name}", active=active)


def parties(*officers: str, caller: str = CALLER, **more: Any) -> Parties:
    told: dict[str, Any] = {
        "caller": caller,
        "service": "0295000000",
        "direction": "inbound",
        "officers": officers,
        "channels": {"label-s1": Channel.CUSTOMER, "label-s2": Channel.OFFICER},
        "basis": "directory",
        "participants": (),
        "exempt": False,
        "mixed": False,
        "outsiders_only": False,
        "identified": True,
    }
    return Parties(**(told | more))


def situation(
    *streams: StreamView, who: Parties | None = None, **more: Any
) -> Situation:
    """Two streams and two parties, unless something else is said."""
    return Situation(
        streams=streams or (stream("s1"), stream("s2")),
        parties=who or parties(OFFICER),
        **more,
    )
