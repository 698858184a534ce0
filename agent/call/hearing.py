"""What is heard of a call's legs, or is not: as the media workers tell it."""

from collections.abc import Callable, Sequence
from typing import Final, Generic, Protocol, TypeVar

from structlog.typing import FilteringBoundLogger

from agent.media.events import (
    LegAlarm,
    LegHeard,
    MediaHeard,
    MediaQuiet,
    MediaRejected,
    SourceChanged,
)

SIGNALLED_WITHIN: Final = 5.0
"Seconds after an offer/answer exchange in which media may change as it said."
MAX_ALARMS: Final = 10
"Warnings of one leg; what changes more often is a broken phone, and is only counted."

Heard = MediaQuiet | MediaHeard | MediaRejected | LegAlarm | LegHeard | SourceChanged


class HeardLeg(Protocol):
    """What is asked of a leg that may be heard."""

    @property
    def name(self) -> str: ...
    @property
    def media_id(self) -> str: ...
    @property
    def gone(self) -> bool:
        """Whether nothing need be heard of it any more, or for now."""
        ...

    @property
    def agreed_at(self) -> float: ...

    strange_payload_types: tuple[int, ...]
    media_changes: int


LegT = TypeVar("LegT", bound=HeardLeg)
LegT_co = TypeVar("LegT_co", bound=HeardLeg, covariant=True)
LegT_contra = TypeVar("LegT_contra", bound=HeardLeg, contravariant=True)


class HeardLegs(Protocol[LegT_co]):
    """What is asked of all of them."""

    def all(self) -> Sequence[LegT_co]:
        """Every leg there ever was."""
        ...

    def of_media(self, media_id: str) -> LegT_co | None:
        """The leg a leg of the media workers belongs to."""
        ...


class Capturing(Protocol[LegT_contra]):
    """What is asked of whoever records them."""

    @property
    def held(self) -> bool:
        """Whether silence is no wonder."""
        ...

    def media_changed(self, leg: LegT_contra, *, codec: bool) -> None:
        """A leg sounds otherwise, and nobody said why."""
        ...


class Hearing(Generic[LegT]):
    """Tells operators what is wrong with the media of one call."""

    def __init__(
        self,
        legs: HeardLegs[LegT],
        capture: Capturing[LegT],
        log: FilteringBoundLogger,
        now: Callable[[], float],
    ) -> None:
        self._legs = legs
        self._capture = capture
        self._log = log
        self._now = now
        self._quiet: set[str] = set()
        self._alarms: dict[str, int] = {}

    @property
    def quiet(self) -> frozenset[str]:
        """Legs, by their names in the media workers, that are silent: for `restore`."""
        return frozenset(self._quiet)

    def restore(self, quiet: frozenset[str]) -> None:
        """Go on where another one stood."""
        self._quiet = set(quiet)

    def take(self, event: Heard) -> bool:
        """Take what a worker tells; returns whether nobody is heard any more.

        That is so when every leg has been silent for the configured time, and none
        is held.
        """
        match event:
            case MediaQuiet():
                self._quiet.add(event.leg)
                return self._is_dead
            case MediaHeard():
                self._quiet.discard(event.leg)
                return self._is_dead
            case MediaRejected():
                # It is neither heard nor recorded.
                self._log.error("media_not_authentic", packets=event.packets)
            case LegAlarm() | LegHeard():
                self._alarm(event)
            case SourceChanged():
                self._source_changed(event)
        return False

    @property
    def _is_dead(self) -> bool:
        legs = {leg.media_id for leg in self._legs.all() if not leg.gone}
        return legs <= self._quiet and not self._capture.held

    def _alarm(self, event: LegAlarm | LegHeard) -> None:
        """One side of the conversation is missing, or is there again."""
        leg = self._legs.of_media(event.leg)
        if leg is None:
            return
        one_way, seconds = event.kind == "one-way", round(event.seconds, 1)
        if isinstance(event, LegHeard):
            if self._alarms.get(leg.name, 0) <= MAX_ALARMS:
                self._log.info(
                    "one_way_audio_over" if one_way else "silent_leg_over",
                    leg=leg.name,
                    seconds=seconds,
                )
            return
        count = self._alarms[leg.name] = self._alarms.get(leg.name, 0) + 1
        if count <= MAX_ALARMS:
            self._log.warning(
                "one_way_audio" if one_way else "silent_leg",
                leg=leg.name,
                seconds=seconds,
            )

    def _source_changed(self, event: SourceChanged) -> None:
        """A leg's RTP is another source's, or in another codec.

        Where nothing was signalled, somebody else may be there: a transfer inside a
        PBX. Nobody can tell who, so it is told, and noted in the recording.
        """
        leg = self._legs.of_media(event.leg)
        if leg is None or self._now() - leg.agreed_at < SIGNALLED_WITHIN:
            return
        codec = event.payload_types != leg.strange_payload_types
        leg.strange_payload_types = event.payload_types
        leg.media_changes += 1
        self._capture.media_changed(leg, codec=codec)
        if leg.media_changes <= MAX_ALARMS:
            self._log.warning(
                "media_changed_unsignalled",
                leg=leg.name,
                changed="codec" if codec else "source",
                count=leg.media_changes,
            )
