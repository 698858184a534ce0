"""Reads what a client tells of a call, as far as its budget goes.

What is beyond it costs no audio: a document is kept unread, as one that cannot be read
is, and the client asked for all it knows later; parties stay as they were decided.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from agent.call.siprec.budget import BURST, Budget
from agent.call.siprec.documents import Document
from agent.call.siprec.knowledge import Knowledge
from agent.call.siprec.situation import Situation, StreamView
from agent.common import clock
from agent.signalling.sip.message import Message


class Reading:
    """That of one recording session; `budget` is its client's."""

    def __init__(
        self,
        knowledge: Knowledge,
        budget: Budget,
        *,
        now: Callable[[], float],
        ticks: Callable[[], float] = clock.monotonic,
    ) -> None:
        """`now` is the loop's, which stands still in a turn; `ticks` goes on."""
        self._knowledge = knowledge
        self._budget = budget
        self._now = now
        self._ticks = ticks

    def take(self, message: Message) -> Document | None:
        """Take what a message tells, and say what is wrong with it; None: nothing."""
        if not message.recording_metadata:
            return None
        with self._spending() as allowed:
            if allowed:
                return self._knowledge.take(message)
        self._budget.unread += 1
        return self._knowledge.leave_unread(message)

    def situation(self, streams: Sequence[StreamView]) -> Situation:
        """How it stands with these streams."""
        with self._spending() as allowed:
            return self._knowledge.situation(streams, anew=allowed)

    def forbids(self, streams: Sequence[StreamView]) -> bool:
        """Whether those who are there by now may not be recorded, on any stream."""
        with self._spending() as allowed:
            return allowed and self._knowledge.forbids(streams)

    @contextmanager
    def _spending(self) -> Iterator[bool]:
        """Whether there is anything to be spent on what is done; it is charged."""
        allowed = self._budget.allows(self._now())
        begun = self._ticks()
        try:
            yield allowed
        finally:
            # The host may have stood still meanwhile: that is not the client's doing.
            self._budget.charge(min(self._ticks() - begun, BURST))
