"""What is ordered of one call's recording, or ends by itself, and the news of it."""

from collections.abc import Callable

from structlog.typing import FilteringBoundLogger

from agent.call.commands import PauseRecording, ResumeRecording
from agent.call.segments import Segments
from agent.call.telling import Telling


class RecordingOrders:
    """Pauses, resumes and stops the recording of one call, or of what is beside one.

    The state machine of `segments` commands what is to be done about it; `run` does.
    """

    def __init__(
        self,
        segments: Segments,
        telling: Telling,
        log: FilteringBoundLogger,
        *,
        call_id: str,
        now: Callable[[], float],
        run: Callable[[], None],
    ) -> None:
        self._segments = segments
        self._telling = telling
        self._log = log
        self._call_id = call_id
        self._now = now
        self._run = run

    def pause(self, *, by: str, reason: str, seconds: float | None) -> None:
        """Record nothing for a while; again: for longer. Raises PauseError."""
        self._segments.suspend(by=by, reason=reason, seconds=seconds, now=self._now())
        self._run()

    def resume(self, *, by: str, reason: str) -> None:
        """Record again. Raises PauseError."""
        self._segments.pause.end(by=by, reason=reason)
        self._run()

    def stop(self, *, by: str, reason: str) -> None:
        """Record nothing more; the call goes on. Raises NotRecordedError."""
        self._segments.stop()
        self._log.warning("recording_stopped", by=by, reason=reason)
        self._telling.stopped(self._call_id, by=by, reason=reason)
        self._run()

    def tell(self, change: PauseRecording | ResumeRecording) -> None:
        """Say that the recording is paused, or goes on, whoever has it so."""
        match change:
            case PauseRecording(by=by, reason=reason, seconds=seconds):
                self._log.info(
                    "recording_paused", by=by, reason=reason, seconds=round(seconds, 3)
                )
                self._telling.paused(
                    self._call_id, by=by, reason=reason, seconds=seconds
                )
            case ResumeRecording(by=by, reason=reason):
                self._log.info("recording_resumed", by=by, reason=reason)
                self._telling.resumed(self._call_id, by=by, reason=reason)
