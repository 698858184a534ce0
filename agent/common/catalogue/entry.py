"""What an operator is told of one event that needs a human."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One event of the log, as the journal's catalogue and the alarms know it."""

    event: str
    "Its name in the log."
    message_id: str
    "32 hexadecimal digits, drawn once and kept for ever: sd-id128(3)."
    summary: str
    "One short sentence: what has happened."
    explanation: str
    "What it means for calls and recordings."
    remedy: str
    "What to do, as imperative sentences."
    raises: bool = True
    "Whether it raises an alarm."
    cleared_by: str | None = None
    """The event that says it is over. None: it is something that has happened, and its
    alarm ends by itself after a day without another."""
    by: tuple[str, ...] = ()
    "The fields that tell one alarm of it from another: a storage, a peer, a worker."

    def __post_init__(self) -> None:
        if len(self.message_id) != 32 or int(self.message_id, 16) == 0:
            raise ValueError(f"{self.event}: {self.message_id!r} is no message id")
        if self.cleared_by is not None and not self.raises:
            raise ValueError(f"{self.event}: what raises nothing is not cleared")
