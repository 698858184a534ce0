"""What media workers report, and what becomes of them: for the pool, and for calls."""

from collections.abc import Callable

from agent.media.crew import Crew
from agent.media.draining import Draining
from agent.media.events import (
    LegClosed,
    LegMeasured,
    MediaEvent,
    MemoryRefused,
    PlayEnded,
    RecordingClosed,
    RecordingFailed,
    RecordingOpened,
    WorkerEvent,
    WorkerLost,
    WorkerReady,
)
from agent.media.figures import Figures
from agent.media.legs import Legs
from agent.media.recordings import Recordings


class WorkerNews:
    """Takes note of news in the pool's memory, and hands on what calls must know.

    With `held`, reports are kept back until `release`.
    """

    _legs: Legs
    _recordings: Recordings
    _draining: Draining

    def __init__(
        self,
        on_event: Callable[[MediaEvent], None],
        figures: Figures,
        *,
        held: bool,
    ) -> None:
        self._on_event = on_event
        self._figures = figures
        self._early: list[WorkerEvent] | None = [] if held else None
        "What was told before `release`: they may speak of calls nobody knows of yet."

    def connect(self, crew: Crew, legs: Legs, recordings: Recordings) -> None:
        """Give it what the pool remembers; once, before any news."""
        self._legs = legs
        self._recordings = recordings
        self._draining = Draining(crew, legs, recordings)

    def anything_over(self) -> None:
        """Let workers go that are not wanted, and have nothing left."""
        self._draining.look()

    def release(self) -> list[WorkerEvent]:
        """Keep nothing back any more; returns what was."""
        early, self._early = self._early or [], None
        return early

    def told(self, report: WorkerEvent) -> None:
        """A worker reports."""
        if self._early is not None:
            self._early.append(report)
            return
        match report:
            case PlayEnded():
                leg = self._legs.get(report.leg)
                if leg and leg.play and leg.play.token == report.token:
                    leg.play = None
            case LegMeasured():
                if self._legs.get(report.leg) is not None:
                    self._figures.measured(report.leg, report.stats)
                return
            case LegClosed():
                self._figures.closed(report.leg, report.stats)
                leg = self._legs.get(report.leg)
                if leg is not None and leg.left:
                    leg.left.pop()
                    self._draining.look()
                    return
                if leg is not None:
                    self._legs.forget(leg)
                self._draining.look()
            case RecordingOpened():
                self._recordings.opened(report.recording)
            case RecordingFailed() | RecordingClosed():
                self._recordings.forget(report.recording)
                self._draining.look()
            case MemoryRefused():
                self._recordings.not_kept(report)
                return
            case _:
                pass
        self._on_event(report)

    def lost(self, worker: int) -> None:
        """A worker has died; another one will take its place."""
        legs = self._legs.in_worker(worker)
        self._figures.lost(leg.name for leg in legs)
        self._on_event(
            WorkerLost(
                worker=worker,
                legs=tuple(leg.name for leg in legs),
                recordings=self._recordings.names_in(worker),
            )
        )
        for leg in self._legs:
            leg.left = [other for other in leg.left if other != worker]
        self._recordings.worker_lost(worker)
        for leg in legs:
            if leg.closing:
                self._legs.lose(leg)

    def ready(self, worker: int) -> None:
        """A worker is up: it is told all that the one before it knew."""
        calls = dict.fromkeys(leg.call for leg in self._legs.in_worker(worker))
        for call in calls:
            # One call after the other: the first need not wait for the last.
            self._legs.tell_anew(call)
            self._recordings.tell_anew(worker, call)
            self._legs.listen(call)
        self._recordings.tell_anew(worker)
        self._on_event(WorkerReady(worker=worker))

    def given_up(self, worker: int) -> None:
        """A worker cannot be started: what waits for it does so in vain."""
        self._recordings.worker_given_up(worker)
        for leg in self._legs.in_worker(worker):
            self._legs.break_off_play(leg)
