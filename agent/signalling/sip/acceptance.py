"""Our 2xx responses to INVITEs, sent again until their ACK.

RFC 3261 section 13.3.1.4: end to end, so on every transport.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from agent.signalling.sip.message import Response
from agent.signalling.sip.timers import Timers


@dataclass(slots=True)
class Acceptance:
    """One that has no ACK."""

    key: str
    response: Response
    interval: float
    due: float
    expires: float


class Acceptances:
    """The 2xx of one session that have no ACK yet, by their CSeq number."""

    def __init__(self, timers: Timers) -> None:
        self._timers = timers
        self._open: dict[int, Acceptance] = {}

    def __len__(self) -> int:
        return len(self._open)

    def add(self, key: str, response: Response, now: float) -> None:
        """Begin: `response` has just been sent in the transaction `key`."""
        t1 = self._timers.t1
        self._open[response.cseq.number] = Acceptance(
            key, response, t1, now + t1, now + self._timers.h
        )

    def acknowledge(self, number: int) -> bool:
        """Stop the one an ACK is for; tells whether there was one."""
        return self._open.pop(number, None) is not None

    def save(self) -> tuple[Acceptance, ...]:
        """What another process goes on with."""
        return tuple(self._open.values())

    def restore(self, saved: Iterable[Acceptance]) -> None:
        """Go on with what `save` returned."""
        self._open = {one.response.cseq.number: one for one in saved}

    def get_timer(self) -> float | None:
        """When `handle_timer` wants to be called, if at all."""
        return min(
            (min(one.due, one.expires) for one in self._open.values()), default=None
        )

    def handle_timer(self, now: float) -> tuple[list[tuple[str, Response]], bool]:
        """What to send again, each with its transaction; whether one is given up."""
        again = []
        given_up = False
        for number, one in list(self._open.items()):
            if now >= one.expires:
                del self._open[number]
                given_up = True
            elif now >= one.due:
                one.interval = min(2 * one.interval, self._timers.t2)
                one.due = now + one.interval
                again.append((one.key, one.response))
        return again, given_up
