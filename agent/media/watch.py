"""Whether the legs of a worker are heard: looked at once a second, beside the packets.

A leg that is silent for the whole `timeout` may end its call; that is the main
process's to judge. Of calls that are being recorded it is told sooner when a recording
would have one side only, while somebody can still do something about it.
"""

from collections.abc import Callable, Mapping
from typing import Final

from agent.media.events import (
    LegAlarm,
    LegHeard,
    MediaHeard,
    MediaQuiet,
    MediaRejected,
    WatchEvent,
)
from agent.media.leg import MediaLeg
from agent.model.media import Direction

FRESH_NS: Final = 2_000_000_000
"A leg heard within this time counts as heard now."
ONE_WAY: Final = "one-way"
SILENT: Final = "silent"
_NS: Final = 1_000_000_000


class Watch:
    """Looks at `legs` whenever it is told to; `emit` takes what has changed.

    All times are in seconds; 0 for an alarm: never.
    """

    def __init__(
        self,
        legs: Mapping[str, MediaLeg],
        emit: Callable[[WatchEvent], None],
        *,
        timeout: float,
        one_way_after: float,
        silent_after: float,
    ) -> None:
        self._legs = legs
        self._emit = emit
        self._timeout_ns = int(timeout * _NS)
        self._one_way_ns = int(one_way_after * _NS)
        self._silent_ns = int(silent_after * _NS)
        self._recorded: dict[str, int] = {}
        "Legs of which all is recorded, and since when."
        self._spells: dict[tuple[str, str], int] = {}
        "Alarms that are on, by leg and kind: since when it is so."

    @property
    def step_ns(self) -> int:
        """How long may pass between two looks."""
        told = (self._timeout_ns, self._one_way_ns, self._silent_ns)
        shortest = min((time for time in told if time), default=_NS)
        return min(_NS, max(shortest // 4, _NS // 100))

    def look(self, now_ns: int) -> None:
        """Tell what has changed since the last look."""
        for leg in self._legs.values():
            if leg.security.look():
                rejected = leg.security.unauthenticated
                self._emit(MediaRejected(leg=leg.name, packets=rejected))
            self._look_for_end(leg, now_ns)
            if self._is_recorded(leg, now_ns):
                leg.listen()
                self._look_for_alarms(leg, now_ns)
        gone = {name for name in self._recorded if name not in self._legs}
        for name in gone:
            self._forget(name, now_ns)

    def _look_for_end(self, leg: MediaLeg, now_ns: int) -> None:
        audio = leg.audio
        since_ns = max(leg.reception.heard_ns, leg.configured_ns)
        quiet = (
            audio is not None
            and audio.direction.receives
            and now_ns - since_ns >= self._timeout_ns
        )
        if quiet is leg.quiet:
            return
        leg.quiet = quiet
        if quiet:
            self._emit(MediaQuiet(leg=leg.name, seconds=(now_ns - since_ns) / _NS))
        else:
            self._emit(MediaHeard(leg=leg.name))

    def _is_recorded(self, leg: MediaLeg, now_ns: int) -> bool:
        """Whether both sides of a conversation are journalled: no hold, no pause."""
        partner = leg.partner
        recorded = (
            partner is not None
            and all(one.tap is not None and _talks(one) for one in (leg, partner))
            and leg.playout is partner.playout is None
        )
        if recorded:
            self._recorded.setdefault(leg.name, now_ns)
        elif leg.name in self._recorded:
            self._forget(leg.name, now_ns)
        return recorded

    def _look_for_alarms(self, leg: MediaLeg, now_ns: int) -> None:
        partner, audio = leg.partner, leg.audio
        if partner is None or audio is None:
            return
        heard_ns = max(leg.reception.heard_ns, self._recorded[leg.name])
        patience_ns = self._one_way_ns
        if audio.comfort_noise is not None or audio.codec.name == "opus":
            # It may send nothing while its party only listens.
            patience_ns = max(patience_ns, self._silent_ns)
        missed = (
            now_ns - partner.reception.heard_ns < FRESH_NS
            and now_ns - heard_ns >= patience_ns
        )
        self._tell(leg, ONE_WAY, missed and bool(self._one_way_ns), heard_ns, now_ns)
        arrives = now_ns - leg.reception.heard_ns < FRESH_NS
        sounded_ns = max(leg.sounded_ns, self._recorded[leg.name])
        mute = arrives and now_ns - sounded_ns >= self._silent_ns
        self._tell(leg, SILENT, mute and bool(self._silent_ns), sounded_ns, now_ns)

    def _tell(
        self,
        leg: MediaLeg,
        kind: str,
        is_so: bool,  # noqa: FBT001 - what is told
        since_ns: int,
        now_ns: int,
    ) -> None:
        """Alarm once; and once it is over, that is when the leg is heard again."""
        spell = self._spells.get((leg.name, kind))
        if spell is None:
            if is_so:
                self._spells[leg.name, kind] = since_ns
                seconds = (now_ns - since_ns) / _NS
                self._emit(LegAlarm(leg=leg.name, kind=kind, seconds=seconds))
        elif since_ns > spell:
            self._end(leg.name, kind, since_ns)

    def _forget(self, name: str, now_ns: int) -> None:
        self._recorded.pop(name, None)
        for kind in (ONE_WAY, SILENT):
            if (name, kind) in self._spells:
                self._end(name, kind, now_ns)

    def _end(self, name: str, kind: str, at_ns: int) -> None:
        seconds = (at_ns - self._spells.pop((name, kind))) / _NS
        self._emit(LegHeard(leg=name, kind=kind, seconds=seconds))


def _talks(leg: MediaLeg) -> bool:
    return leg.audio is not None and leg.audio.direction is Direction.SENDRECV
