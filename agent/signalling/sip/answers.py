"""What the name service answered, for as long as it said."""

from collections import OrderedDict
from typing import Final

from agent.signalling.sip.resolution import Answer, Question

MAX_ANSWERS: Final = 2000
MIN_SECONDS: Final = 1.0
"A lifetime of zero would ask once for every call of a busy second."
MAX_SECONDS: Final = 3600.0
"Whatever the record says: a move must be noticed within the hour."
STALE_SECONDS: Final = 86400.0
"How long an answer may stand in for a name service that is down (RFC 8767)."


class AnswerCache:
    """Answers by question, the longest unused forgotten first."""

    def __init__(self) -> None:
        self._answers: OrderedDict[Question, tuple[Answer, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._answers)

    def get(self, question: Question, now: float) -> Answer | None:
        """The answer, if its time is not over."""
        return self._until(question, now, 0.0)

    def stale(self, question: Question, now: float) -> Answer | None:
        """The answer even so, for when there is no better."""
        return self._until(question, now, STALE_SECONDS)

    def put(self, question: Question, answer: Answer, ttl: float, now: float) -> None:
        """Keep an answer for `ttl` seconds."""
        until = now + min(MAX_SECONDS, max(MIN_SECONDS, ttl))
        self._answers[question] = answer, until
        self._answers.move_to_end(question)
        if len(self._answers) > MAX_ANSWERS:
            self._answers.popitem(last=False)

    def _until(self, question: Question, now: float, grace: float) -> Answer | None:
        found = self._answers.get(question)
        if found is None or now >= found[1] + grace:
            return None
        self._answers.move_to_end(question)
        return found[0]
