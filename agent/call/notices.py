"""The notices of one call: what is to be played, what has been. Sans-IO."""

from collections.abc import Sequence
from typing import Final, Self

from agent.call.commands import Play
from agent.call.state import NoticesState
from agent.model.recording import NoticeEvidence

NOTICE_LIMIT: Final = 300.0
"Seconds for one notice, of two minutes at most, with a hold in between."


class Notices:
    """Played one after the other, each to its end; names are those of sounds."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = tuple(names)
        self._played: list[NoticeEvidence] = []

    @property
    def state(self) -> NoticesState:
        """All of it, for `restore` in another process."""
        return NoticesState(names=self._names, played=tuple(self._played))

    @classmethod
    def restore(cls, state: NoticesState) -> Self:
        """Notices that go on where others stood."""
        notices = cls(state.names)
        notices._played = list(state.played)
        return notices

    @property
    def missing(self) -> bool:
        """Whether there is nothing that could be played."""
        return not self._names

    @property
    def finished(self) -> bool:
        """Whether every notice has been sent, the last frame included."""
        return len(self._played) == len(self._names) > 0

    @property
    def evidence(self) -> tuple[NoticeEvidence, ...]:
        """Proof of each notice that was sent."""
        return tuple(self._played)

    def play_next(self, legs: tuple[str, ...]) -> Play:
        """Let `legs` hear the next notice; the last of them is the customer's."""
        return Play(legs=legs, sound=self._names[len(self._played)], notice=True)

    def note_played(self, evidence: NoticeEvidence) -> None:
        """One notice has been sent to its end."""
        self._played.append(evidence)

    def begin_again(self) -> None:
        """Someone else must hear them all; what was proven stays with the old."""
        self._played = []
