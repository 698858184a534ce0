"""The state machine of a recording session, and what it commands."""

from typing import Any

from agent.call import commands as do
from agent.call.siprec.recording_session import Phase, RecordingSession
from agent.model.call import EndCause
from tests.call.siprec.situations import situation


class Session:
    """A recording session, and what it commands."""

    def __init__(self, **options: Any) -> None:
        self.options: dict[str, Any] = {
            "on_recording_failure": "refuse",
            "on_notice_failure": "discard",
            "max_segment": 100.0,
            "max_pause": 50.0,
        } | options
        self.machine = RecordingSession(**self.options)

    def begin(self, *, can_record: bool = True) -> list[Any]:
        self.machine.begin(can_record=can_record)
        return self.commands()

    def up(self, *arguments: Any, **more: Any) -> list[Any]:
        """Answered with a situation, and acknowledged."""
        self.begin()
        self.machine.answered(situation(*arguments, **more), 0.0)
        self.machine.acknowledged(0.0)
        return self.commands()

    def look(self, *arguments: Any, now: float = 1.0, **more: Any) -> list[Any]:
        self.machine.update(situation(*arguments, **more), now)
        return self.commands()

    def commands(self) -> list[Any]:
        found = []
        while (command := self.machine.next_command()) is not None:
            found.append(command)
        return found

    def closed(self) -> do.Close:
        [*_, close] = self.commands()
        assert isinstance(close, do.Close)
        assert self.machine.phase is Phase.ENDED
        assert self.machine.get_timer() is None
        return close

    def moved(self) -> "Session":
        """The same in another process."""
        other = Session(**self.options)
        assert self.machine.state is not None
        other.machine.restore(self.machine.state)
        return other


def closing(cause: EndCause) -> do.CloseRecording:
    return do.CloseRecording(cause=cause)
