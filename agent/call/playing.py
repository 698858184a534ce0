"""What is being played to the legs of one call, and what of it has been heard out."""

from agent.call.capture import evidence
from agent.call.commands import Play
from agent.call.joint import Joint
from agent.call.legs import Legs
from agent.call.state import PlayingState, PlayState
from agent.media.events import PlayEnded
from agent.model.recording import NoticeEvidence


class Playing:
    """Sounds on their way; a notice counts once every leg has had all of it."""

    def __init__(self, joint: Joint, legs: Legs) -> None:
        self._joint = joint
        self._legs = legs
        self._tokens: dict[int, tuple[str, Play]] = {}
        self._unplayed: set[str] = set()
        self._evidence: NoticeEvidence | None = None

    @property
    def state(self) -> PlayingState:
        """All of it, for `restore` in another process."""
        return PlayingState(
            plays=tuple(
                PlayState(
                    token=token,
                    leg=leg,
                    legs=play.legs,
                    sound=play.sound,
                    loop=play.loop,
                    notice=play.notice,
                )
                for token, (leg, play) in self._tokens.items()
            ),
            unplayed=frozenset(self._unplayed),
            evidence=self._evidence,
        )

    def restore(self, state: PlayingState) -> None:
        """Go on where another one stood."""
        self._tokens = {
            one.token: (
                one.leg,
                Play(legs=one.legs, sound=one.sound, loop=one.loop, notice=one.notice),
            )
            for one in state.plays
        }
        self._unplayed = set(state.unplayed)
        self._evidence = state.evidence

    def play(self, command: Play) -> None:
        """Begin; a new sound takes the place of what a leg hears."""
        if command.notice:
            # What becomes of an earlier one, which has been broken off, is no matter.
            self._tokens = {t: v for t, v in self._tokens.items() if not v[1].notice}
            self._unplayed = set(command.legs)
            self._evidence = None
        for name in command.legs:
            token = self._joint.media.play(
                self._legs[name].media_id, (command.sound,), loop=command.loop
            )
            self._tokens[token] = (name, command)

    def ended(self, event: PlayEnded) -> tuple[bool, NoticeEvidence | None]:
        """A sound is over: has a notice failed, is one proven to have been played?"""
        name, play = self._tokens.pop(event.token, ("", None))
        if play is None or not play.notice:
            return False, None
        if not event.completed:
            self._joint.stats.notices_failed += 1
            return True, None
        self._unplayed.discard(name)
        if name == play.legs[-1]:
            sounds = self._joint.notices.values()
            sound = next(s for s in sounds if s.name == play.sound)
            self._evidence = evidence(sound, event)
        if self._unplayed:
            return False, None
        self._joint.stats.notices_played += 1
        return False, self._evidence
