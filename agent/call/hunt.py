"""Whom to ring, one after the other or all at once, until one answers: sans-IO.

A hunt goes through rounds of targets; the targets of one round ring together. The
first answer wins: the others are cleared, and a 2xx of theirs that crosses is ACKed
and BYEd by the user agent core. Who hunts is told when nobody is left to ring.

A 6xx ends its own branch only. RFC 3261 section 16.7 makes it end all of them, for a
proxy whose branches all lead to one person; here each leads to another officer.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from agent.call.commands import HangUp, Invite
from agent.call.refusal import rank
from agent.call.release_causes import ANSWERED_ELSEWHERE, NO_ANSWER, NORMAL_CLEARING
from agent.call.state import HuntState

MAX_REDIRECTIONS: Final = 5
"Targets one hunt takes from 3xx responses; more is a loop with changing names."
NOT_ANSWERED: Final = 480
"What a caller is told of a target that rang too long."


class Hunt:
    """One search for somebody who answers.

    `names` gives every leg a name that is unique in its call. `ring_timeout` is the
    time one round may ring, in seconds; None: as long as the caller waits. What is to
    be done goes to `emit`; `exhausted` is called, with the time, when all have refused.
    """

    def __init__(
        self,
        rounds: Iterable[tuple[str, ...]],
        *,
        names: Iterator[str],
        ring_timeout: float | None,
        emit: Callable[[HangUp | Invite], None],
        exhausted: Callable[[float], None],
    ) -> None:
        self._rounds = deque(rounds)
        self._names = names
        self._ring_timeout = ring_timeout
        self._emit = emit
        self._exhausted = exhausted
        self._alternatives: dict[str, deque[str]] = {}
        "Of each leg that rings: where a 3xx says it may be tried instead."
        self._targets: dict[str, str] = {}
        "Whom each leg that rings has rung, or is about to."
        self._tried: set[str] = set()
        self._redirections = 0
        self._status = 0
        self.ringing: set[str] = set()
        "Legs without a final response."
        self.deadline: float | None = None
        "When the present round has rung long enough, in monotonic seconds."

    @property
    def state(self) -> HuntState:
        """All of it, for `restore` in another process."""
        return HuntState(
            rounds=tuple(self._rounds),
            ring_timeout=self._ring_timeout,
            alternatives={
                leg: tuple(self._alternatives.get(leg, ())) for leg in self.ringing
            },
            targets=dict(self._targets),
            tried=frozenset(self._tried),
            redirections=self._redirections,
            status=self._status,
            deadline=self.deadline,
        )

    def restore(self, state: HuntState) -> None:
        """Go on where another one stood."""
        self._rounds = deque(state.rounds)
        self._ring_timeout = state.ring_timeout
        self._alternatives = {
            leg: deque(targets) for leg, targets in state.alternatives.items()
        }
        self._targets = dict(state.targets)
        self._tried = set(state.tried)
        self._redirections = state.redirections
        self._status = state.status
        self.ringing = set(state.alternatives)
        self.deadline = state.deadline

    @property
    def status(self) -> int:
        """The refusal that tells the caller most (RFC 3261 section 16.7)."""
        return self._status or NOT_ANSWERED

    def begin(self, now: float) -> None:
        """Ring the first targets."""
        self._next_round(now)

    def refused(self, leg: str, status: int, now: float) -> None:
        """A leg has its final refusal, or cannot be reached."""
        if leg not in self.ringing:
            return
        self.ringing.discard(leg)
        self._targets.pop(leg, None)
        self._note(status)
        alternatives = self._alternatives.pop(leg)
        if alternatives:
            if not self.ringing and self._ring_timeout is not None:
                self.deadline = now + self._ring_timeout
            self._ring(alternatives.popleft(), alternatives)
        elif not self.ringing:
            self._next_round(now)

    def ring_again(self, leg: str) -> None:
        """The INVITE of a leg that rings was never sent: it is to be sent now."""
        self._emit(Invite(leg=leg, target=self._targets[leg]))

    def redirected(self, leg: str, targets: Iterable[str], now: float) -> None:
        """A leg says where else to try, the best first; no target is tried twice."""
        if leg not in self.ringing:
            return
        alternatives = self._alternatives[leg]
        for target in reversed(tuple(targets)):
            if target in self._tried or self._redirections == MAX_REDIRECTIONS:
                continue
            self._redirections += 1
            self._tried.add(target)
            alternatives.appendleft(target)
        self.refused(leg, NOT_ANSWERED, now)

    def handle_timer(self, now: float) -> None:
        """Go on to the next targets, if these have rung long enough."""
        if self.deadline is not None and now >= self.deadline:
            self._clear(NO_ANSWER)
            self._note(NOT_ANSWERED)
            self._next_round(now)

    def picked_up(self, newcomer: str) -> None:
        """A leg that is about to answer stands in for one that rings."""
        self.ringing.add(newcomer)

    def answered(self, leg: str) -> None:
        """A leg has won; the others are let go."""
        self.ringing.discard(leg)
        self._clear(ANSWERED_ELSEWHERE)

    def give_up(self, q850: int = NORMAL_CLEARING) -> None:
        """Nobody waits for an answer any more."""
        self._rounds.clear()
        self._clear(q850)

    def _next_round(self, now: float) -> None:
        self.deadline = None
        if not self._rounds:
            self._exhausted(now)
            return
        if self._ring_timeout is not None:
            self.deadline = now + self._ring_timeout
        for target in self._rounds.popleft():
            self._ring(target, deque())

    def _ring(self, target: str, alternatives: deque[str]) -> None:
        leg = next(self._names)
        self.ringing.add(leg)
        self._tried.add(target)
        self._alternatives[leg] = alternatives
        self._targets[leg] = target
        self._emit(Invite(leg=leg, target=target))

    def _clear(self, q850: int) -> None:
        legs = sorted(self.ringing)
        self.ringing.clear()
        self._alternatives.clear()
        self._targets.clear()
        self.deadline = None
        for leg in legs:
            self._emit(HangUp(leg=leg, q850=q850))

    def _note(self, status: int) -> None:
        if not self._status or rank(status) < rank(self._status):
            self._status = status
